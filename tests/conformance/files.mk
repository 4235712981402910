# Programs that run the reference's test data: tests/conformance/NAME.c each.
# NAME_NEEDS: libraries, NAME_PKGS: pkg-config names, as in other files.mk.
CONFORMANCE :=

CONFORMANCE += relabeltest
relabeltest_NEEDS := labels base
relabeltest_PKGS := jansson

CONFORMANCE += configtest
configtest_NEEDS := configfile
configtest_PKGS :=

CONFORMANCE += textparsetest
textparsetest_NEEDS := exposition labels base
textparsetest_PKGS := jansson

CONFORMANCE += promqlparse
promqlparse_NEEDS := promql tsdb labels base
promqlparse_PKGS := jansson

define CONFORMANCE_rules
$(1)_ALL := $$(call closure,$(1))
$(1)_LINK := $$(call pkglibs,$$(sort $$($(1)_PKGS) $$(foreach n,$$($(1)_ALL),$$($$(n)_PKGS)))) \
	$$($(1)_LDLIBS) $$(foreach n,$$($(1)_ALL),$$($$(n)_LDLIBS))
$(1)_CXX := $$(if $$(filter %.cc.o,$$(foreach n,$$($(1)_ALL),$$(call objs,$$($$(n)_DIR)))),yes)
$(B)/tests/$(1): $(B)/obj/tests/conformance/$(1).c.o $$(call libfiles,$$($(1)_ALL))
	@mkdir -p $$(@D)
	@echo "LINK $$@"
	@$$(call linker,$(1)) $$(LDFLAGS_ALL) -o $$@ $$^ $$($(1)_LINK)
endef
$(foreach p,$(CONFORMANCE),$(eval $(call CONFORMANCE_rules,$(p))))

.PHONY: conformance-programs
conformance-programs: $(CONFORMANCE:%=$(B)/tests/%)
