# What roles decode; no YAML in it.
LIBS += confblob
confblob_DIR := common/config/blob
confblob_NEEDS := labels base
confblob_PKGS :=

# Reading and checking of the configuration itself.
LIBS += config
config_DIR := common/config
config_NEEDS := confblob labels base
config_PKGS := yaml-0.1
