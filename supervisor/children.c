/* SPDX-License-Identifier: ISC */

/*
 * Life of a worker as the supervisor sees it:
 *
 *	DOWN → child_start → BOOT → ATTACHED → UP → (PREPARE, COMMIT, RUN …)
 *	  ↑                                      |
 *	  └── back-off ←── reaped ←── death ─────┘
 *
 * A worker is dead when it has been reaped, and only then: a channel that
 * closes earlier gets its process killed. What the worker last said, on its
 * channel and to the log, is heard before the death is told: who has answered
 * and died has answered.
 */

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
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
#include "common/sandbox/sandbox.h"
#include "ipc/memfd.h"
#include "supervisor/kernel_log.h"
#include "supervisor/supervisor.h"

#define BACKOFF_FIRST_MS	100
#define BACKOFF_MAX_MS		5000
#define HEALTHY_SPELL_MS	30000	/* then the back-off begins anew */
#define BOOT_DEADLINE_MS	30000	/* from fork to ATTACHED */
#define STARTUP_DEATHS_MAX	5	/* of one worker, then the start fails */
#define LAST_WORDS_MAX		64	/* times the channel is read after death */

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

/* --- messages from a worker --- */

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
static const struct ipc_handler handlers[] = {
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

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
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
	c->ch = ipc_channel_new(sup->base, fds[0], ends, handlers,
	    sizeof(handlers) / sizeof(handlers[0]), on_closed, c);
	if (c->ch == NULL)
		fatal("out of memory");
	return 0;
}

static void
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

static void
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

/* --- death --- */

/* Kills by the kernel's memory killer since boot, to tell them apart. */
static uint64_t
oom_kills(void)
{
	FILE *fp = fopen("/proc/vmstat", "re");
	char line[128];
	unsigned long long n = 0;

	if (fp == NULL)
		return 0;
	while (fgets(line, sizeof(line), fp) != NULL)
		if (sscanf(line, "oom_kill %llu", &n) == 1)
			break;
	fclose(fp);
	return n;
}

static enum peer_cause
signal_cause(int sig, bool core_of_memory)
{
	switch (sig) {
	case SIGKILL:
		return core_of_memory ? PEER_CAUSE_LIMIT : PEER_CAUSE_KILLED;
	case SIGXCPU:
	case SIGXFSZ:
		return PEER_CAUSE_LIMIT;
	default:
		return PEER_CAUSE_CRASH;
	}
}

/* Its name, where the kernel tells. */
static void
forbidden_call(struct child *c)
{
	long call = kernel_log_forbidden_call(c->sup->kernel_log, c->pid);
	char name[32];

	snprintf(c->last_cause, sizeof(c->last_cause),
	    "forbidden system call%s%s", call == -1 ? "" : ": ",
	    call == -1 ? "" : sandbox_call_name(call, name));
}

static enum peer_cause
death_cause(struct child *c, int status, uint64_t oom_before)
{
	bool oom;

	if (c->kill_reason != NULL) {
		snprintf(c->last_cause, sizeof(c->last_cause), "killed: %s",
		    c->kill_reason);
		return c->kill_cause;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_MEMORY) {
		snprintf(c->last_cause, sizeof(c->last_cause), "needs more "
		    "memory than its limit of %llu bytes",
		    (unsigned long long)c->memory_limit);
		return PEER_CAUSE_NO_MEMORY;
	}
	if (WIFEXITED(status)) {
		snprintf(c->last_cause, sizeof(c->last_cause), "exit status %d",
		    WEXITSTATUS(status));
		return c->state == CHILD_STOPPING && WEXITSTATUS(status) == 0 ?
		    PEER_CAUSE_STOP : PEER_CAUSE_EXIT;
	}
	oom = WTERMSIG(status) == SIGKILL && oom_kills() > oom_before;
	if (c->channel_lost && WTERMSIG(status) == SIGKILL && !oom &&
	    c->state == CHILD_STOPPING) {
		snprintf(c->last_cause, sizeof(c->last_cause), "stopped");
		return PEER_CAUSE_STOP;
	}
	if (WTERMSIG(status) == SIGSYS) {
		forbidden_call(c);
		return PEER_CAUSE_VIOLATION;
	}
	snprintf(c->last_cause, sizeof(c->last_cause), "%s%s",
	    oom ? "out of memory: " : "", WTERMSIG(status) < NSIG && sigabbrev_np(WTERMSIG(status)) != NULL ?
	    sigdescr_np(WTERMSIG(status)) : "unknown signal");
	return signal_cause(WTERMSIG(status), oom);
}

