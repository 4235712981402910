/* SPDX-License-Identifier: ISC */

/*
 * The reload transaction.
 *
 *	LOAD     a fresh config worker reads and checks everything and sends one
 *	         sealed blob a role; any error ends here
 *	SETTLE   workers that are down or catching up get there first, so that
 *	         all are asked; one that does not come up in time is left out (the
 *	         new configuration may be the cure)
 *	PREPARE  to all workers at once; each builds the new beside the old
 *	(decision: the last worker has accepted)
 *	COMMIT   role by role in the reference's order, each waits for the one
 *	         before; cannot fail: a worker that does not answer is killed and
 *	         starts again on the new generation
 *
 * A refusal, a death or a deadline before the decision means ABORT to all who
 * were asked: the old generation stays in force everywhere. Generation
 * numbers rise by one with each try and are never reused.
 *
 * One reload at a time; later requests wait and each gets a reload of its
 * own, so that the answer is about the file as it was when they asked or
 * later. The first configuration comes in two halves: loaded before anything
 * else starts, brought into force once storage is ready. There is no old one
 * to fall back on then, so a death before the decision is no refusal: that
 * half is tried again, a few times.
 *
 * A worker that (re)starts is brought to the configuration in force by the
 * same messages, on its own (catch-up).
 */

#include <fcntl.h>
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
#include "supervisor/supervisor.h"

#define WAITING_MAX		16
#define LOAD_TRIES		5	/* of the first configuration */
#define LOAD_DEADLINE_MS	60000
#define SETTLE_DEADLINE_MS	10000
#define PREPARE_DEADLINE_MS	60000
#define COMMIT_DEADLINE_MS	30000

enum reload_stage {
	RELOAD_WAITING, RELOAD_LOAD, RELOAD_SETTLE, RELOAD_PREPARE, RELOAD_COMMIT
};

struct reload {
	struct reload		*next;		/* waiting behind it */
	struct supervisor	*sup;
	reload_done_fn		*done;
	void			*arg;
	enum reload_stage	 stage;
	bool			 initial;	/* first half: load only */
	bool			 first;		/* … and the second half */
	unsigned		 tries;		/* first half: deaths so far */
	bool			 loaded;	/* LOADED came */
	uint32_t		 generation;
	int			 blobs[ROLE_COUNT];
	struct log_files	 log_files;
	size_t			 commit_at;	/* in role_commit_order */
	mono_time		 began, role_began;
	int64_t			 role_ns[ROLE_COUNT];
	struct event		*timer;
	unsigned		 exit_code;
};

static void reload_next_commit(struct reload *r);
static void reload_prepare(struct reload *r, const int *blobs);
static void reload_kick(struct supervisor *sup);

static void
blobs_close(int blobs[ROLE_COUNT])
{
	for (int i = 0; i < ROLE_COUNT; i++) {
		if (blobs[i] != -1)
			close(blobs[i]);
		blobs[i] = -1;
	}
}

static void
arm(struct reload *r, int64_t ms)
{
	const int64_t in_ms = FAULT_DEADLINE_MS(ms);
	struct timeval tv = { in_ms / 1000, (in_ms % 1000) * 1000 };

	event_add(r->timer, &tv);
}

static const char *
config_file(const struct supervisor *sup)
{
	return flags_str(sup->flags, FLAG_CONFIG_FILE);
}

static void timer_cb(evutil_socket_t fd, short what, void *arg);

static struct reload *
reload_new(struct supervisor *sup, reload_done_fn *done, void *arg)
{
	struct reload *r = xcalloc(1, sizeof(*r));

	r->sup = sup;
	r->done = done;
	r->arg = arg;
	for (int i = 0; i < ROLE_COUNT; i++)
		r->blobs[i] = -1;
	r->timer = evtimer_new(sup->base, timer_cb, r);
	if (r->timer == NULL)
		fatal("out of memory");
	return r;
}

static void
set_outcome(struct supervisor *sup, bool ok)
{
	sup->reload_ok = ok;
	if (ok)
		sup->reload_ms = wall_now_ms();
	metrics_set(metrics_get(sup->metrics, METRIC_RELOAD_OK, ""), ok);
	if (ok)
		metrics_set(metrics_get(sup->metrics, METRIC_RELOAD_TIME, ""),
		    (double)sup->reload_ms / 1000);
	peers_send_server_state(sup);
}

