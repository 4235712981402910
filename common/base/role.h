/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_ROLE_H
#define BRAZIER_COMMON_BASE_ROLE_H

/*
 * The roles a process of Brazier can have (DESIGN section 2). One table:
 * enum, names and the program below libexec/ come from it.
 */

#include "common/base/str.h"

/*	id	   name		 what it is for */
#define ROLES(X) \
	X(SUPERVISOR, "supervisor", "starts, reloads, restarts, stops, opens files, writes logs") \
	X(CONFIG,    "config",	 "parses the configuration, once per load") \
	X(STORAGE,   "storage",	 "the one writer of the data") \
	X(COMPACT,   "compact",	 "blocks from head or blocks") \
	X(RESOLVER,  "resolver", "names to addresses") \
	X(DISCOVERY, "discovery", "service discovery") \
	X(SCRAPE,    "scrape",	 "scrape loops") \
	X(RULES,     "rules",	 "schedules rule groups, keeps alert state") \
	X(QUERY,     "query",	 "PromQL and metadata for web") \
	X(EVAL,      "eval",	 "PromQL for rules and consoles") \
	X(NOTIFY,    "notify",	 "alert queues to Alertmanagers") \
	X(REMOTE,    "remote",	 "remote write and read") \
	X(WEB,       "web",	 "HTTP") \
	X(AUTH,      "auth",	 "password checks") \
	X(CTL,       "ctl",	 "a brazierctl on the control socket; no worker")

enum role {
#define X(id, name, what) ROLE_##id,
	ROLES(X)
#undef X
	ROLE_COUNT
};

/* "storage"; "?" for a number that is no role. */
const char *role_name(enum role role);
/* ROLE_COUNT when there is none of that name. */
enum role role_by_name(struct str name);

#endif
