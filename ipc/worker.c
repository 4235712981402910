/* SPDX-License-Identifier: ISC */
/*
 * The frame of a worker: attach, lock in, loop, end. The supervisor's channel
 * carries the frame's own messages and the role's; both are found through one
 * dispatcher, so a role's table names only what is its own. Channels to peers
 * have the role's context and tables directly.
 */
#include "ipc/worker.h"

#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "common/sandbox/sandbox.h"
#include "ipc/memfd.h"

#define SUPERVISOR_FD	3
#define BLOB_MAX	((size_t)256 << 20)
#define FLUSH_MS	2000

struct worker_option { struct str name, value; };
struct worker_fd { char tag[32]; int fd; };

struct worker {
	const struct worker_role *role;
	void			*ctx;
	struct event_base	*base;
	struct ipc_channel	*sup;
	struct ipc_handler	*sup_handlers;
	struct msg_attach	 attach;
	struct buf		 options_text;	/* what options point into */
	struct worker_option	*options;
	size_t			 n_options;
	struct worker_fd	*fds;
	size_t			 n_fds;
	struct ipc_channel	**peers;
	uint32_t		*peer_pids;	/* of the same index */
	size_t			 n_peers, cap_peers, cap_peer_pids;
	struct metrics		*metrics;
	struct ipc_counters	*counters;
	struct event		*cause_timer;	/* NULL until it is needed */
	metrics_slot		*log_lost;
	int			 log_fd;
	uint32_t		 generation;
	bool			 attached, ready, stopped;
	int			 status;
};

/* --- small accessors --- */

struct event_base *
worker_base(struct worker *w)
{
	return w->base;
}

struct metrics *
worker_metrics(struct worker *w)
{
	return w->metrics;
}

struct ipc_channel *
worker_supervisor(struct worker *w)
{
	return w->sup;
}

uint32_t
worker_instance(const struct worker *w)
{
	return w->attach.instance;
}

uint32_t
worker_n_instances(const struct worker *w)
{
	return w->attach.n_instances;
}

uint64_t
worker_memory_limit(const struct worker *w)
{
	return w->attach.memory_limit_bytes;
}

uint32_t
worker_generation(const struct worker *w)
{
	return w->generation;
}

struct str
worker_flag(const struct worker *w, const char *name)
{
	size_t i;

	for (i = 0; i < w->n_options; i++)
		if (str_eq_c(w->options[i].name, name))
			return w->options[i].value;
	return STR_EMPTY;
}

bool
worker_flag_bool(const struct worker *w, const char *name)
{
	return str_eq_c(worker_flag(w, name), "true");
}

int64_t
worker_flag_int(const struct worker *w, const char *name)
{
	struct str s = worker_flag(w, name);
	int64_t v = 0;
	size_t i;

	for (i = s.n > 0 && s.p[0] == '-' ? 1 : 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, s.p[i] - '0', &v))
			fatal("option %s is no integer: %.*s", name,
			    STR_ARG(s));
	}
	return s.n > 0 && s.p[0] == '-' ? -v : v;
}

int64_t
worker_flag_duration_ms(const struct worker *w, const char *name)
{
	struct str s = worker_flag(w, name);
	struct err e = ERR_INIT;
	int64_t v = 0;

	if (s.n != 0 && duration_parse(s, &v, &e) == -1)
		fatal("option %s: %s", name, e.text);
	return v;
}

int64_t
worker_flag_go_duration_ns(const struct worker *w, const char *name)
{
	struct str s = worker_flag(w, name);
	struct err e = ERR_INIT;
	int64_t v = 0;

	if (s.n != 0 && duration_parse_go(s, &v, &e) == -1)
		fatal("option %s: %s", name, e.text);
	return v;
}

