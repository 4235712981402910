# What roles decode; no YAML in it.
LIBS += confblob
confblob_DIR := common/config/blob
confblob_NEEDS := labels base
confblob_PKGS :=

# Reading and checking of the configuration itself.
LIBS += configfile
configfile_DIR := common/config
configfile_NEEDS := confblob labels base
configfile_PKGS := yaml-0.1