/* Ends the one under way, answers its caller, begins the next. */
static void
reload_finish(struct reload *r, const struct err *err)
{
	struct supervisor *sup = r->sup;

	sup->reload = r->next;
	event_free(r->timer);
	blobs_close(r->blobs);
	log_files_clear(&r->log_files);
	if (sup->config.reload == r)
		sup->config.reload = NULL;
	child_stop(&sup->config, 1000);
	if ((!r->initial && !r->first) || err == NULL)
		set_outcome(sup, err == NULL);
	if (r->done != NULL)
		r->done(r->arg, err, r->exit_code);
	free(r);
	for (size_t i = 0; i < sup->n_children; i++)
		reload_catch_up(&sup->children[i]);
	reload_kick(sup);
}

/* Messages to c carry this generation from now on. */
static void
stamp(struct child *c, uint32_t generation)
{
	if (c->ch != NULL)
		ipc_channel_set_generation(c->ch, generation);
}

/* --- the end before the decision --- */

static void
reload_abort(struct reload *r, const struct err *err)
{
	struct supervisor *sup = r->sup;

	for (size_t i = 0; i < sup->n_children && r->stage == RELOAD_PREPARE;
	    i++) {
		struct child *c = &sup->children[i];

		if (c->next_generation != r->generation ||
		    (c->step != STEP_PREPARING && c->step != STEP_PREPARED))
			continue;
		stamp(c, r->generation);
		child_send(c, IPC_ABORT, 0, NULL, 0, -1);
		c->step = STEP_IDLE;
		c->next_generation = 0;
	}
	reload_finish(r, err);
}

static void
reload_fail(struct reload *r, const char *what, const char *text)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_BAD_DATA, "%s (--config.file=\"%s\"): %s", what,
	    config_file(r->sup), text);
	reload_abort(r, &err);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;
	struct supervisor *sup = r->sup;
	struct child *late = NULL;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < sup->n_children; i++)
		if (sup->children[i].next_generation == r->generation &&
		    (sup->children[i].step == STEP_PREPARING ||
		    sup->children[i].step == STEP_COMMITTING))
			late = &sup->children[i];
	if (r->stage == RELOAD_LOAD) {
		child_kill(&sup->config, PEER_CAUSE_LIMIT, "took too long");
		if (!r->initial)
			reload_fail(r, "couldn't load configuration",
			    "timed out");
	} else if (r->stage == RELOAD_SETTLE) {
		log_warn("Reloading without the workers that are down");
		reload_prepare(r, r->blobs);
	} else if (late != NULL)
		/* Its death ends the reload, or lets it go on. */
		child_kill(late, PEER_CAUSE_LIMIT,
		    "did not take the configuration in time");
}

/* --- load --- */

static void
reload_begin(struct reload *r)
{
	struct supervisor *sup = r->sup;

	r->stage = RELOAD_LOAD;
	r->generation = ++sup->last_generation;
	r->began = mono_now();
	sup->config.reload = r;
	log_info("Loading configuration file",
	    F_STR("filename", config_file(sup)));
	arm(r, LOAD_DEADLINE_MS);
	child_start(&sup->config);
}

/*
 * Begins the first waiting one when it can: the server runs (or it is the
 * first load) and the config worker of the one before is gone.
 */
static void
reload_kick(struct supervisor *sup)
{
	struct reload *r = sup->reload;

	if (r != NULL && r->stage == RELOAD_WAITING && sup->config.pid == 0 &&
	    (r->initial || sup->phase == SUPER_RUNNING))
		reload_begin(r);
}

static void
reload_enqueue(struct reload *r)
{
	struct supervisor *sup = r->sup;
	struct reload **at = &sup->reload;
	struct err err = ERR_INIT;
	size_t n = 0;

	for (; *at != NULL; at = &(*at)->next)
		n++;
	if (n >= WAITING_MAX) {
		err_set(&err, ERR_UNAVAILABLE, "%zu reloads are waiting", n);
		r->done(r->arg, &err, 0);
		event_free(r->timer);
		free(r);
		return;
	}
	*at = r;
	reload_kick(sup);
}

void
reload_request(struct supervisor *sup, reload_done_fn *done, void *arg)
{
	struct err err = ERR_INIT;

	if (sup->phase == SUPER_STOPPING) {
		err_set(&err, ERR_UNAVAILABLE, "the server is stopping");
		done(arg, &err, 0);
		return;
	}
	reload_enqueue(reload_new(sup, done, arg));
}

static void
signal_done_cb(void *arg, const struct err *err, unsigned exit_code)
{
	(void)arg;
	(void)exit_code;
	if (err != NULL)
		log_error("Error reloading config", F_ERR(err));
}

