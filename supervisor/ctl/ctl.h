/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CTL_CTL_H
#define BRAZIER_SUPERVISOR_CTL_CTL_H

/*
 * brazierctl: one table of commands. A command is found by its words, each
 * of which may be cut to a unique prefix ("brazierctl st"), gets what
 * follows, and returns the exit code. Options stand anywhere behind the
 * words and are the command's own; -j, -s, -u and -h belong to all.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/str.h"

struct ctl {
	bool		  json;		/* -j */
	const char	 *socket;	/* -s, or found in the usual places */
	const char	 *url;		/* -u */
	/* of query */
	const char	 *format;	/* -o */
	const char	 *time;
	const char	 *start;
	const char	 *end;
	const char	 *step;
	const char	 *storage;	/* --storage.path: no server */
	bool		  syntax_only;	/* of check config */
	bool		  agent;
	/* what is left */
	char		**args;
	int		  n_args;
};

struct ctl_command {
	const char	*words[3];	/* "queries", "kill", NULL */
	const char	*args;		/* as the help shows them */
	int		 min_args;
	int		 max_args;	/* -1 = any number */
	int		(*run)(struct ctl *c);
	const char	*help;
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_n_commands;

/*
 * The command that argv[0..n) begins with and how many words it took. NULL
 * with a text when none or several fit. The longest match wins.
 */
const struct ctl_command *ctl_command_find(char *const *argv, int argc,
	    int *n_words, struct err *err);

/* Prints "brazierctl: text" on stderr; returns 1. */
int	 ctl_fail(const struct err *err);

/* --- commands --- */

int	 ctl_status(struct ctl *c);
int	 ctl_reload(struct ctl *c);
int	 ctl_stop(struct ctl *c);
int	 ctl_check_config(struct ctl *c);
int	 ctl_query_instant(struct ctl *c);
int	 ctl_query_range(struct ctl *c);
int	 ctl_targets(struct ctl *c);
int	 ctl_queries(struct ctl *c);
int	 ctl_queries_kill(struct ctl *c);
int	 ctl_promql_format(struct ctl *c);
int	 ctl_tsdb_convert_wal(struct ctl *c);

#endif
