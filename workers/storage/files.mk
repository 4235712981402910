PROGS += storage
storage_DIR := workers/storage
storage_NEEDS := confblob ipc tsdb metrics sandbox labels base
storage_PKGS := libevent_core
storage_LDLIBS := -lpthread -lm
