/* SPDX-License-Identifier: ISC */

/*
 * A worker for tests of the supervisor. It takes the role that it is started
 * as. As config it does not read the configuration file: the file's name is
 * the script. A name that begins with "bad" is refused; any other becomes
 * everybody's blob. As a worker it looks for itself in the blob:
 *
 *	refuse=ROLE	does not accept the configuration
 *	die=ROLE	ends while it prepares it (instance 0)
 *	late=ROLE	accepts it 200 ms later
 *	end=ROLE	accepts it, then ends instead of committing (instance 0,
 *			once: a worker that is new to it commits)
 *	part=ROLE	closes its channel to each peer when it commits
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/wire.h"
#include "ipc/memfd.h"
#include "ipc/worker.h"

struct double_ctx {
	struct worker	*w;
	enum role	 role;
	struct event	*timer;
	uint32_t	 late_generation;
	bool		 ran;		/* has seen RUN */
	bool		 ends, parts;	/* at the next COMMIT */
};

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct double_ctx *d = arg;

	(void)fd;
	(void)what;
	worker_prepared(d->w, d->late_generation, NULL);
}

static int
double_start(void *ctx, struct worker *w, struct err *err)
{
	struct double_ctx *d = ctx;

	(void)err;
	d->w = w;
	d->timer = evtimer_new(worker_base(w), timer_cb, d);
	return d->timer == NULL ? -1 : 0;
}

static int
double_locked(void *ctx, struct err *err)
{
	struct double_ctx *d = ctx;

	(void)err;
	if (d->role == ROLE_STORAGE)
		worker_ready(d->w);
	return 0;
}

static bool
script_has(const struct double_ctx *d, struct str blob, const char *verb)
{
	char want[64], text[512];

	snprintf(want, sizeof(want), "%s=%s", verb, role_name(d->role));
	snprintf(text, sizeof(text), "%.*s", STR_ARG(blob));
	return strstr(text, want) != NULL;
}

static int
double_prepare(void *ctx, uint32_t gen, struct str blob, struct err *err)
{
	struct timeval tv = { 0, 200000 };
	struct double_ctx *d = ctx;

	if (script_has(d, blob, "refuse"))
		return err_set(err, ERR_BAD_DATA, "%s does not like it",
		    role_name(d->role));
	if (script_has(d, blob, "die") && worker_instance(d->w) == 0)
		_exit(7);
	d->ends = d->ran && worker_instance(d->w) == 0 &&
	    script_has(d, blob, "end");
	d->parts = d->ran && script_has(d, blob, "part");
	if (script_has(d, blob, "late")) {
		d->late_generation = gen;
		event_add(d->timer, &tv);
		return 1;
	}
	return 0;
}

/* As if they had broken the protocol. */
static void
part(struct double_ctx *d)
{
	const struct ipc_msg m = { .type = IPC_CREDIT };

	for (int r = 0; r < ROLE_COUNT; r++) {
		struct ipc_channel *ch = worker_peer(d->w, (enum role)r, 0);

		if (ch != NULL)
			ipc_violation(ch, &m, "parting");
	}
	d->parts = false;
}

static void
double_peer_up(void *ctx, struct ipc_channel *ch)
{
	const struct double_ctx *d = ctx;

	log_info("double connects", F_STR("role", role_name(d->role)),
	    F_STR("to", role_name(ipc_channel_ends(ch).peer)));
}

static void
double_commit(void *ctx, uint32_t gen)
{
	struct double_ctx *d = ctx;

	if (d->ends)
		_exit(8);
	if (d->parts)
		part(d);
	log_info("double commits", F_STR("role", role_name(d->role)),
	    F_UINT("generation", gen));
}

static void
double_run(void *ctx)
{
	struct double_ctx *d = ctx;

	d->ran = true;
	log_info("double runs", F_STR("role", role_name(d->role)));
}

static void
on_load(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	static const enum role roles[] = { ROLE_STORAGE, ROLE_SCRAPE,
	    ROLE_QUERY, ROLE_WEB };
	struct msg_loaded loaded = { .ok = 1 };
	struct err err = ERR_INIT;
	struct wire_reader r;
	struct str path;
	struct buf b;

	(void)ctx;
	wire_reader_init(&r, (const char *)m->data + sizeof(struct msg_load),
	    m->n - sizeof(struct msg_load));
	path = wire_get_str(&r);
	if (str_has_prefix(path, STR_LIT("bad")))
		loaded = (struct msg_loaded){ .ok = 0, .exit_code = 2 };
	for (size_t i = 0; loaded.ok && i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct msg_blob blob = { .role = roles[i] };
		int fd = memfd_seal("blob", path, &err);

		(void)ipc_send(ch, IPC_BLOB, m->id, &blob, sizeof(blob), &fd, 1,
		    &err);
	}
	buf_init(&b, 0);
	buf_add(&b, &loaded, sizeof(loaded));
	wire_put_str(&b, loaded.ok ? STR_EMPTY : STR_LIT("line 3: it is bad"));
	wire_put_u32(&b, 0);
	wire_put_u32(&b, 0);
	wire_put_u32(&b, 0);
	(void)ipc_send(ch, IPC_LOADED, m->id, b.p, b.n, NULL, 0, &err);
	buf_clear(&b);
}

static void
on_ignored(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ctx;
	(void)ch;
	(void)m;
}

static const struct ipc_handler config_handlers[] = {
	{ IPC_LOAD, on_load },
};
static const struct ipc_handler web_handlers[] = {
	{ IPC_METRICS_REGION, on_ignored },
	{ IPC_METRICS_GONE, on_ignored },
	{ IPC_SERVER_STATE, on_ignored },
};

int
main(int argc, char **argv)
{
	struct double_ctx ctx = { .role = ROLE_COUNT };
	struct worker_peer peers[ROLE_COUNT];
	struct worker_role role = { .start = double_start,
	    .locked = double_locked, .prepare = double_prepare,
	    .commit = double_commit, .run = double_run,
	    .peer_up = double_peer_up, .peers = peers,
	    .n_peers = ROLE_COUNT };

	/* "brazier-scrape" */
	if (argc < 1 || strlen(argv[0]) < 9)
		return 1;
	ctx.role = role_by_name(str_c(argv[0] + 8));
	role.role = ctx.role;
	for (int i = 0; i < ROLE_COUNT; i++)
		peers[i] = (struct worker_peer){ (enum role)i, NULL, 0 };
	if (ctx.role == ROLE_CONFIG) {
		role.handlers = config_handlers;
		role.n_handlers = 1;
	} else if (ctx.role == ROLE_WEB) {
		role.handlers = web_handlers;
		role.n_handlers = 3;
	}
	return worker_main(&role, &ctx);
}
