/* SPDX-License-Identifier: ISC */

/*
 * Life of a worker as the supervisor sees it:
 *
 *	DOWN → child_start → BOOT → ATTACHED → UP → (PREPARE, COMMIT, RUN …)
 *	  ↑                                      |
 *	  └── back-off ←── reaped ←── death ─────┘
 *
 * What it says meanwhile is child_messages.c, its end deaths.c.
 */

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "ipc/memfd.h"
#include "supervisor/child.h"
#include "supervisor/supervisor.h"

#define BACKOFF_FIRST_MS	100
#define BACKOFF_MAX_MS		5000
#define BOOT_DEADLINE_MS	30000	/* from fork to ATTACHED */

const char *
child_name(const struct child *c, char out[32])
{
	snprintf(out, 32, "%s/%u", role_name(c->role), (unsigned)c->instance);
	return out;
}

struct child *
children_find(struct supervisor *sup, enum role role, uint32_t instance)
{
	for (size_t i = 0; i < sup->n_children; i++)
		if (sup->children[i].role == role &&
		    sup->children[i].instance == instance)
			return &sup->children[i];
	return NULL;
}

/* --- sending --- */

void
child_send(struct child *c, enum ipc_type type, uint64_t id, const void *data,
    size_t n, int fd)
{
	struct err err = ERR_INIT;
	char name[32];

	if (c->ch == NULL || !ipc_channel_is_open(c->ch)) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (ipc_send(c->ch, type, id, data, n, &fd, fd == -1 ? 0 : 1,
	    &err) == -1) {
		log_error("Message to a worker was lost",
		    F_STR("role", child_name(c, name)),
		    F_STR("message", ipc_row(type)->name), F_ERR(&err));
		child_kill(c, PEER_CAUSE_VIOLATION, "does not read its channel");
	}
}

void
child_send_text(struct child *c, enum ipc_type type, uint64_t id,
    const void *data, size_t n, struct str text, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, data, n);
	if (text.n > IPC_MSG_MAX / 2)
		text.n = IPC_MSG_MAX / 2;
	wire_put_str(&b, text);
	child_send(c, type, id, b.p, b.n, fd);
	buf_clear(&b);
}

/* --- start --- */

static void
arm(struct event *timer, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	event_add(timer, &tv);
}

static void
gifts_close(struct gifts *g)
{
	if (g->log_fd != -1)
		close(g->log_fd);
	if (g->region_fd != -1)
		close(g->region_fd);
}

static int
child_spawn(struct child *c, struct gifts *g, struct err *err)
{
	struct supervisor *sup = c->sup;
	struct ipc_ends ends = { ROLE_SUPERVISOR, c->role, 0, c->instance };
	int fds[2];

	g->region_fd = memfd_shared("metrics", METRICS_REGION_BYTES, err);
	if (g->region_fd == -1 ||
	    (c->metrics_fd = memfd_readonly(g->region_fd, err)) == -1 ||
	    ipc_pair(fds, err) == -1)
		return -1;
	if (log_input_open(&c->log, &sup->log_writer, sup->base, &g->log_fd,
	    err) == -1) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	c->pid = launcher_start(&sup->launcher, c->role, c->instance, fds[1],
	    role_policies[c->role].oom_score_adj, err);
	close(fds[1]);
	if (c->pid == -1) {
		c->pid = 0;
		close(fds[0]);
		return -1;
	}
	c->ch = ipc_channel_new(sup->base, fds[0], ends, child_handlers,
	    child_n_handlers, child_on_closed, c);
	if (c->ch == NULL)
		fatal("out of memory");
	return 0;
}

void
child_clear_process(struct child *c)
{
	if (c->ch != NULL)
		ipc_channel_free(c->ch);
	c->ch = NULL;
	log_input_close(&c->log);
	if (c->metrics_fd != -1)
		close(c->metrics_fd);
	c->metrics_fd = -1;
	c->pid = 0;
	c->state = CHILD_DOWN;
	c->step = STEP_IDLE;
	c->ready = c->running = false;
	c->generation = 0;
	c->kill_reason = NULL;
	c->channel_lost = c->said_stopped = c->leaving = false;
	c->asked = false;
	memset(&c->attached, 0, sizeof(c->attached));
}

void
child_retry_later(struct child *c)
{
	c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_FIRST_MS :
	    c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS :
	    c->backoff_ms * 2;
	arm(c->restart_timer, c->backoff_ms);
}

