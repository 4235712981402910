PROGS += web
web_DIR := workers/web
web_NEEDS := ipc http confblob labels metrics sandbox base
web_PKGS := libevent_core jansson
# embedded by pages.c
$(B)/obj/workers/web/pages.c.o: $(wildcard workers/web/ui/*)
