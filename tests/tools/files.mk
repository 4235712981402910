# Programs that integration tests run: tests/tools/NAME.c each, with the
# objects of a role (NAME_ROLE, if any) and libraries (NAME_NEEDS).
TOOLS :=

TOOLS += waltool
waltool_ROLE := storage
waltool_NEEDS := $(storage_NEEDS)

TOOLS += storm
storm_NEEDS := ipc tsdb metrics sandbox labels base
storm_PKGS := libevent_core
storm_LDLIBS := -lm

TOOLS += blockgen
blockgen_NEEDS := tsdb labels base

$(foreach p,$(TOOLS),$(eval $(call TESTPROG_rules,$(p),tools)))

.PHONY: tool-programs
tool-programs: $(TOOLS:%=$(B)/tests/%)
