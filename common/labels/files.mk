LIBS += labels
labels_DIR := common/labels
labels_NEEDS := base
labels_PKGS :=
