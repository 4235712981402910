# SPDX-License-Identifier: ISC
# A worker that plays any role as its configuration tells it, for tests of
# the supervisor. It lies in libexec beside the unit tests.
DOUBLES := $(foreach r,config storage resolver scrape query web,$(B)/tests/libexec/$(r))

$(B)/tests/worker_double: $(B)/obj/tests/doubles/worker_double.c.o \
	    $(B)/lib/libipc.a $(call libfiles,$(ipc_ALL))
	@mkdir -p $(@D)
	@echo "LINK $@"
	@$(call linker,ipc) $(LDFLAGS_ALL) -o $@ $^ $(ipc_LINK)

$(DOUBLES): $(B)/tests/worker_double
	@mkdir -p $(@D)
	@ln -f $< $@

$(B)/tests/lifecycle_test: | $(DOUBLES)
