PROGS += query
query_DIR := workers/query
query_NEEDS := ipc promql histogram tsdb confblob labels metrics sandbox base
query_PKGS := libevent_core
