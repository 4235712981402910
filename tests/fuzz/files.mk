# libFuzzer programs: tests/fuzz/fuzz_NAME.c each, with the libraries of
# fuzz_NAME_NEEDS. They need clang and instrumented libraries:
#
#	make CC=clang CXX=clang++ SAN=address,undefined,fuzzer-no-link fuzz-programs
FUZZERS :=

FUZZERS += fuzz_wal
fuzz_wal_NEEDS := tsdb labels base

FUZZERS += fuzz_chunk_xor
fuzz_chunk_xor_NEEDS := tsdb labels base

FUZZERS += fuzz_head_chunks
fuzz_head_chunks_NEEDS := tsdb labels base

FUZZERS += fuzz_exposition
fuzz_exposition_NEEDS := exposition labels base

FUZZERS += fuzz_http
fuzz_http_NEEDS := http base

FUZZERS += fuzz_promql_parse
fuzz_promql_parse_NEEDS := promql tsdb labels base

define FUZZ_rules
$(1)_ALL := $$(call closure,$(1))
$(1)_LINK := $$(call pkglibs,$$(sort $$($(1)_PKGS) $$(foreach n,$$($(1)_ALL),$$($$(n)_PKGS)))) \
	$$($(1)_LDLIBS) $$(foreach n,$$($(1)_ALL),$$($$(n)_LDLIBS))
$(B)/tests/$(1): $(B)/obj/tests/fuzz/$(1).c.o $$(call libfiles,$$($(1)_ALL))
	@mkdir -p $$(@D)
	@echo "LINK $$@"
	@$(CXX) $$(LDFLAGS_ALL) -fsanitize=fuzzer -o $$@ $$^ $$($(1)_LINK)
endef
$(foreach p,$(FUZZERS),$(eval $(call FUZZ_rules,$(p))))

.PHONY: fuzz-programs
fuzz-programs: $(FUZZERS:%=$(B)/tests/%)
