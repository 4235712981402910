LIBS += httpclient
httpclient_DIR := common/httpclient
httpclient_NEEDS := base
httpclient_PKGS := libevent_core libcurl openssl
