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

FUZZERS += fuzz_promql_engine
fuzz_promql_engine_NEEDS := promql tsdb labels base

FUZZERS += fuzz_block
fuzz_block_NEEDS := promql tsdb labels base

FUZZERS += fuzz_config
fuzz_config_NEEDS := configfile

FUZZERS += fuzz_labels
fuzz_labels_NEEDS := labels base

FUZZERS += fuzz_relabel
fuzz_relabel_NEEDS := labels base

FUZZERS += fuzz_catalogue
fuzz_catalogue_NEEDS := ipc sandbox metrics labels base
fuzz_catalogue_PKGS := libevent_core

$(foreach p,$(FUZZERS),$(eval $(call TESTPROG_rules,$(p),fuzz,-fsanitize=fuzzer)))

.PHONY: fuzz-programs
# waltool writes seeds
fuzz-programs: $(FUZZERS:%=$(B)/tests/%) $(B)/tests/waltool

# Every row of the catalogue against the real programs; needs no clang. The
# double is what the supervisor starts there instead of its workers.
channelfuzz_NEEDS := ipc promql tsdb sandbox metrics labels base
channelfuzz_PKGS := libevent_core
$(eval $(call TESTPROG_rules,channelfuzz,fuzz))

channel_double_NEEDS :=
$(eval $(call TESTPROG_rules,channel_double,fuzz))

.PHONY: channel-programs
channel-programs: $(B)/tests/channelfuzz $(B)/tests/channel_double
