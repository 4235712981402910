/* SPDX-License-Identifier: ISC */

/* brazierctl: options, then the command of the table. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "supervisor/ctl/ctl.h"

#define URL_DEFAULT	"http://localhost:9090"

enum { OPT_TIME = 256, OPT_START, OPT_END, OPT_STEP, OPT_STORAGE, OPT_VERSION,
    OPT_SYNTAX_ONLY, OPT_AGENT, OPT_LINT };

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "socket", required_argument, NULL, 's' },
	{ "control.path", required_argument, NULL, 's' },
	{ "url", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "format", required_argument, NULL, 'o' },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "start", required_argument, NULL, OPT_START },
	{ "end", required_argument, NULL, OPT_END },
	{ "step", required_argument, NULL, OPT_STEP },
	{ "storage.path", required_argument, NULL, OPT_STORAGE },
	{ "syntax-only", no_argument, NULL, OPT_SYNTAX_ONLY },
	{ "agent", no_argument, NULL, OPT_AGENT },
	{ NULL, 0, NULL, 0 },
};

static void
command_name(const struct ctl_command *c, char *out, size_t n)
{
	snprintf(out, n, "%s%s%s%s%s", c->words[0],
	    c->words[1] == NULL ? "" : " ", c->words[1] == NULL ? "" :
	    c->words[1], *c->args == '\0' ? "" : " ", c->args);
}

static void
usage(FILE *fp)
{
	char name[128];

	fprintf(fp, "usage: brazierctl [-j] [-s socket] [-u url] <command> "
	    "[<args> ...]\n\nCommands, each word may be cut to a unique "
	    "beginning:\n");
	for (size_t i = 0; i < ctl_n_commands; i++) {
		command_name(&ctl_commands[i], name, sizeof(name));
		fprintf(fp, "  %-32s %s\n", name, ctl_commands[i].help);
	}
	fprintf(fp, "\nOptions:\n"
	    "  -j, --json          Print JSON.\n"
	    "  -s, --socket PATH   Control socket of brazierd (also --control.path).\n"
	    "  -u, --url URL       Server for targets; default %s.\n"
	    "  -o, --format FORM   Of query: promql or json.\n"
	    "      --time TIME     Of query instant: RFC3339 or Unix seconds.\n"
	    "      --start, --end  Of query range.\n"
	    "      --step STEP     Of query range, a duration.\n"
	    "      --storage.path DIR\n"
	    "                      Of query: ask the blocks of a data "
	    "directory, no server.\n"
	    "      --syntax-only   Of check config: look at no other file.\n"
	    "      --agent         Of check config: as for an agent.\n"
	    "  -h, --help          Show this help.\n"
	    "      --version       Show the version.\n", URL_DEFAULT);
}

/* -1 = go on, else the exit code. */
static int
parse_options(struct ctl *c, int argc, char **argv)
{
	int o;

	while ((o = getopt_long(argc, argv, "js:u:o:h", options, NULL)) != -1) {
		switch (o) {
		case 'j': c->json = true; break;
		case 's': c->socket = optarg; break;
		case 'u': c->url = optarg; break;
		case 'o': c->format = optarg; break;
		case OPT_TIME: c->time = optarg; break;
		case OPT_START: c->start = optarg; break;
		case OPT_END: c->end = optarg; break;
		case OPT_STEP: c->step = optarg; break;
		case OPT_STORAGE: c->storage = optarg; break;
		case OPT_SYNTAX_ONLY: c->syntax_only = true; break;
		case OPT_AGENT: c->agent = true; break;
		case OPT_VERSION:
			printf("brazierctl, version %s\n", BRAZIER_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			fprintf(stderr, "brazierctl: try --help\n");
			return 1;
		}
	}
	if (c->format != NULL && strcmp(c->format, "promql") != 0 &&
	    strcmp(c->format, "json") != 0) {
		fprintf(stderr, "brazierctl: error: enum value must be one of "
		    "promql,json, got '%s', try --help\n", c->format);
		return 1;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct ctl c = { .url = URL_DEFAULT };
	const struct ctl_command *cmd;
	struct err err = ERR_INIT;
	int rc, n_words;

	log_open("brazierctl", LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT, NULL, NULL);
	if ((rc = parse_options(&c, argc, argv)) != -1)
		return rc;
	argc -= optind;
	argv += optind;
	if (argc == 0) {
		usage(stdout);
		return 0;
	}
	if ((cmd = ctl_command_find(argv, argc, &n_words, &err)) == NULL) {
		err_wrap(&err, "error");
		fprintf(stderr, "brazierctl: %s, try --help\n", err.text);
		return 1;
	}
	c.args = argv + n_words;
	c.n_args = argc - n_words;
	if (c.n_args < cmd->min_args ||
	    (cmd->max_args >= 0 && c.n_args > cmd->max_args)) {
		char name[128];

		command_name(cmd, name, sizeof(name));
		fprintf(stderr, "usage: brazierctl %s\n", name);
		return 1;
	}
	return cmd->run(&c);
}
