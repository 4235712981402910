/* SPDX-License-Identifier: ISC */
/* Prints the catalogue as the table that ARCHITECTURE.md shows. */
#include <stdio.h>

#include "ipc/catalogue.h"

static void
print_roles(uint32_t set)
{
	const uint32_t any = (1u << ROLE_COUNT) - 1;
	const uint32_t workers = any & ~(1u << ROLE_SUPERVISOR | 1u << ROLE_CTL);
	const char *comma = "";
	unsigned r;

	if (set == any || set == workers) {
		fputs(set == any ? "any" : "workers", stdout);
		return;
	}
	for (r = 0; r < ROLE_COUNT; r++)
		if (set & 1u << r) {
			printf("%s%s", comma, role_name((enum role)r));
			comma = ", ";
		}
}

int
main(void)
{
	unsigned t;

	puts("| id | message | from | to | bytes | fds | it says |");
	puts("|---:|---|---|---|---:|---:|---|");
	for (t = 0; t < IPC_TYPE_MAX; t++) {
		const struct ipc_row *row = ipc_row(t);

		if (row == NULL)
			continue;
		printf("| %u | %s | ", t, row->name);
		print_roles(row->from);
		fputs(" | ", stdout);
		print_roles(row->to);
		printf(" | %u%s | ", row->size,
		    row->rule == IPC_AT_LEAST ? "+" : "");
		if (row->fds_max == 0)
			fputs("–", stdout);
		else if (row->fds_min == row->fds_max)
			printf("%u", row->fds_min);
		else
			printf("%u…%u", row->fds_min, row->fds_max);
		printf(" | %s |\n", row->what);
	}
	return 0;
}