void
child_start(struct child *c)
{
	struct err err = ERR_INIT;
	struct gifts gifts = { -1, -1 };
	char name[32];

	if (c->pid != 0)
		return;
	event_del(c->restart_timer);
	c->started = mono_now();
	if (child_spawn(c, &gifts, &err) == -1) {
		log_error("Worker cannot be started",
		    F_STR("role", child_name(c, name)), F_ERR(&err));
		gifts_close(&gifts);
		child_clear_process(c);
		if (c->role == ROLE_CONFIG)
			reload_on_death(c, err.text);
		else
			child_retry_later(c);
		return;
	}
	c->state = CHILD_BOOT;
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.started");
	child_attach(c, &gifts);
	gifts_close(&gifts);
	arm(c->kill_timer, FAULT_DEADLINE_MS(BOOT_DEADLINE_MS));
	log_debug("Worker started", F_STR("role", child_name(c, name)),
	    F_UINT("child_pid", (uint64_t)c->pid));
}

void
child_run(struct child *c)
{
	if (c->running || c->state != CHILD_UP || c->ch == NULL)
		return;
	c->running = true;
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.run");
	child_send(c, IPC_RUN, 0, NULL, 0, -1);
	if (c->ch != NULL)
		ipc_channel_set_state(c->ch, IPC_RUNNING);
}

static void
restart_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (c->sup->phase != SUPER_STOPPING)
		child_start(c);
}

static void
kill_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	child_kill(c, PEER_CAUSE_KILLED, c->state == CHILD_BOOT ?
	    "did not lock itself in in time" : "did not stop in time");
}

void
child_kill(struct child *c, enum peer_cause cause, const char *reason)
{
	if (c->pid == 0)
		return;
	if (c->kill_reason == NULL) {
		c->kill_reason = reason;
		c->kill_cause = cause;
	}
	(void)kill(c->pid, SIGKILL);
}

void
child_stop(struct child *c, uint32_t deadline_ms)
{
	struct msg_stop msg = { .deadline_ms = deadline_ms };

	if (c->pid == 0 || c->state == CHILD_STOPPING)
		return;
	c->state = CHILD_STOPPING;
	if (c->ch == NULL) {
		(void)kill(c->pid, SIGKILL);
		return;
	}
	ipc_channel_set_state(c->ch, IPC_STOPPING);
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.stop");
	child_send(c, IPC_STOP, 0, &msg, sizeof(msg), -1);
	arm(c->kill_timer, (int64_t)deadline_ms + 500);
}

bool
child_replace(struct child *c, uint32_t deadline_ms)
{
	struct msg_stop msg = { .deadline_ms = deadline_ms };

	if (c->state != CHILD_UP || c->step != STEP_IDLE || c->ch == NULL ||
	    c->leaving)
		return false;
	c->leaving = true;
	ipc_channel_set_state(c->ch, IPC_STOPPING);
	child_send(c, IPC_STOP, 0, &msg, sizeof(msg), -1);
	arm(c->kill_timer, (int64_t)deadline_ms + 500);
	return true;
}

/* --- the set --- */

static void
child_init(struct child *c, struct supervisor *sup, enum role role,
    uint32_t instance)
{
	memset(c, 0, sizeof(*c));
	c->sup = sup;
	c->role = role;
	c->instance = instance;
	c->metrics_fd = -1;
	c->log.fd = -1;
	c->memory_limit = role_memory_limit(role, role_count(role, sup->flags),
	    &sup->memory);
	c->restart_timer = evtimer_new(sup->base, restart_timer_cb, c);
	c->kill_timer = evtimer_new(sup->base, kill_timer_cb, c);
	if (c->restart_timer == NULL || c->kill_timer == NULL)
		fatal("out of memory");
}

int
children_new(struct supervisor *sup, struct err *err)
{
	size_t n = 0;

	for (int r = 0; r < ROLE_COUNT; r++) {
		if (sup->launcher.fds[r] == -1 && role_policies[r].must_exist)
			return err_set(err, ERR_NOT_FOUND, "open %s/%s: no such "
			    "file or directory", sup->launcher.dir,
			    role_name((enum role)r));
		if (role_policies[r].is_worker && sup->launcher.fds[r] != -1)
			n += role_count((enum role)r, sup->flags);
	}
	sup->children = xcalloc(n, sizeof(*sup->children));
	for (int r = 0; r < ROLE_COUNT; r++) {
		if (!role_policies[r].is_worker || sup->launcher.fds[r] == -1)
			continue;
		for (uint32_t i = 0; i < role_count((enum role)r, sup->flags); i++)
			child_init(&sup->children[sup->n_children++], sup,
			    (enum role)r, i);
	}
	child_init(&sup->config, sup, ROLE_CONFIG, 0);
	sup->oom_kills = oom_kills();
	return 0;
}

static void
child_free(struct child *c)
{
	if (c->pid != 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	child_clear_process(c);
	if (c->restart_timer != NULL)
		event_free(c->restart_timer);
	if (c->kill_timer != NULL)
		event_free(c->kill_timer);
}

void
children_free(struct supervisor *sup)
{
	peers_free(sup);
	for (size_t i = 0; i < sup->n_children; i++)
		child_free(&sup->children[i]);
	if (sup->config.sup != NULL)
		child_free(&sup->config);
	free(sup->children);
	sup->children = NULL;
	sup->n_children = 0;
}
