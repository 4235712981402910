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

# the PromQL test language
CONFORMANCE += promqltest
promqltest_NEEDS := promql tsdb labels base

# answers queries over blocks, for tests/conformance/difftest.py
CONFORMANCE += promqleval
promqleval_NEEDS := promql tsdb labels base

$(foreach p,$(CONFORMANCE),$(eval $(call TESTPROG_rules,$(p),conformance)))

.PHONY: conformance-programs
conformance-programs: $(CONFORMANCE:%=$(B)/tests/%)
