/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_SANDBOX_TABLE_H
#define BRAZIER_COMMON_SANDBOX_TABLE_H

/*
 * What each role may do: a row a role, a reason beside each grant. Grants are
 * sets of system calls (calls.c) and, for the data directory, Landlock
 * rights. What a row does not grant kills the process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/role.h"

enum sandbox_grant {
	/* Memory, time, its own descriptors, ending: every process. */
	GRANT_BASE,
	/* epoll, timers and wake-ups of the event loop. */
	GRANT_LOOP,
	/* Messages and descriptors over channels it was given. */
	GRANT_CHANNEL,
	/* New anonymous memory files, sealed before they are handed out. */
	GRANT_MEMFD,
	/* New connections from a listener it was given. */
	GRANT_ACCEPT,
	/* Stream sockets of IPv4 and IPv6, and their options. */
	GRANT_TCP,
	/* Datagrams over sockets that it made before the lock-in. */
	GRANT_DNS,
	/* Opening and reading below the data directory. */
	GRANT_DATA_READ,
	/* Creating, writing, renaming, removing below the data directory. */
	GRANT_DATA_WRITE,
	/* Threads of its own (never processes). */
	GRANT_THREADS,
	/* Appending to a file descriptor it was given. */
	GRANT_APPEND,
	GRANT_COUNT
};

struct sandbox_reason {
	enum sandbox_grant	 grant;
	const char		*why;
};

#define SANDBOX_GRANTS_MAX 10

struct sandbox_row {
	enum role		 role;
	uint32_t		 nofile;	/* RLIMIT_NOFILE */
	uint64_t		 fsize_bytes;	/* RLIMIT_FSIZE, 0 = none */
	struct sandbox_reason	 grants[SANDBOX_GRANTS_MAX];
	size_t			 n_grants;
};

/* NULL for a role that is no worker. */
const struct sandbox_row *sandbox_row(enum role role);
bool	 sandbox_row_has(const struct sandbox_row *row,
	    enum sandbox_grant grant);
/* "DATA_READ" and what it stands for. */
const char *sandbox_grant_name(enum sandbox_grant grant);

#endif
