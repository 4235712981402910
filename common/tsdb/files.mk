LIBS += tsdb
tsdb_DIR := common/tsdb
tsdb_NEEDS := histogram labels base
tsdb_PKGS := jansson
