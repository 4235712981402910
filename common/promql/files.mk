LIBS += promql
promql_DIR := common/promql
promql_NEEDS := labels base
promql_PKGS :=
promql_LDLIBS := -lm