int64_t
worker_flag_bytes(const struct worker *w, const char *name)
{
	struct str s = worker_flag(w, name);
	struct err e = ERR_INIT;
	int64_t v = 0;
	size_t i;

	for (i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		;
	if (i == s.n)
		return worker_flag_int(w, name);
	if (bytes_parse(s, &v, &e) == -1)
		fatal("option %s: %s", name, e.text);
	return v;
}

bool
worker_feature(const struct worker *w, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < w->n_options; i++) {
		struct str v = w->options[i].value;

		if (!str_eq_c(w->options[i].name, "enable-feature"))
			continue;
		while (v.n > 0) {
			const char *comma = memchr(v.p, ',', v.n);
			size_t n = comma == NULL ? v.n : (size_t)(comma - v.p);

			if (n == len && memcmp(v.p, name, n) == 0)
				return true;
			if (comma == NULL)
				break;
			v.p += n + 1;
			v.n -= n + 1;
		}
	}
	return false;
}

bool
worker_flag_at(const struct worker *w, size_t i, struct str *name,
    struct str *value)
{
	if (i >= w->n_options)
		return false;
	*name = w->options[i].name;
	*value = w->options[i].value;
	return true;
}

int
worker_take_fd(struct worker *w, const char *tag)
{
	size_t i;

	for (i = 0; i < w->n_fds; i++)
		if (w->fds[i].fd != -1 && strcmp(w->fds[i].tag, tag) == 0) {
			int fd = w->fds[i].fd;

			w->fds[i].fd = -1;
			return fd;
		}
	return -1;
}

/* --- what a worker tells the supervisor --- */

static void
tell(struct worker *w, enum ipc_type type, const void *data, size_t n)
{
	struct err e = ERR_INIT;

	/* a dead supervisor channel ends the loop by itself */
	if (ipc_send(w->sup, type, 0, data, n, NULL, 0, &e) == -1)
		log_debug("Supervisor is gone", F_ERR(&e));
}

void
worker_ready(struct worker *w)
{
	if (w->ready)
		return;
	w->ready = true;
	FAULT_POINT("start.before-ready");
	tell(w, IPC_READY, NULL, 0);
	FAULT_POINT("start.after-ready");
}

void
worker_prepared(struct worker *w, uint32_t gen, const struct err *err)
{
	struct msg_prepared p = { .ok = err == NULL };
	struct iovec iov[2] = { { &p, sizeof(p) } };
	struct err e = ERR_INIT;
	struct buf b;

	FAULT_POINT("reload.before-answer");
	buf_init(&b, 0);
	wire_put_str(&b, err == NULL ? STR_EMPTY : str_c(err->text));
	iov[1] = (struct iovec){ b.p, b.n };
	ipc_channel_set_generation(w->sup, gen);
	if (ipc_sendv(w->sup, IPC_PREPARED, 0, iov, 2, NULL, 0, &e) == -1)
		log_debug("Supervisor is gone", F_ERR(&e));
	ipc_channel_set_generation(w->sup, w->generation);
	buf_clear(&b);
	FAULT_POINT("reload.after-answer");
}

void
worker_stopped(struct worker *w)
{
	if (w->stopped)
		return;
	w->stopped = true;
	FAULT_POINT("stop.drained");
	tell(w, IPC_STOPPED, NULL, 0);
	if (ipc_channel_flush(w->sup, FLUSH_MS) == -1)
		log_debug("Supervisor does not listen any more");
	FAULT_POINT("stop.before-exit");
	event_base_loopbreak(w->base);
}

void
worker_fail(struct worker *w, const struct err *err)
{
	log_error("Worker failed", F_ERR(err));
	w->status = 1;
	event_base_loopbreak(w->base);
}

/* --- peers --- */

static ssize_t
peer_index(const struct worker *w, enum role role, uint32_t instance)
{
	struct ipc_ends e;
	size_t i;

	for (i = 0; i < w->n_peers; i++) {
		e = ipc_channel_ends(w->peers[i]);
		if (e.peer == role && e.peer_instance == instance)
			return (ssize_t)i;
	}
	return -1;
}

struct ipc_channel *
worker_peer(struct worker *w, enum role role, uint32_t instance)
{
	ssize_t i = peer_index(w, role, instance);

	return i == -1 ? NULL : w->peers[i];
}

