/* SPDX-License-Identifier: ISC */
/*
 * The table. Read a row as: this role may do these things and nothing else,
 * because of that. GRANT_BASE, GRANT_LOOP and GRANT_CHANNEL are what makes a
 * process a worker at all and have their reasons once, at the top.
 */
#include "common/sandbox/table.h"

#define MIB	(1024ULL * 1024)
#define GIB	(1024 * MIB)

/* What every worker has. */
#define WORKER \
	{ GRANT_BASE, "memory, time, own descriptors, ending" }, \
	{ GRANT_LOOP, "waits for its channels and timers" }, \
	{ GRANT_CHANNEL, "talks to the supervisor and its peers" }

#define ROW(r, files, fsize, ...) { .role = ROLE_##r, .nofile = (files), \
	.fsize_bytes = (fsize), .grants = { WORKER, ##__VA_ARGS__ }, \
	.n_grants = sizeof((struct sandbox_reason[]){ WORKER, ##__VA_ARGS__ }) / \
	    sizeof(struct sandbox_reason) }

static const struct sandbox_row rows[] = {
	ROW(CONFIG, 4096, 512 * MIB,
	    { GRANT_MEMFD, "hands out one sealed blob a role" }),
	ROW(STORAGE, 65536, 0,
	    { GRANT_DATA_READ, "replays WAL and chunks_head, opens them for readers" },
	    { GRANT_DATA_WRITE, "is the one writer of the data directory" },
	    { GRANT_THREADS, "fdatasync would stall the loop; replay uses all CPUs" }),
	ROW(COMPACT, 4096, 0,
	    { GRANT_DATA_READ, "reads blocks, WAL and chunks_head" },
	    { GRANT_DATA_WRITE, "writes blocks and checkpoints, removes old ones" }),
	ROW(RESOLVER, 1024, 16 * MIB,
	    { GRANT_DNS, "asks name servers, over UDP sockets made before" }),
	ROW(DISCOVERY, 16384, 512 * MIB,
	    { GRANT_TCP, "asks the services that know targets" },
	    { GRANT_MEMFD, "hands target groups on" }),
	ROW(SCRAPE, 65536, 512 * MIB,
	    { GRANT_TCP, "connects to targets" },
	    { GRANT_MEMFD, "hands targets to web and long label sets to storage" }),
	ROW(RULES, 4096, 512 * MIB,
	    { GRANT_MEMFD, "hands the state of rules to web" }),
	/* what they write to are log files, which may be long */
	ROW(QUERY, 4096, 64 * GIB,
	    { GRANT_APPEND, "writes the query log and the tracker of active queries" }),
	ROW(EVAL, 4096, 64 * GIB,
	    { GRANT_APPEND, "writes the query log and the tracker of active queries" }),
	ROW(NOTIFY, 4096, 512 * MIB,
	    { GRANT_TCP, "connects to Alertmanagers" }),
	ROW(REMOTE, 16384, 0,
	    { GRANT_TCP, "connects to remote storage" },
	    { GRANT_DATA_READ, "tails the WAL" },
	    { GRANT_MEMFD, "hands decoded series on" }),
	ROW(WEB, 65536, 512 * MIB,
	    { GRANT_ACCEPT, "serves HTTP on the listeners it was given" },
	    { GRANT_MEMFD, "hands large requests to query in a sealed memfd" }),
	ROW(AUTH, 64, 1 * MIB)
};

const struct sandbox_row *
sandbox_row(enum role role)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].role == role)
			return &rows[i];
	return NULL;
}

bool
sandbox_row_has(const struct sandbox_row *row, enum sandbox_grant grant)
{
	size_t i;

	for (i = 0; i < row->n_grants; i++)
		if (row->grants[i].grant == grant)
			return true;
	return false;
}

const char *
sandbox_grant_name(enum sandbox_grant grant)
{
	static const char *const names[GRANT_COUNT] = {
		[GRANT_BASE] = "BASE", [GRANT_LOOP] = "LOOP",
		[GRANT_CHANNEL] = "CHANNEL", [GRANT_MEMFD] = "MEMFD",
		[GRANT_ACCEPT] = "ACCEPT", [GRANT_TCP] = "TCP",
		[GRANT_DNS] = "DNS", [GRANT_DATA_READ] = "DATA_READ",
		[GRANT_DATA_WRITE] = "DATA_WRITE",
		[GRANT_THREADS] = "THREADS", [GRANT_APPEND] = "APPEND"
	};

	return (unsigned)grant < GRANT_COUNT ? names[grant] : "?";
}
