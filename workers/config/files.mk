PROGS += config
config_DIR := workers/config
config_NEEDS := configfile confblob ipc metrics sandbox labels base
config_PKGS := libevent_core
