PROGS += scrape
scrape_DIR := workers/scrape
scrape_NEEDS := ipc confblob exposition httpclient metrics sandbox labels base
scrape_PKGS := libevent_core
