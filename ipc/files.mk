LIBS += ipc
ipc_DIR := ipc
ipc_NEEDS := sandbox metrics labels base
ipc_PKGS := libevent_core
