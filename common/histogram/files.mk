LIBS += histogram
histogram_DIR := common/histogram
histogram_NEEDS := base
histogram_PKGS :=
histogram_LDLIBS := -lm