static void
peer_remove(struct worker *w, size_t i, enum peer_cause cause,
    const char *why)
{
	struct ipc_channel *ch = w->peers[i];

	w->peers[i] = w->peers[--w->n_peers];
	w->peer_pids[i] = w->peer_pids[w->n_peers];
	if (w->role->peer_down != NULL)
		w->role->peer_down(w->ctx, ch, cause, why);
	ipc_channel_free(ch);
}

/* The supervisor is silent about these: they broke the protocol. */
static void
cause_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	size_t i;

	(void)fd;
	(void)what;
	for (i = w->n_peers; i-- > 0;)
		if (i < w->n_peers && !ipc_channel_is_open(w->peers[i]))
			peer_remove(w, i, PEER_CAUSE_CRASH, "closed by peer");
}

static bool
wait_for_cause(struct worker *w)
{
	static const struct timeval grace = { 1, 0 };

	if (!w->role->waits_for_cause)
		return false;
	if (w->cause_timer == NULL)
		w->cause_timer = evtimer_new(w->base, cause_timer_cb, w);
	return w->cause_timer != NULL &&
	    event_add(w->cause_timer, &grace) == 0;
}

/*
 * The peer has ended, or one of us broke the rules: the supervisor knows
 * which, and makes a new channel if both live.
 */
static void
on_peer_closed(void *arg, struct ipc_channel *ch, const char *why)
{
	struct ipc_ends ends = ipc_channel_ends(ch);
	struct msg_peer_lost lost = { .role = ends.peer,
	    .instance = ends.peer_instance };
	struct worker *w = arg;
	size_t i;

	for (i = 0; i < w->n_peers && w->peers[i] != ch; i++)
		;
	if (i == w->n_peers)
		return;
	lost.pid = w->peer_pids[i];
	tell(w, IPC_PEER_LOST, &lost, sizeof(lost));
	if (!wait_for_cause(w))
		peer_remove(w, i, PEER_CAUSE_CRASH, why);
}

static const struct worker_peer *
peer_spec(const struct worker *w, uint32_t role)
{
	size_t i;

	for (i = 0; i < w->role->n_peers; i++)
		if ((uint32_t)w->role->peers[i].role == role)
			return &w->role->peers[i];
	return NULL;
}

static void
on_peer_up(struct worker *w, struct ipc_msg *m)
{
	const struct msg_peer *p = m->data;
	const struct worker_peer *spec = peer_spec(w, p->role);
	struct ipc_channel *ch;
	ssize_t old;
	int fd;

	if (spec == NULL) {
		ipc_violation(w->sup, m, "no peer of this role");
		return;
	}
	if ((old = peer_index(w, spec->role, p->instance)) != -1)
		peer_remove(w, (size_t)old, PEER_CAUSE_CRASH, "replaced");
	fd = ipc_msg_take_fd(m, 0);
	ch = ipc_channel_new(w->base, fd, (struct ipc_ends){ w->role->role,
	    spec->role, w->attach.instance, p->instance }, spec->handlers,
	    spec->n_handlers, on_peer_closed, w->ctx);
	if (ch == NULL || vec_grow(&w->peers, &w->cap_peers, w->n_peers + 1,
	    sizeof(*w->peers)) == -1 || vec_grow(&w->peer_pids,
	    &w->cap_peer_pids, w->n_peers + 1, sizeof(*w->peer_pids)) == -1)
		fatal("out of memory for a channel");
	ipc_channel_set_closed_arg(ch, w);
	ipc_channel_set_counters(ch, w->counters);
	ipc_channel_set_generation(ch, w->generation);
	w->peer_pids[w->n_peers] = p->pid;
	w->peers[w->n_peers++] = ch;
	if (w->role->peer_up != NULL)
		w->role->peer_up(w->ctx, ch);
}

static void
on_peer_down(struct worker *w, struct ipc_msg *m)
{
	const struct msg_peer_down *p = m->data;
	struct wire_reader r;
	char why[256];
	struct str s;
	ssize_t i;

	wire_reader_init(&r, p + 1, m->n - sizeof(*p));
	s = wire_get_str(&r);
	if (!wire_end(&r)) {
		ipc_violation(w->sup, m, "malformed cause");
		return;
	}
	snprintf(why, sizeof(why), "%.*s", STR_ARG(s));
	if (p->role < ROLE_COUNT &&
	    (i = peer_index(w, (enum role)p->role, p->instance)) != -1)
		peer_remove(w, (size_t)i, (enum peer_cause)p->cause, why);
}

