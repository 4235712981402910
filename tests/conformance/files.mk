# Programs that run the reference's test data: tests/conformance/NAME.c each.
# NAME_NEEDS: libraries, NAME_PKGS: pkg-config names, as in other files.mk.
CONFORMANCE :=

CONFORMANCE += relabeltest
relabeltest_NEEDS := labels base
relabeltest_PKGS := jansson

CONFORMANCE += configtest
configtest_NEEDS := configfile
configtest_PKGS :=

CONFORMANCE += textparsetest
textparsetest_NEEDS := exposition labels base
textparsetest_PKGS := jansson

CONFORMANCE += promqlparse
promqlparse_NEEDS := promql tsdb labels base
promqlparse_PKGS := jansson

CONFORMANCE += blocktest
blocktest_NEEDS := promql tsdb labels base
blocktest_PKGS := jansson

$(foreach p,$(CONFORMANCE),$(eval $(call TESTPROG_rules,$(p),conformance)))

.PHONY: conformance-programs
conformance-programs: $(CONFORMANCE:%=$(B)/tests/%)

# build/tests/promqltest: runs scripts in the PromQL test language.
PROMQLTEST_OBJS := $(patsubst %,$(B)/obj/%.o,$(wildcard tests/conformance/promqltest*.c))
$(B)/tests/promqltest: $(PROMQLTEST_OBJS) $(B)/lib/libpromql.a $(call libfiles,$(promql_ALL))
	@mkdir -p $(@D)
	@echo "LINK $@"
	@$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(promql_LINK) -lm

# build/tests/bench_promql: the engine alone, over series in memory.
$(B)/tests/bench_promql: $(B)/obj/tests/bench/bench_promql.c.o $(B)/lib/libpromql.a $(call libfiles,$(promql_ALL))
	@mkdir -p $(@D)
	@echo "LINK $@"
	@$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(promql_LINK) -lm
