# What roles decode; no YAML in it.
LIBS += confblob
confblob_DIR := common/config/blob
confblob_NEEDS := labels base
confblob_PKGS :=
