/* SPDX-License-Identifier: ISC */

/* Every flag stands in brazierd(8), in order, and nothing else does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "supervisor/flags.h"

/* The flag's name of an .It line; false when it is another item. */
static bool
item_flag(const char *line, char *name, size_t n)
{
	static const char boolean[] = ".It Fl Fl Oo Cm no- Oc Ns Cm ";
	const char *p;

	if (strcmp(line, ".It Fl h , Fl Fl help\n") == 0)
		p = "help";
	else if (strncmp(line, boolean, sizeof(boolean) - 1) == 0)
		p = line + sizeof(boolean) - 1;
	else if (strncmp(line, ".It Fl Fl ", 10) == 0)
		p = line + 10;
	else
		return false;
	snprintf(name, n, "%.*s", (int)strcspn(p, " \n"), p);
	return true;
}

static void
test_flags_and_manual_agree(void **state)
{
	bool seen[FLAG_COUNT] = { false };
	char line[512], name[256], last[256] = "";
	FILE *fp = fopen("man/brazierd.8", "r");

	(void)state;
	if (fp == NULL)
		skip();		/* not run from the top of the tree */
	while (fgets(line, sizeof(line), fp) != NULL) {
		enum flag_id id;

		if (!item_flag(line, name, sizeof(name)))
			continue;
		id = flags_find(str_c(name));
		if (id == FLAG_COUNT)
			fail_msg("brazierd(8) names --%s, which is no flag", name);
		if (strcmp(last, name) >= 0)
			fail_msg("brazierd(8): --%s stands behind --%s", name, last);
		seen[id] = true;
		strcpy(last, name);
	}
	fclose(fp);
	for (size_t id = 0; id < FLAG_COUNT; id++)
		if (!seen[id])
			fail_msg("brazierd(8) does not know --%s",
			    flag_defs[id].name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_and_manual_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
