LIBS += promql
promql_DIR := common/promql
promql_NEEDS := tsdb histogram labels base
promql_PKGS :=
promql_LDLIBS := -lm