/* --- configuration, run, stop --- */

static void
on_prepare(struct worker *w, struct ipc_msg *m)
{
	struct str blob = STR_EMPTY;
	struct err e = ERR_INIT;
	int fd = ipc_msg_take_fd(m, 0), r = 0;

	FAULT_POINT("reload.prepare");
	if (fd != -1)
		r = memfd_map(fd, BLOB_MAX, &blob, &e);
	if (r == 0 && w->role->prepare != NULL)
		r = w->role->prepare(w->ctx, m->generation, blob, &e);
	memfd_unmap(blob);
	if (fd != -1)
		close(fd);
	if (r != 1)
		worker_prepared(w, m->generation, r == 0 ? NULL : &e);
}

static void
on_commit(struct worker *w, struct ipc_msg *m)
{
	size_t i;

	FAULT_POINT("reload.commit");
	w->generation = m->generation;
	ipc_channel_set_generation(w->sup, w->generation);
	for (i = 0; i < w->n_peers; i++)
		ipc_channel_set_generation(w->peers[i], w->generation);
	if (w->role->commit != NULL)
		w->role->commit(w->ctx, m->generation);
	FAULT_POINT("reload.in-commit");
	tell(w, IPC_COMMITTED, NULL, 0);
	FAULT_POINT("reload.after-commit");
}

static void
on_abort(struct worker *w, struct ipc_msg *m)
{
	FAULT_POINT("reload.abort");
	if (w->role->abort != NULL)
		w->role->abort(w->ctx, m->generation);
}

static void
on_run(struct worker *w, struct ipc_msg *m)
{
	(void)m;
	FAULT_POINT("start.run");
	ipc_channel_set_state(w->sup, IPC_RUNNING);
	if (w->role->run != NULL)
		w->role->run(w->ctx);
}

/* That the loop turns is all the supervisor wants to know. */
static void
on_ping(struct worker *w, struct ipc_msg *m)
{
	(void)m;
	tell(w, IPC_PONG, NULL, 0);
}

static void
on_stop(struct worker *w, struct ipc_msg *m)
{
	const struct msg_stop *s = m->data;

	FAULT_POINT("stop.received");
	ipc_channel_set_state(w->sup, IPC_STOPPING);
	if (w->role->stop == NULL || !w->attached)
		worker_stopped(w);
	else
		w->role->stop(w->ctx, s->deadline_ms);
	FAULT_POINT("stop.draining");
}

/* --- attach --- */

