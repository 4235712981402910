LIBS += exposition
exposition_DIR := common/exposition
exposition_NEEDS := labels base