static const char *
cause_name(enum peer_cause cause)
{
	static const char *const names[] = {
		[PEER_CAUSE_STOP] = "stop", [PEER_CAUSE_EXIT] = "exit",
		[PEER_CAUSE_CRASH] = "crash", [PEER_CAUSE_KILLED] = "killed",
		[PEER_CAUSE_LIMIT] = "limit",
		[PEER_CAUSE_VIOLATION] = "violation",
		[PEER_CAUSE_NO_MEMORY] = "limit",
	};

	return names[cause];
}

static void
count_restart(struct child *c, enum peer_cause cause)
{
	char labels[96];

	c->restarts++;
	snprintf(labels, sizeof(labels), "cause=\"%s\",role=\"%s\"",
	    cause_name(cause), role_name(c->role));
	metrics_inc(metrics_get(c->sup->metrics, METRIC_WORKER_RESTARTS, labels));
}

static void
child_on_death(struct child *c, int status, uint64_t oom_before)
{
	struct supervisor *sup = c->sup;
	enum peer_cause cause = death_cause(c, status, oom_before);
	int64_t lived_ms = mono_sub_ns(mono_now(), c->started) / 1000000;
	bool stopping = c->state == CHILD_STOPPING;
	bool by_itself = c->said_stopped && c->kill_reason == NULL &&
	    WIFEXITED(status) && WEXITSTATUS(status) == 0;
	pid_t pid = c->pid;
	char name[32];

	event_del(c->kill_timer);
	peers_send_region_gone(c);
	if (c->role == ROLE_QUERY || c->role == ROLE_EVAL)
		queries_active_on_death(c, c->last_cause);
	broker_forget(c);
	child_clear_process(c);
	if (c->role == ROLE_WEB)
		control_on_web_down(sup);
	if (c->role != ROLE_CONFIG)
		peers_tell_down(c, cause, c->last_cause);
	reload_on_death(c, c->last_cause);
	if (c->role == ROLE_CONFIG || stopping ||
	    sup->phase == SUPER_STOPPING) {
		if (!stopping && c->role != ROLE_CONFIG)
			log_warn("Worker has ended", F_STR("role",
			    child_name(c, name)), F_STR("cause", c->last_cause));
		stop_on_death(sup);
		return;
	}
	if (by_itself && lived_ms >= 1000) {
		/* Used up, on purpose: no harm, no back-off. */
		log_info("Worker has finished, replacing it",
		    F_STR("role", child_name(c, name)));
		child_start(c);
		return;
	}
	log_error("Worker has ended, restarting it",
	    F_STR("role", child_name(c, name)),
	    F_STR("cause", c->last_cause), F_UINT("child_pid", (uint64_t)pid),
	    F_DUR("lived", lived_ms * 1000000));
	count_restart(c, cause);
	if (lived_ms >= FAULT_DEADLINE_MS(HEALTHY_SPELL_MS))
		c->backoff_ms = 0;
	if (sup->phase < SUPER_RUNNING && c->restarts >= STARTUP_DEATHS_MAX) {
		struct err err = ERR_INIT;

		err_set(&err, ERR_INTERNAL, "%s ended %u times at start, last: %s",
		    child_name(c, name), c->restarts, c->last_cause);
		startup_fail(sup, 1, &err);
		return;
	}
	child_retry_later(c);
}

static struct child *
child_by_pid(struct supervisor *sup, pid_t pid)
{
	if (sup->config.pid == pid)
		return &sup->config;
	for (size_t i = 0; i < sup->n_children; i++)
		if (sup->children[i].pid == pid)
			return &sup->children[i];
	return NULL;
}

static void
child_hear_out(struct child *c)
{
	for (int i = 0; i < LAST_WORDS_MAX && c->ch != NULL &&
	    ipc_channel_pump(c->ch, 0); i++)
		;
}

void
children_reap(struct supervisor *sup)
{
	uint64_t oom = sup->oom_kills;
	siginfo_t dead = { 0 };

	/* It keeps its number until its last words are heard. */
	while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    dead.si_pid != 0) {
		struct child *c = child_by_pid(sup, dead.si_pid);
		int status;

		if (c != NULL)
			child_hear_out(c);
		if (waitpid(dead.si_pid, &status, WNOHANG) == dead.si_pid &&
		    c != NULL)
			child_on_death(c, status, oom);
		dead.si_pid = 0;
	}
	sup->oom_kills = oom_kills();
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
