# Benchmarks and what they need: tests/bench/NAME.c each.
BENCHES :=

BENCHES += targets
targets_PKGS := libdeflate

BENCHES += bench_exposition
bench_exposition_NEEDS := exposition labels base

BENCHES += bench_head_append
bench_head_append_ROLE := storage
bench_head_append_NEEDS := $(storage_NEEDS)

BENCHES += bench_wal
bench_wal_ROLE := storage
bench_wal_NEEDS := $(storage_NEEDS)

# the engine alone, over series in memory
BENCHES += bench_promql
bench_promql_NEEDS := promql tsdb labels base

# the engine and its JSON over blocks
BENCHES += bench_query
bench_query_ROLE := query
bench_query_NEEDS := $(query_NEEDS)

$(foreach p,$(BENCHES),$(eval $(call TESTPROG_rules,$(p),bench)))

.PHONY: bench-programs
bench-programs: $(BENCHES:%=$(B)/tests/%)
