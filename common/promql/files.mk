LIBS += promql
promql_DIR := common/promql
promql_NEEDS := tsdb labels base
promql_PKGS :=
promql_LDLIBS := -lm
