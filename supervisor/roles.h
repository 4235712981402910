/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_ROLES_H
#define BRAZIER_SUPERVISOR_ROLES_H

/*
 * What the supervisor does with each role: how many processes, who talks to
 * whom, in which order a configuration comes into force, in which order the
 * server stops. All tables; nothing here runs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/role.h"
#include "supervisor/flags.h"
#include "supervisor/memory.h"

struct role_policy {
	bool		 is_worker;	/* runs from start to stop */
	bool		 must_exist;	/* no start without its program */
	bool		 waits_ready;	/* the start waits for its READY */
	bool		 may_open;	/* the broker answers it */
	bool		 may_append;	/* … with log files of ours to write */
	int		 oom_score_adj;	/* higher = sooner killed by the kernel */
	const char	*reloader;	/* the reference's name in the log line */
};

extern const struct role_policy role_policies[ROLE_COUNT];

/* How many processes; 0 when the role is not wanted. */
uint32_t role_count(enum role role, const struct flags *f);

/* RLIMIT_DATA of one process of n. */
uint64_t role_memory_limit(enum role role, uint32_t n,
	    const struct memory_plan *m);

/* Pairs of roles that get a channel for each pair of processes. */
struct role_pair { enum role a, b; };
extern const struct role_pair role_pairs[];
extern const size_t role_n_pairs;

/* Roles in the order in which COMMIT is sent. */
extern const enum role role_commit_order[];
extern const size_t role_n_commit;

/* Roles that stop together, with a deadline and the log's words. */
struct stop_stage {
	uint32_t	 roles;		/* set of 1 << role */
	uint32_t	 deadline_ms;
	bool		 flush;		/* + storage.remote.flush-deadline */
	const char	*before, *after;
};
extern const struct stop_stage stop_stages[];
extern const size_t n_stop_stages;

#endif
