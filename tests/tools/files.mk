# Programs that integration tests run: tests/tools/NAME.c each, with the
# objects of a role (NAME_ROLE) and libraries (NAME_NEEDS).
TOOLS :=

TOOLS += waltool
waltool_ROLE := storage
waltool_NEEDS := $(storage_NEEDS)

define TOOLS_rules
$(1)_ALL := $$(call closure,$(1))
$(1)_LINK := $$(call pkglibs,$$(sort $$($$($(1)_ROLE)_PKGS) $$(foreach n,$$($(1)_ALL),$$($$(n)_PKGS)))) \
	$$($$($(1)_ROLE)_LDLIBS) $$(foreach n,$$($(1)_ALL),$$($$(n)_LDLIBS))
$(1)_CXX := $$(if $$(filter %.cc.o,$$(foreach n,$$($(1)_ALL),$$(call objs,$$($$(n)_DIR)))),yes)
$(B)/tests/$(1): $(B)/obj/tests/tools/$(1).c.o \
	    $$(filter-out %/main.c.o,$$($$($(1)_ROLE)_OBJS)) $$(call libfiles,$$($(1)_ALL))
	@mkdir -p $$(@D)
	@echo "LINK $$@"
	@$$(call linker,$(1)) $$(LDFLAGS_ALL) -o $$@ $$^ $$($(1)_LINK)
endef
$(foreach p,$(TOOLS),$(eval $(call TOOLS_rules,$(p))))
