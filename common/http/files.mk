LIBS += http
http_DIR := common/http
http_NEEDS := base
http_PKGS := libevent_core