void
reload_on_signal(struct supervisor *sup)
{
	for (const struct reload *r = sup->reload; r != NULL; r = r->next)
		if (r->done == signal_done_cb && r->stage == RELOAD_WAITING)
			return;
	reload_request(sup, signal_done_cb, NULL);
}

void
reload_load_initial(struct supervisor *sup, reload_done_fn *done, void *arg)
{
	struct reload *r = reload_new(sup, done, arg);

	r->initial = true;
	reload_enqueue(r);
}

void
reload_on_attached(struct child *c)
{
	struct reload *r = c->reload;
	struct msg_load msg = { .initial = r != NULL && r->initial };

	if (r == NULL) {
		child_stop(c, 1000);
		return;
	}
	stamp(c, r->generation);
	FAULT_CHILD(role_name(c->role), 0, c->pid, "sup.load");
	child_send_text(c, IPC_LOAD, 0, &msg, sizeof(msg),
	    str_c(config_file(c->sup)), -1);
}

void
reload_on_blob(struct child *c, struct ipc_msg *m)
{
	const struct msg_blob *b = m->data;
	struct reload *r = c->reload;

	if (r == NULL || r->stage != RELOAD_LOAD || r->loaded ||
	    b->role >= ROLE_COUNT || r->blobs[b->role] != -1) {
		ipc_violation(c->ch, m, "second or needless blob");
		return;
	}
	if (!memfd_is_sealed(m->fds[0])) {
		ipc_violation(c->ch, m, "blob is not sealed memory");
		return;
	}
	r->blobs[b->role] = ipc_msg_take_fd(m, 0);
}

/* What was loaded is what is in force. */
static void
keep_loaded(struct supervisor *sup, struct reload *r)
{
	log_files_clear(&sup->log_files);
	sup->log_files = r->log_files;
	r->log_files = (struct log_files){ 0 };
	blobs_close(sup->blobs);
	memcpy(sup->blobs, r->blobs, sizeof(sup->blobs));
	for (int i = 0; i < ROLE_COUNT; i++)
		r->blobs[i] = -1;
}

static void
log_warnings(struct wire_reader *reader)
{
	for (uint32_t n = wire_get_count(reader, 4); n > 0; n--) {
		struct str text = wire_get_str(reader);

		if (!reader->failed)
			log_warn("Configuration", F_STRN("warning", text));
	}
}

/* Goes on once every worker is up, at rest and on the generation in force. */
static void
reload_settle(struct supervisor *sup)
{
	struct reload *r = sup->reload;

	if (r == NULL || r->stage != RELOAD_SETTLE)
		return;
	for (size_t i = 0; i < sup->n_children; i++) {
		const struct child *c = &sup->children[i];

		if (c->state != CHILD_UP || c->leaving ||
		    c->step != STEP_IDLE || c->generation != sup->generation)
			return;
	}
	reload_prepare(r, r->blobs);
}

static void
reload_settle_begin(struct reload *r)
{
	struct supervisor *sup = r->sup;

	r->stage = RELOAD_SETTLE;
	arm(r, SETTLE_DEADLINE_MS);
	for (size_t i = 0; i < sup->n_children; i++)
		child_start(&sup->children[i]);	/* the back-off can wait */
	reload_settle(sup);
}

void
reload_on_loaded(struct child *c, struct ipc_msg *m)
{
	const struct msg_loaded *msg = m->data;
	struct reload *r = c->reload;
	struct wire_reader reader;
	struct str why;
	char text[ERR_TEXT_MAX];

	if (r == NULL || r->stage != RELOAD_LOAD || r->loaded) {
		ipc_violation(c->ch, m, "not asked for");
		return;
	}
	wire_reader_init(&reader, msg + 1, m->n - sizeof(*msg));
	why = wire_get_str(&reader);
	log_files_read(&r->log_files, &reader);
	log_warnings(&reader);
	auto_reload_files(msg->ok == 1 ? r->sup->auto_reload : NULL, &reader);
	if (!wire_end(&reader)) {
		ipc_violation(c->ch, m, "malformed");
		return;
	}
	event_del(r->timer);
	r->loaded = true;
	FAULT_POINT("reload.loaded");
	r->exit_code = msg->exit_code;
	if (msg->ok != 1) {
		struct err err = ERR_INIT;

		snprintf(text, sizeof(text), "%.*s", STR_ARG(why));
		if (!r->initial) {
			reload_fail(r, "couldn't load configuration", text);
			return;
		}
		err_set(&err, ERR_BAD_DATA, "%s", text);
		reload_finish(r, &err);
	} else if (r->initial) {
		keep_loaded(r->sup, r);
		reload_finish(r, NULL);
	} else
		reload_settle_begin(r);
}

