/* SPDX-License-Identifier: ISC */

/* Start of brazierd: the command line, then the life cycle. */

#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "supervisor/flags.h"
#include "supervisor/flags_check.h"

/* Prints what the parser left and returns whether the start goes on. */
static bool
result_print(const struct flags_result *r)
{
	(void)fwrite(r->err.p, 1, r->err.n, stderr);
	(void)fwrite(r->out.p, 1, r->out.n, stdout);
	(void)fflush(stdout);
	return r->exit_code == FLAGS_GO_ON;
}

int
main(int argc, char **argv)
{
	struct flags_settings settings;
	struct flags_result result;
	struct flags flags;

	flags_init(&flags);
	flags_result_init(&result);
	flags_parse(&flags, argc, argv, &result);
	if (!result_print(&result))
		return result.exit_code;
	log_open("supervisor",
	    (enum log_level)flags_int(&flags, FLAG_LOG_LEVEL),
	    (enum log_format)flags_int(&flags, FLAG_LOG_FORMAT), NULL, NULL);
	flags_check(&flags, &settings, &result);
	if (!result_print(&result))
		return result.exit_code;
	flags_warn_no_effect(&flags);
	return 0;
}
