PROGS += resolver
resolver_DIR := workers/resolver
resolver_NEEDS := ipc metrics sandbox labels base
resolver_PKGS := libevent_core libevent_extra
