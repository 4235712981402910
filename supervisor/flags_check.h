/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_FLAGS_CHECK_H
#define BRAZIER_SUPERVISOR_FLAGS_CHECK_H

/*
 * What the command line means together: feature names, agent or server,
 * external URL, retention, limits. The steps come in the order of the
 * reference's start; each may log, and may end the start with an exit code.
 * (The CORS regex and everything in the configuration file need a parser
 * and are the config worker's.)
 */

#include "supervisor/flags.h"

struct flags_settings {
	bool	 agent;
	char	*external_url;		/* owned; no slash at the end */
	char	*route_prefix;		/* owned; "/" or "/x" */
	int64_t	 retention_ms;		/* 0 = by size only */
	int64_t	 retention_bytes;	/* 0 = no limit */
};

/*
 * Runs all steps that need no log of start-up and no file. On an error
 * r->exit_code is set and r->err holds the text for stderr. Computed values
 * (route prefix, longest block) are put back into f, so that status/flags
 * shows them as the reference does.
 */
void	 flags_check(struct flags *f, struct flags_settings *s,
	    struct flags_result *r);
void	 flags_settings_clear(struct flags_settings *s);

/*
 * Limits that the reference checks when it opens the storage (exit code 1,
 * after the log line "Fatal error").
 */
int	 flags_check_storage(const struct flags *f, struct err *err);

/* One warning for each flag or feature given that does nothing yet. */
void	 flags_warn_no_effect(const struct flags *f);

/*
 * http://<host>:<port>/ when url is empty. A slash at the end is cut off.
 * Checks what Go's url.Parse refuses and a user is likely to write; texts
 * are Go's. hostname is what gethostname says. Result: heap, NULL on error.
 */
char	*external_url_make(const char *url, const char *listen_address,
	    const char *hostname, struct err *err);

/* "/", or the path with one slash before it and none behind. Heap. */
char	*route_prefix_make(const char *prefix, const char *external_url);

/*
 * Splits "host:port", "[::1]:port", ":port" as Go's net.SplitHostPort; the
 * parts are borrowed from address. Texts are Go's.
 */
int	 address_split(const char *address, struct str *host,
	    struct str *port, struct err *err);

#endif
