/* SPDX-License-Identifier: ISC */

/*
 * What workers tell the supervisor, one function a message. Most of it is
 * passed to the file whose business it is: reload.c, broker.c, control.c.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "supervisor/child.h"
#include "supervisor/supervisor.h"

static void
on_attached(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;
	struct wire_reader r;
	struct str missing;
	char name[32];

	memcpy(&c->attached, m->data, sizeof(c->attached));
	wire_reader_init(&r, (const char *)m->data + sizeof(c->attached),
	    m->n - sizeof(c->attached));
	missing = wire_get_str(&r);
	if (!wire_end(&r) || c->state != CHILD_BOOT) {
		ipc_violation(ch, m, "malformed or second");
		return;
	}
	snprintf(c->missing, sizeof(c->missing), "%.*s", STR_ARG(missing));
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.attached");
	event_del(c->kill_timer);
	c->state = CHILD_UP;
	ipc_channel_set_state(ch, IPC_UP);
	log_debug("Worker is locked in", F_STR("role", child_name(c, name)),
	    F_UINT("child_pid", (uint64_t)c->pid),
	    F_UINT("landlock_abi", c->attached.landlock_abi),
	    F_UINT("seccomp", c->attached.seccomp),
	    F_UINT("uid", c->attached.uid));
	if (c->missing[0] != '\0' && !c->sup->missing_told) {
		log_warn("The kernel lacks parts of the confinement",
		    F_STR("missing", c->missing));
		c->sup->missing_told = true;
	}
	if (c->role == ROLE_CONFIG) {
		reload_on_attached(c);
		return;
	}
	peers_connect(c);
	if (c->role == ROLE_WEB) {
		peers_send_regions(c);
		peers_send_server_state(c->sup);
	} else
		peers_send_region(c);
	startup_check(c->sup);
	reload_catch_up(c);
}

static void
on_ready(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;

	(void)ch;
	(void)m;
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.ready");
	c->ready = true;
	startup_check(c->sup);
}

static void
on_prepared(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_prepared *p = m->data;
	struct child *c = ctx;
	struct wire_reader r;
	struct str why;

	wire_reader_init(&r, p + 1, m->n - sizeof(*p));
	why = wire_get_str(&r);
	if (!wire_end(&r))
		ipc_violation(ch, m, "malformed");
	else if (m->generation == c->next_generation &&
	    c->step == STEP_PREPARING)
		reload_on_prepared(c, p->ok == 1, why);
	else if (m->generation > c->sup->last_generation)
		ipc_violation(ch, m, "not asked for");
	/* else it crossed our ABORT */
}

static void
on_committed(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;

	if (c->step != STEP_COMMITTING)
		ipc_violation(ch, m, "not asked for");
	else
		reload_on_committed(c);
}

static void
on_stopped(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;

	/* The end itself is seen when the process is reaped. */
	c->said_stopped = true;
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.stopped");
	(void)ch;
	(void)m;
}

static void
on_progress(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;

	(void)ch;
	memcpy(&c->sup->replay, m->data, sizeof(c->sup->replay));
	peers_send_server_state(c->sup);
}

static void
on_pong(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	(void)m;
	watchdog_on_pong(ctx);
}

static void
on_kill_reader(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_kill_reader *k = m->data;
	struct child *c = ctx, *reader;
	char name[32];

	reader = k->role == ROLE_QUERY || k->role == ROLE_EVAL ?
	    children_find(c->sup, (enum role)k->role, k->instance) : NULL;
	if (reader == NULL) {
		ipc_violation(ch, m, "no such reader");
		return;
	}
	log_warn("Reader of the head holds its epoch too long",
	    F_STR("role", child_name(reader, name)), F_UINT("held_ms", k->held_ms));
	child_kill(reader, PEER_CAUSE_LIMIT, "held the head too long");
}

static void
on_open(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	broker_on_open(ctx, m);
}

static void
on_glob(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	broker_on_glob(ctx, m);
}

static void
on_watch(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	broker_on_watch(ctx, m);
}

static void
on_blob(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	reload_on_blob(ctx, m);
}

static void
on_loaded(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	reload_on_loaded(ctx, m);
}

/* A reload asked for by web: who to answer, if that web still lives. */
struct web_reload {
	struct supervisor	*sup;
	uint32_t		 instance;
	pid_t			 pid;
	uint64_t		 id;
};

static void
web_reload_done_cb(void *arg, const struct err *err, unsigned exit_code)
{
	struct web_reload *w = arg;
	struct child *c = children_find(w->sup, ROLE_WEB, w->instance);
	struct msg_reloaded msg = { .ok = err == NULL,
	    .generation = w->sup->generation };

	(void)exit_code;
	if (c != NULL && c->pid == w->pid)
		child_send_text(c, IPC_RELOADED, w->id, &msg, sizeof(msg),
		    err == NULL ? STR_EMPTY : str_c(err->text), -1);
	free(w);
}

static void
on_reload(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;
	struct web_reload *w = xmalloc(sizeof(*w));

	(void)ch;
	*w = (struct web_reload){ c->sup, c->instance, c->pid, m->id };
	reload_request(c->sup, web_reload_done_cb, w);
}

static void
on_quit(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;

	(void)ch;
	(void)m;
	log_warn("Received termination request via web service, exiting "
	    "gracefully...");
	stop_begin(c->sup, NULL);
}

static void
on_ctl_reply(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct child *c = ctx;

	(void)ch;
	control_on_web_reply(c->sup, m);
}

static void
on_peer_lost(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	if (!peers_lost(ctx, m->data))
		ipc_violation(ch, m, "no such peer");
}

/* Which role may send which of these is the catalogue's business. */
const struct ipc_handler child_handlers[] = {
	{ IPC_ATTACHED, on_attached },
	{ IPC_READY, on_ready },
	{ IPC_PREPARED, on_prepared },
	{ IPC_COMMITTED, on_committed },
	{ IPC_STOPPED, on_stopped },
	{ IPC_PROGRESS, on_progress },
	{ IPC_PONG, on_pong },
	{ IPC_OPEN, on_open },
	{ IPC_GLOB, on_glob },
	{ IPC_WATCH, on_watch },
	{ IPC_BLOB, on_blob },
	{ IPC_LOADED, on_loaded },
	{ IPC_RELOAD, on_reload },
	{ IPC_QUIT, on_quit },
	{ IPC_KILL_READER, on_kill_reader },
	{ IPC_PEER_LOST, on_peer_lost },
	{ IPC_CTL_REPLY, on_ctl_reply },
};

const size_t child_n_handlers =
    sizeof(child_handlers) / sizeof(child_handlers[0]);

void
child_on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	struct child *c = ctx;

	c->ch = NULL;
	ipc_channel_free(ch);
	if (strcmp(why, "protocol violation") == 0)
		child_kill(c, PEER_CAUSE_VIOLATION, "broke the protocol");
	else if (c->pid != 0) {
		/* It is exiting, or will never be heard of again. */
		c->channel_lost = true;
		(void)kill(c->pid, SIGKILL);
	}
}
