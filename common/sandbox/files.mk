LIBS += sandbox
sandbox_DIR := common/sandbox
sandbox_NEEDS := base
sandbox_PKGS := libseccomp
