/* SPDX-License-Identifier: ISC */

/* The table of commands, and finding one by the words of a command line. */

#include <stdio.h>
#include <string.h>

#include "supervisor/ctl/ctl.h"

const struct ctl_command ctl_commands[] = {
	{ { "status" }, "", 0, 0, ctl_status,
	    "Show all processes: state, generation, CPU, memory, confinement." },
	{ { "reload" }, "", 0, 0, ctl_reload,
	    "Load the configuration again; the reason if it is refused." },
	{ { "stop" }, "", 0, 0, ctl_stop, "Stop the server in order." },
	{ { "check", "config" }, "<config-files>...", 1, -1, ctl_check_config,
	    "Check configuration files and what they name." },
	{ { "query", "instant" }, "[<server>] <expr>", 1, 2, ctl_query_instant,
	    "Evaluate an expression at one time (--time)." },
	{ { "query", "range" }, "[<server>] <expr>", 1, 2, ctl_query_range,
	    "Evaluate an expression over a range (--start, --end, --step)." },
	{ { "targets" }, "", 0, 0, ctl_targets, "Show targets and their health." },
	{ { "queries" }, "", 0, 0, ctl_queries,
	    "Show the queries that run and wait." },
	{ { "queries", "kill" }, "<id>", 1, 1, ctl_queries_kill,
	    "End one of them." },
	{ { "promql", "format" }, "<query>", 1, 1, ctl_promql_format,
	    "Print an expression in pretty form." },
	{ { "tsdb", "convert-wal" }, "<storage.path> [none|snappy|zstd]", 1, 2,
	    ctl_tsdb_convert_wal,
	    "Rewrite LZ4 records of a stopped server's WAL (snappy)." },
};
const size_t ctl_n_commands = sizeof(ctl_commands) / sizeof(ctl_commands[0]);

/* How many words of a command fit; 0 unless all of them do. */
static int
words_match(const struct ctl_command *c, char *const *argv, int argc,
    bool *exact)
{
	int n = 0;

	*exact = true;
	for (; n < 3 && c->words[n] != NULL; n++) {
		if (n >= argc || argv[n][0] == '\0' || strncmp(c->words[n],
		    argv[n], strlen(argv[n])) != 0)
			return 0;
		if (strcmp(c->words[n], argv[n]) != 0)
			*exact = false;
	}
	return n;
}

const struct ctl_command *
ctl_command_find(char *const *argv, int argc, int *n_words, struct err *err)
{
	const struct ctl_command *best = NULL, *other = NULL;
	bool best_exact = false;

	*n_words = 0;
	for (size_t i = 0; i < ctl_n_commands; i++) {
		bool exact;
		int n = words_match(&ctl_commands[i], argv, argc, &exact);

		if (n == 0 || n < *n_words)
			continue;
		if (n > *n_words || (exact && !best_exact)) {
			best = &ctl_commands[i];
			best_exact = exact;
			*n_words = n;
			other = NULL;
		} else if (exact == best_exact)
			other = &ctl_commands[i];
	}
	if (best == NULL)
		err_set(err, ERR_NOT_FOUND, "unknown command \"%s\"",
		    argc > 0 ? argv[0] : "");
	else if (other != NULL) {
		err_set(err, ERR_BAD_DATA, "\"%s\" is short for both %s and %s",
		    argv[0], best->words[0], other->words[0]);
		best = NULL;
	}
	return best;
}

int
ctl_fail(const struct err *err)
{
	fprintf(stderr, "brazierctl: %s\n", err->text);
	return 1;
}
