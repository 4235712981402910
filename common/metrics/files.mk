LIBS += metrics
metrics_DIR := common/metrics
metrics_NEEDS := base
