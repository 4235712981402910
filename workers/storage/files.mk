# Until main.c is there the folder is a library, so that its parts are tested.
ifneq ($(wildcard workers/storage/main.c),)
PROGS += storage
else
LIBS += storage
endif
storage_DIR := workers/storage
storage_NEEDS := ipc tsdb metrics sandbox labels base
storage_PKGS :=
storage_LDLIBS := -lpthread -lm
