/* SPDX-License-Identifier: ISC */

/* brazierctl check config: common/config's checks in promtool's words. */

#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "common/config/config.h"
#include "supervisor/ctl/ctl.h"

static void
print_text(const char *path, const struct config_report *r, bool ok)
{
	printf("Checking %s\n", path);
	for (size_t i = 0; i < r->warnings.n; i++)
		printf("  WARNING: %.*s\n", STR_ARG(r->warnings.s[i]));
	if (!ok) {
		fflush(stdout);
		fprintf(stderr, "  FAILED: %s\n", r->fault.err.text);
	} else {
		if (r->rule_files.n > 0)
			printf("  SUCCESS: %zu rule files found\n",
			    r->rule_files.n);
		printf(" SUCCESS: %s is valid prometheus config file syntax\n",
		    path);
	}
	printf("\n");
}

static json_t *
report_json(const char *path, const struct config_report *r, bool ok)
{
	json_t *warnings = json_array();

	for (size_t i = 0; i < r->warnings.n; i++)
		json_array_append_new(warnings, json_stringn(r->warnings.s[i].p,
		    r->warnings.s[i].n));
	return json_pack("{s:s, s:b, s:s, s:i, s:i, s:o}", "file", path, "ok", ok,
	    "error", ok ? "" : r->fault.err.text, "line",
	    ok ? 0 : (int)r->fault.line, "ruleFiles", (int)r->rule_files.n,
	    "warnings", warnings);
}

int
ctl_check_config(struct ctl *c)
{
	unsigned flags = (c->agent ? CONFIG_CHECK_AGENT : 0) |
	    (c->syntax_only ? CONFIG_CHECK_SYNTAX : 0);
	json_t *list;
	int rc = 0;

	for (int i = 0; i < c->n_args; i++)
		if (access(c->args[i], F_OK) == -1) {
			fprintf(stderr, "brazierctl: error: path '%s' does not "
			    "exist, try --help\n", c->args[i]);
			return 1;
		}
	list = json_array();
	for (int i = 0; i < c->n_args; i++) {
		struct config_report r = { .fault = { .line = 0 } };
		bool ok = config_check_file(c->args[i], flags, &r) == 0;

		if (!ok)
			rc = 1;
		if (c->json)
			json_array_append_new(list, report_json(c->args[i], &r,
			    ok));
		else
			print_text(c->args[i], &r, ok);
		config_report_clear(&r);
	}
	if (c->json) {
		json_dumpf(list, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(list);
	return rc;
}
