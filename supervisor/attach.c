/* SPDX-License-Identifier: ISC */

/*
 * ATTACH, the first message to a worker: who it is, all flags as
 * status/flags shows them, our own options (ipc/worker.h lists them), and
 * the descriptors that its role needs.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/wire.h"
#include "supervisor/supervisor.h"

/* Of the environment that the config worker gets; the flags need the rest. */
#define ENVIRONMENT_MAX	(IPC_MSG_MAX - 16384)

struct attach {
	struct buf	head;		/* flags and options */
	uint32_t	n_pairs;
	struct buf	tags;
	uint32_t	n_tags;
	int		fds[LISTENERS_MAX + 8];
	struct buf	pairs;
};

static void
attach_pair(struct attach *a, const char *key, struct str value)
{
	wire_put_str(&a->pairs, str_c(key));
	wire_put_str(&a->pairs, value);
	a->n_pairs++;
}

static void
attach_number(struct attach *a, const char *key, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	attach_pair(a, key, str_c(text));
}

/* fd stays the caller's; a copy travels. */
static void
attach_fd(struct attach *a, const char *tag, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy == -1)
		return;		/* the worker says what it misses */
	wire_put_str(&a->tags, str_c(tag));
	a->fds[a->n_tags++] = copy;
}

static void
attach_flags(struct attach *a, const struct supervisor *sup)
{
	struct buf value;

	buf_init(&value, 0);
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		if (flag_defs[id].attrs & FA_LIBRARY)
			continue;
		buf_reset(&value);
		flags_format(sup->flags, (enum flag_id)id, &value);
		attach_pair(a, flag_defs[id].name, buf_str(&value));
	}
	buf_clear(&value);
}

/*
 * external_labels may name variables of the environment. The config worker
 * alone gets them; its own environment is empty like everybody's.
 */
static void
attach_environment(struct attach *a)
{
	char key[256];

	for (char **e = environ; e != NULL && *e != NULL; e++) {
		const char *eq = strchr(*e, '=');

		if (eq == NULL || (size_t)(eq - *e) > sizeof(key) - 16 ||
		    a->pairs.n + strlen(*e) > ENVIRONMENT_MAX)
			continue;
		snprintf(key, sizeof(key), "brazier.env.%.*s", (int)(eq - *e), *e);
		attach_pair(a, key, str_c(eq + 1));
	}
}

static void
attach_options(struct attach *a, const struct child *c)
{
	const struct supervisor *sup = c->sup;
	uint64_t n_queries = role_count(ROLE_QUERY, sup->flags);

	attach_number(a, "brazier.head.max-bytes", sup->memory.head_bytes);
	/* Half of a query worker's memory: the rest is code, caches, JSON. */
	attach_number(a, "brazier.query.limit-bytes",
	    role_memory_limit(c->role == ROLE_EVAL ? ROLE_EVAL : ROLE_QUERY,
	    (uint32_t)n_queries, &sup->memory) / 2);
	attach_number(a, "brazier.start-time-ms", (uint64_t)sup->start_ms);
	attach_number(a, "brazier.retention-ms",
	    (uint64_t)sup->settings->retention_ms);
	attach_number(a, "brazier.retention-bytes",
	    (uint64_t)sup->settings->retention_bytes);
	attach_number(a, "brazier.landlock-abi-max",
	    (uint64_t)flags_int(sup->flags, FLAG_LANDLOCK_ABI_MAX));
	attach_pair(a, "brazier.hostname", str_c(sup->hostname));
	attach_pair(a, "brazier.cwd", str_c(sup->cwd));
	attach_pair(a, "brazier.external-url", str_c(sup->settings->external_url));
	attach_pair(a, "brazier.route-prefix", str_c(sup->settings->route_prefix));
}

/* The active-query tracker lies in the data directory, which readers never
 * see: they get the open file, for writing alone. */
static void
attach_queries_active(struct attach *a, const struct child *c)
{
	int fd = queries_active_open_writer(c->sup);

	attach_number(a, "brazier.queries-active.slot",
	    queries_active_slot(c));
	if (fd == -1)
		return;
	attach_fd(a, "queries-active", fd);
	close(fd);
}

static void
attach_role_fds(struct attach *a, const struct child *c)
{
	const struct supervisor *sup = c->sup;

	if (c->role == ROLE_STORAGE || c->role == ROLE_COMPACT)
		attach_fd(a, "data-dir", sup->dirlock.dir_fd);
	if (c->role == ROLE_QUERY || c->role == ROLE_EVAL)
		attach_queries_active(a, c);
	if (c->role == ROLE_WEB)
		for (size_t i = 0; i < sup->listeners.n; i++)
			attach_fd(a, "listener", sup->listeners.fds[i]);
}

void
child_attach(struct child *c, const struct gifts *g)
{
	struct supervisor *sup = c->sup;
	const struct identity *id = &sup->identity;
	struct msg_attach msg = {
		.role = c->role, .instance = c->instance,
		.n_instances = c->role == ROLE_CONFIG ? 1 :
		    role_count(c->role, sup->flags),
		.generation = sup->generation,
		.uid = id->switches ? id->uid : 0,
		.gid = id->switches ? id->gid : 0,
		.memory_limit_bytes = c->memory_limit,
	};
	struct attach a = { .n_tags = 0 };
	struct err err = ERR_INIT;
	struct buf data;

	buf_init(&a.pairs, 0);
	buf_init(&a.tags, 0);
	attach_flags(&a, sup);
	attach_options(&a, c);
	if (c->role == ROLE_CONFIG)
		attach_environment(&a);
	attach_fd(&a, "log", g->log_fd);
	attach_fd(&a, "metrics", g->region_fd);
	attach_role_fds(&a, c);
	buf_init(&data, 0);
	buf_add(&data, &msg, sizeof(msg));
	wire_put_u32(&data, a.n_pairs);
	buf_add_str(&data, buf_str(&a.pairs));
	wire_put_u32(&data, a.n_tags);
	buf_add_str(&data, buf_str(&a.tags));
	if (ipc_send(c->ch, IPC_ATTACH, 0, data.p, data.n, a.fds, a.n_tags,
	    &err) == -1)
		child_kill(c, PEER_CAUSE_EXIT, "cannot be attached");
	buf_clear(&data);
	buf_clear(&a.pairs);
	buf_clear(&a.tags);
}
