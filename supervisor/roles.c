/* SPDX-License-Identifier: ISC */

/* See roles.h. */

#include "supervisor/roles.h"

#include <unistd.h>

#define SCRAPE_WORKERS_MAX	4
#define WORKERS_MAX		64	/* of one role, whatever the flags say */
#define LIMIT_MIN_BYTES		(128ULL << 20)

const struct role_policy role_policies[ROLE_COUNT] = {
	[ROLE_CONFIG]	 = { .may_open = true, .must_exist = true },
	[ROLE_STORAGE]	 = { .is_worker = true, .must_exist = true,
	    .waits_ready = true, .reloader = "db_storage" },
	[ROLE_COMPACT]	 = { .is_worker = true, .oom_score_adj = 200 },
	[ROLE_RESOLVER]	 = { .is_worker = true, .must_exist = true },
	[ROLE_DISCOVERY] = { .is_worker = true, .may_open = true,
	    .reloader = "scrape_sd" },
	[ROLE_SCRAPE]	 = { .is_worker = true, .must_exist = true,
	    .may_open = true, .may_append = true, .oom_score_adj = 50,
	    .reloader = "scrape" },
	[ROLE_RULES]	 = { .is_worker = true, .oom_score_adj = 50,
	    .reloader = "rules" },
	[ROLE_QUERY]	 = { .is_worker = true, .must_exist = true,
	    .may_open = true, .may_append = true, .oom_score_adj = 700,
	    .reloader = "query_engine" },
	[ROLE_EVAL]	 = { .is_worker = true, .oom_score_adj = 400 },
	[ROLE_NOTIFY]	 = { .is_worker = true, .may_open = true,
	    .reloader = "notify" },
	[ROLE_REMOTE]	 = { .is_worker = true, .may_open = true,
	    .oom_score_adj = 100, .reloader = "remote_storage" },
	[ROLE_WEB]	 = { .is_worker = true, .must_exist = true,
	    .may_open = true, .oom_score_adj = 100, .reloader = "web_handler" },
	[ROLE_AUTH]	 = { .is_worker = true },
};

static uint32_t
cpu_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (uint32_t)n;
}

static uint32_t
bound(int64_t n)
{
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (uint32_t)n;
}

static uint32_t
count_scrape(const struct flags *f)
{
	uint32_t n = cpu_count();

	if (flags_int(f, FLAG_SCRAPE_WORKERS) > 0)
		return bound(flags_int(f, FLAG_SCRAPE_WORKERS));
	return n > SCRAPE_WORKERS_MAX ? SCRAPE_WORKERS_MAX : n;
}

/* min(max-concurrency, max(4, 2 x CPUs)) */
static uint32_t
count_query(const struct flags *f)
{
	int64_t n = 2 * (int64_t)cpu_count();

	if (flags_int(f, FLAG_QUERY_WORKERS) > 0)
		return bound(flags_int(f, FLAG_QUERY_WORKERS));
	if (n < 4)
		n = 4;
	if (n > flags_int(f, FLAG_QUERY_CONCURRENCY))
		n = flags_int(f, FLAG_QUERY_CONCURRENCY);
	return bound(n);
}

uint32_t
role_count(enum role role, const struct flags *f)
{
	switch (role) {
	case ROLE_STORAGE:
	case ROLE_RESOLVER:
	case ROLE_WEB:
		return 1;
	case ROLE_SCRAPE:
		return count_scrape(f);
	case ROLE_QUERY:
		return count_query(f);
	default:
		return 0;	/* not in this release */
	}
}

uint64_t
role_memory_limit(enum role role, uint32_t n, const struct memory_plan *m)
{
	uint64_t limit;

	if (n == 0)
		n = 1;
	switch (role) {
	case ROLE_QUERY:
		limit = m->query_bytes / n;
		break;
	case ROLE_EVAL:
		limit = m->eval_bytes / n;
		break;
	case ROLE_STORAGE:
		/* The head is shared memory and not counted; tables are. */
		limit = m->head_bytes / 2 + m->rest_bytes / 4;
		break;
	case ROLE_SCRAPE:
		limit = m->rest_bytes / 2 / n;
		break;
	default:
		limit = m->rest_bytes / 4;
		break;
	}
	return limit < LIMIT_MIN_BYTES ? LIMIT_MIN_BYTES : limit;
}

const struct role_pair role_pairs[] = {
	{ ROLE_SCRAPE, ROLE_STORAGE },
	{ ROLE_RULES, ROLE_STORAGE },
	{ ROLE_REMOTE, ROLE_STORAGE },
	{ ROLE_QUERY, ROLE_STORAGE },
	{ ROLE_EVAL, ROLE_STORAGE },
	{ ROLE_WEB, ROLE_QUERY },
	{ ROLE_RULES, ROLE_EVAL },
	{ ROLE_WEB, ROLE_SCRAPE },
	{ ROLE_SCRAPE, ROLE_RESOLVER },
	{ ROLE_DISCOVERY, ROLE_RESOLVER },
	{ ROLE_NOTIFY, ROLE_RESOLVER },
	{ ROLE_REMOTE, ROLE_RESOLVER },
};
const size_t role_n_pairs = sizeof(role_pairs) / sizeof(role_pairs[0]);

/* storage, remote, web, query, scrape, discovery, notify, rules (DESIGN 7) */
const enum role role_commit_order[] = {
	ROLE_STORAGE, ROLE_COMPACT, ROLE_RESOLVER, ROLE_REMOTE, ROLE_AUTH,
	ROLE_WEB, ROLE_QUERY, ROLE_EVAL, ROLE_SCRAPE, ROLE_DISCOVERY,
	ROLE_NOTIFY, ROLE_RULES,
};
const size_t role_n_commit =
    sizeof(role_commit_order) / sizeof(role_commit_order[0]);

#define SET(r)	(1u << ROLE_##r)

/*
 * Who produces stops before who consumes. The resolver serves all who dial,
 * so it outlives them; queries run on the head's mapping to the end.
 */
const struct stop_stage stop_stages[] = {
	{ SET(CONFIG), 1000, false, NULL, NULL },
	{ SET(DISCOVERY), 5000, false, "Stopping scrape discovery manager...",
	    "Scrape discovery manager stopped" },
	{ SET(SCRAPE), 15000, false, "Stopping scrape manager...",
	    "Scrape manager stopped" },
	{ SET(RULES) | SET(EVAL), 15000, false, "Stopping rule manager...",
	    "Rule manager stopped" },
	{ SET(NOTIFY), 15000, false, "Stopping notifier manager...",
	    "Notifier manager stopped" },
	{ SET(REMOTE), 5000, true, "Stopping remote storage...",
	    "Remote storage stopped" },
	{ SET(RESOLVER) | SET(COMPACT), 5000, false, NULL, NULL },
	{ SET(STORAGE), 60000, false, "Stopping storage...", "TSDB stopped" },
	{ SET(WEB) | SET(AUTH), 5000, false, "Stopping web handler...",
	    "Web handler stopped" },
	{ SET(QUERY), 5000, false, NULL, NULL },
};
const size_t n_stop_stages = sizeof(stop_stages) / sizeof(stop_stages[0]);