/* --- prepare --- */

static void
send_prepare(struct child *c, uint32_t generation, const int *blobs)
{
	int fd = blobs[c->role] == -1 ? -1 :
	    fcntl(blobs[c->role], F_DUPFD_CLOEXEC, 3);

	c->step = STEP_PREPARING;
	c->next_generation = generation;
	stamp(c, generation);
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.prepare");
	child_send(c, IPC_PREPARE, 0, NULL, 0, fd);
}

static bool
anyone_at(const struct reload *r, enum child_step step)
{
	for (size_t i = 0; i < r->sup->n_children; i++)
		if (r->sup->children[i].next_generation == r->generation &&
		    r->sup->children[i].step == step)
			return true;
	return false;
}

/* The point of no return: everybody who was asked has accepted. */
static void
reload_decide(struct reload *r)
{
	struct supervisor *sup = r->sup;

	event_del(r->timer);
	for (size_t i = 0; i < sup->n_children; i++)
		FAULT_CHILD(role_name(sup->children[i].role),
		    sup->children[i].instance, sup->children[i].pid,
		    "sup.decided");
	FAULT_POINT("reload.decided");
	r->stage = RELOAD_COMMIT;
	sup->generation = r->generation;
	if (r->loaded)
		keep_loaded(sup, r);
	r->commit_at = 0;
	r->role_began = mono_now();
	reload_next_commit(r);
}

bool
reload_names_log_file(const struct supervisor *sup, const char *path)
{
	const struct reload *r = sup->reload;

	return log_files_have(&sup->log_files, path) || (r != NULL &&
	    r->stage == RELOAD_PREPARE && log_files_have(&r->log_files, path));
}

static void
reload_prepare(struct reload *r, const int *blobs)
{
	struct supervisor *sup = r->sup;

	r->stage = RELOAD_PREPARE;
	arm(r, PREPARE_DEADLINE_MS);
	for (size_t i = 0; i < sup->n_children; i++) {
		struct child *c = &sup->children[i];

		if (c->state == CHILD_UP && c->ch != NULL && c->step == STEP_IDLE)
			send_prepare(c, r->generation, blobs);
	}
	if (!anyone_at(r, STEP_PREPARING))
		reload_decide(r);
}

static void
send_commit(struct child *c)
{
	c->step = STEP_COMMITTING;
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.commit");
	stamp(c, c->next_generation);
	child_send(c, IPC_COMMIT, 0, NULL, 0, -1);
}

void
reload_on_prepared(struct child *c, bool ok, struct str why)
{
	struct reload *r = c->sup->reload;
	char name[32], text[ERR_TEXT_MAX];

	c->step = STEP_PREPARED;
	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.prepared");
	if (r == NULL || r->stage != RELOAD_PREPARE ||
	    c->next_generation != r->generation) {
		/* Catch-up, alone: its configuration was accepted before. */
		if (ok)
			send_commit(c);
		else {
			log_error("Worker refuses the configuration in force",
			    F_STR("role", child_name(c, name)), F_STRN("err", why));
			child_kill(c, PEER_CAUSE_EXIT, "refused its configuration");
		}
		return;
	}
	if (!ok) {
		snprintf(text, sizeof(text), "%.*s", STR_ARG(why));
		c->step = STEP_IDLE;
		c->next_generation = 0;
		log_error("Failed to apply configuration",
		    F_STR("role", child_name(c, name)), F_STR("err", text));
		reload_fail(r, "one or more errors occurred while applying the "
		    "new configuration", text);
	} else if (!anyone_at(r, STEP_PREPARING))
		reload_decide(r);
}

/* --- commit --- */

static void
reload_log_done(const struct reload *r)
{
	struct log_field fields[ROLE_COUNT + 2] = {
		F_STR("filename", config_file(r->sup)),
		F_DUR("totalDuration", mono_sub_ns(mono_now(), r->began)),
	};
	size_t n = 2;

	for (size_t i = 0; i < role_n_commit; i++) {
		enum role role = role_commit_order[i];

		if (role_policies[role].reloader != NULL)
			fields[n++] = (struct log_field)F_DUR(
			    role_policies[role].reloader, r->role_ns[role]);
	}
	log_write(LOG_LEVEL_INFO, __FILE__, __LINE__, NULL,
	    "Completed loading of configuration file", fields, n);
}

static bool
role_commits(const struct reload *r, enum role role)
{
	bool any = false;

	for (size_t i = 0; i < r->sup->n_children; i++) {
		const struct child *c = &r->sup->children[i];

		if (c->role == role && c->next_generation == r->generation &&
		    c->step == STEP_COMMITTING)
			any = true;
	}
	return any;
}

