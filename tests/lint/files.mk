# Programs that lint runs.
$(B)/tests/catalogue_table: $(B)/obj/tests/lint/catalogue_table.c.o \
	    $(B)/obj/ipc/catalogue.c.o $(B)/obj/common/base/role.c.o
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) -o $@ $^

lint: $(B)/tests/catalogue_table