static void
log_to_supervisor(void *arg, enum log_level level, const char *line, size_t n)
{
	struct worker *w = arg;

	(void)level;
	if (send(w->log_fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 &&
	    w->log_lost != NULL)
		metrics_inc(w->log_lost);
}

static void
open_log(struct worker *w)
{
	static const struct { const char *name; enum log_level level; } levels[] = {
		{ "debug", LOG_LEVEL_DEBUG }, { "info", LOG_LEVEL_INFO },
		{ "warn", LOG_LEVEL_WARN }, { "error", LOG_LEVEL_ERROR } };
	enum log_level level = LOG_LEVEL_INFO;
	char name[64];
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (str_eq_c(worker_flag(w, "log.level"), levels[i].name))
			level = levels[i].level;
	if (w->attach.n_instances > 1)
		snprintf(name, sizeof(name), "%s/%u",
		    role_name(w->role->role), w->attach.instance);
	else
		snprintf(name, sizeof(name), "%s", role_name(w->role->role));
	log_open(name, level, str_eq_c(worker_flag(w, "log.format"), "json") ?
	    LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT, log_to_supervisor, w);
}

/* Options and descriptors of ATTACH; NULL or what is wrong. */
static const char *
read_attach(struct worker *w, struct ipc_msg *m)
{
	struct wire_reader r;
	uint32_t i, n;

	memcpy(&w->attach, m->data, sizeof(w->attach));
	if (w->attach.role != (uint32_t)w->role->role)
		return "another role's attachment";
	buf_add(&w->options_text, (const char *)m->data + sizeof(w->attach),
	    m->n - sizeof(w->attach));
	if (buf_failed(&w->options_text))
		return "out of memory";
	wire_reader_init(&r, w->options_text.p, w->options_text.n);
	n = wire_get_count(&r, 8);
	w->options = xcalloc(n, sizeof(*w->options));
	for (i = 0; i < n; i++) {
		w->options[i].name = wire_get_str(&r);
		w->options[i].value = wire_get_str(&r);
	}
	w->n_options = n;
	n = wire_get_count(&r, 4);
	w->fds = xcalloc(n, sizeof(*w->fds));
	for (i = 0; i < n && i < m->n_fds; i++) {
		struct str tag = wire_get_str(&r);

		snprintf(w->fds[i].tag, sizeof(w->fds[i].tag), "%.*s",
		    STR_ARG(tag));
		w->fds[i].fd = ipc_msg_take_fd(m, i);
	}
	w->n_fds = i;
	return !wire_end(&r) || i != n ? "malformed attachment" : NULL;
}

/*
 * What the sandbox needs to know. Made before start(), which may take the
 * data directory's descriptor; Landlock is told of it by number.
 */
static struct sandbox_args
sandbox_args_of(const struct worker *w)
{
	struct sandbox_args a = {
		.role = w->role->role,
		.uid = w->attach.uid, .gid = w->attach.gid,
		.data_dir_fd = -1,
		.memory_limit_bytes = w->attach.memory_limit_bytes,
		.landlock_abi_max = (int)worker_flag_int(w,
		    "brazier.landlock-abi-max")
	};
	size_t i;

	for (i = 0; i < w->n_fds; i++)
		if (strcmp(w->fds[i].tag, "data-dir") == 0)
			a.data_dir_fd = w->fds[i].fd;
	return a;
}

static int
attach(struct worker *w, struct sandbox_report *report, struct err *err)
{
	struct sandbox_args args = sandbox_args_of(w);
	int metrics_fd;

	w->log_fd = worker_take_fd(w, "log");
	open_log(w);
	if ((metrics_fd = worker_take_fd(w, "metrics")) == -1)
		return err_set(err, ERR_INTERNAL, "no metrics region");
	if ((w->metrics = metrics_open(metrics_fd, err)) == NULL)
		return -1;
	w->log_lost = metrics_get(w->metrics, METRIC_LOG_LOST, "");
	if ((w->counters = ipc_counters_new(w->metrics)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ipc_channel_set_counters(w->sup, w->counters);
	w->generation = w->attach.generation;
	ipc_channel_set_generation(w->sup, w->generation);
	if (w->role->start != NULL && w->role->start(w->ctx, w, err) == -1)
		return err_wrap(err, "starting %s", role_name(w->role->role));
	FAULT_POINT("start.before-sandbox");
	if (sandbox_enter(&args, report, err) == -1)
		return err_wrap(err, "sandbox of %s", role_name(w->role->role));
	FAULT_POINT("start.after-sandbox");
	if (w->role->locked != NULL && w->role->locked(w->ctx, err) == -1)
		return err_wrap(err, "starting %s", role_name(w->role->role));
	return 0;
}

static void
on_attach(struct worker *w, struct ipc_msg *m)
{
	struct sandbox_report report = { 0 };
	struct msg_attached a;
	struct iovec iov[2] = { { &a, sizeof(a) } };
	struct err e = ERR_INIT;
	const char *why;
	struct buf b;

	if ((why = read_attach(w, m)) != NULL) {
		ipc_violation(w->sup, m, why);
		return;
	}
	fault_set_instance(w->attach.instance);
	FAULT_POINT("start.attach");
	if (attach(w, &report, &e) == -1) {
		worker_fail(w, &e);
		return;
	}
	w->attached = true;
	a = (struct msg_attached){ .landlock_abi =
	    (uint32_t)report.landlock_abi, .seccomp = report.seccomp,
	    .uid = report.uid, .gid = report.gid };
	buf_init(&b, 0);
	wire_put_str(&b, str_c(report.missing));
	iov[1] = (struct iovec){ b.p, b.n };
	ipc_channel_set_state(w->sup, IPC_UP);
	if (ipc_sendv(w->sup, IPC_ATTACHED, 0, iov, 2, NULL, 0, &e) == -1)
		worker_fail(w, &e);
	buf_clear(&b);
	FAULT_POINT("start.attached");
	if (w->role->role != ROLE_STORAGE)
		worker_ready(w);
}

/* --- the supervisor's channel --- */

static const struct {
	enum ipc_type	 type;
	void		(*fn)(struct worker *, struct ipc_msg *);
} frame[] = {
	{ IPC_ATTACH, on_attach },
	{ IPC_PEER_UP, on_peer_up },
	{ IPC_PEER_DOWN, on_peer_down },
	{ IPC_PREPARE, on_prepare },
	{ IPC_COMMIT, on_commit },
	{ IPC_ABORT, on_abort },
	{ IPC_RUN, on_run },
	{ IPC_PING, on_ping },
	{ IPC_STOP, on_stop }
};
#define N_FRAME	(sizeof(frame) / sizeof(frame[0]))

static void
on_supervisor(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct worker *w = ctx;
	size_t i;

	for (i = 0; i < N_FRAME; i++)
		if (frame[i].type == m->type) {
			frame[i].fn(w, m);
			return;
		}
	if (!w->attached) {
		/* rows that others receive in any state */
		ipc_violation(ch, m, "not attached yet");
		return;
	}
	for (i = 0; i < w->role->n_handlers; i++)
		if (w->role->handlers[i].type == m->type) {
			w->role->handlers[i].fn(w->ctx, ch, m);
			return;
		}
}

static void
on_supervisor_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	struct worker *w = ctx;

	(void)ch;
	/* without a supervisor there is nobody to log to either */
	log_debug("Supervisor's channel closed", F_STR("reason", why));
	w->status = w->stopped ? 0 : 1;
	event_base_loopbreak(w->base);
}

static struct event_base *
new_base(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base;

	if (c == NULL)
		return NULL;
	/* one thread, no signals: no locks, no signal pipe */
	event_config_set_flag(c, EVENT_BASE_FLAG_NOLOCK |
	    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_IGNORE_ENV |
	    EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(c);
	event_config_free(c);
	return base;
}

int
worker_main(const struct worker_role *role, void *ctx)
{
	struct worker w = { .role = role, .ctx = ctx, .log_fd = -1 };
	size_t i;

	fault_inherit(role_name(role->role));
	FAULT_POINT("start.exec");
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* started from a descriptor, older kernels name us by its number */
	(void)prctl(PR_SET_NAME, role_name(role->role));
	log_open(role_name(role->role), LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT,
	    NULL, NULL);
	buf_init(&w.options_text, 0);
	w.sup_handlers = xcalloc(N_FRAME + role->n_handlers,
	    sizeof(*w.sup_handlers));
	for (i = 0; i < N_FRAME; i++)
		w.sup_handlers[i].type = (uint16_t)frame[i].type;
	for (i = 0; i < role->n_handlers; i++)
		w.sup_handlers[N_FRAME + i].type = role->handlers[i].type;
	for (i = 0; i < N_FRAME + role->n_handlers; i++)
		w.sup_handlers[i].fn = on_supervisor;
	if ((w.base = new_base()) == NULL)
		fatal("no event loop");
	w.sup = ipc_channel_new(w.base, SUPERVISOR_FD, (struct ipc_ends){
	    role->role, ROLE_SUPERVISOR, 0, 0 }, w.sup_handlers,
	    N_FRAME + role->n_handlers, on_supervisor_closed, &w);
	if (w.sup == NULL)
		fatal("%s is started by brazierd, not by hand",
		    role_name(role->role));
	ipc_channel_set_state(w.sup, IPC_BOOT);
	event_base_dispatch(w.base);
	/* the kernel gives everything back; threads may still run */
	_exit(w.status);
}