static void
reload_next_commit(struct reload *r)
{
	struct supervisor *sup = r->sup;

	arm(r, COMMIT_DEADLINE_MS);
	for (; r->commit_at < role_n_commit; r->commit_at++) {
		enum role role = role_commit_order[r->commit_at];

		if (role_commits(r, role))
			return;		/* some have not answered yet */
		for (size_t i = 0; i < sup->n_children; i++) {
			struct child *c = &sup->children[i];

			if (c->role == role && c->step == STEP_PREPARED &&
			    c->next_generation == r->generation)
				send_commit(c);
		}
		if (role_commits(r, role)) {
			r->role_began = mono_now();
			return;
		}
	}
	reload_log_done(r);
	reload_finish(r, NULL);
}

void
reload_on_committed(struct child *c)
{
	struct reload *r = c->sup->reload;

	FAULT_CHILD(role_name(c->role), c->instance, c->pid, "sup.committed");
	FAULT_POINT("reload.committed");
	c->step = STEP_IDLE;
	c->generation = c->next_generation;
	c->next_generation = 0;
	if (c->sup->phase == SUPER_RUNNING)
		child_run(c);
	if (r != NULL && r->stage == RELOAD_COMMIT &&
	    c->generation == r->generation) {
		r->role_ns[c->role] = mono_sub_ns(mono_now(), r->role_began);
		reload_next_commit(r);
	} else {
		reload_catch_up(c);
		reload_settle(c->sup);
	}
}

void
reload_commit_initial(struct supervisor *sup, reload_done_fn *done, void *arg)
{
	struct reload *r = reload_new(sup, done, arg);

	r->first = true;
	r->generation = sup->last_generation;
	r->began = mono_now();
	r->next = sup->reload;		/* requests that came in early wait */
	sup->reload = r;
	reload_prepare(r, sup->blobs);
}

void
reload_catch_up(struct child *c)
{
	const struct supervisor *sup = c->sup;

	if (c->state == CHILD_UP && c->ch != NULL && !c->leaving &&
	    c->step == STEP_IDLE && sup->generation != 0 &&
	    c->generation != sup->generation)
		send_prepare(c, sup->generation, sup->blobs);
}

/* --- deaths --- */

static void
config_on_death(struct child *c, const char *cause)
{
	struct reload *r = c->reload;
	char text[256];

	if (r == NULL || r->loaded) {
		reload_kick(c->sup);
		return;
	}
	if (r->initial && ++r->tries < LOAD_TRIES) {
		log_error("Worker has ended, restarting it",
		    F_STR("role", role_name(c->role)), F_STR("cause", cause));
		event_del(r->timer);
		blobs_close(r->blobs);
		r->stage = RELOAD_WAITING;
		reload_kick(c->sup);
		return;
	}
	r->exit_code = 2;
	snprintf(text, sizeof(text), "the config worker ended: %s", cause);
	reload_fail(r, "couldn't load configuration", text);
}

/* A death before the decision; with the first one the start goes back. */
static void
reload_break_off(struct reload *r, const struct child *c, const char *cause)
{
	struct err err = ERR_INIT;
	char name[32], text[256];

	snprintf(text, sizeof(text), "%s ended meanwhile: %s",
	    child_name(c, name), cause);
	if (r->first) {
		err_set(&err, ERR_UNAVAILABLE, "%s", text);
		reload_abort(r, &err);
	} else
		reload_fail(r, "one or more errors occurred while applying the "
		    "new configuration", text);
}

void
reload_on_death(struct child *c, const char *cause)
{
	struct reload *r = c->sup->reload;
	uint32_t generation = c->next_generation;

	c->next_generation = 0;
	if (c->role == ROLE_CONFIG) {
		config_on_death(c, cause);
		return;
	}
	if (r == NULL || generation != r->generation)
		return;
	if (r->stage == RELOAD_PREPARE)
		reload_break_off(r, c, cause);
	else if (r->stage == RELOAD_COMMIT)
		reload_next_commit(r);
}

void
reload_cancel_all(struct supervisor *sup, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_CANCELED, "%s", why);
	while (sup->reload != NULL) {
		struct reload *r = sup->reload;

		sup->reload = r->next;
		if (sup->config.reload == r)
			sup->config.reload = NULL;
		event_free(r->timer);
		blobs_close(r->blobs);
		log_files_clear(&r->log_files);
		if (r->done != NULL)
			r->done(r->arg, &err, 0);
		free(r);
	}
}
