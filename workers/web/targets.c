/* SPDX-License-Identifier: ISC */
/*
 * targets: every scrape worker is asked for its own, the fragments are put
 * behind one another. A worker that dies or is late is left out: the answer
 * is then what the others know.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "ipc/memfd.h"
#include "workers/web/web.h"

#define ASK_TIMEOUT_S	5
#define FRAGMENT_MAX	((size_t)256 << 20)
#define WORKERS_MAX	64

/* One request for targets under way. */
struct targets_ask {
	struct targets_ask	*next;
	struct web		*web;
	struct call		*call;		/* NULL: the client has gone */
	uint64_t		 id;
	struct event		*timer;
	struct ipc_channel	*waiting[WORKERS_MAX];
	size_t			 n_waiting;
	enum targets_state	 state;
	bool			 none;		/* state= that nothing has */
	struct buf		 active, dropped;
	json_t			*counts;
};

static void
ask_free(struct targets_ask *a)
{
	struct targets_ask **at = &a->web->targets;

	while (*at != NULL && *at != a)
		at = &(*at)->next;
	if (*at == a)
		*at = a->next;
	event_free(a->timer);
	buf_clear(&a->active);
	buf_clear(&a->dropped);
	json_decref(a->counts);
	free(a);
}

/* A target's JSON and the pool it names; both lie in a fragment. */
struct target_text {
	struct str	pool, object;
};

/*
 * The next object of a list, the comma before it taken off. Only strings and
 * braces are looked at. The pool: the value of its own key, for a label may
 * have that name as well. False at the end, or when this is no such list.
 */
static bool
next_target(struct str *rest, struct target_text *out)
{
	static const char key[] = "\"scrapePool\":\"";
	const size_t n_key = sizeof(key) - 1;
	size_t depth = 0, at = rest->n > 0 && rest->p[0] == ',', start = at;

	out->pool = STR_EMPTY;
	for (; at < rest->n; at++) {
		if (rest->p[at] == '{')
			depth++;
		else if (rest->p[at] == '}' && depth-- <= 1)
			break;
		if (rest->p[at] != '"')
			continue;
		bool is_pool = depth == 1 && rest->n - at > n_key &&
		    memcmp(rest->p + at, key, n_key) == 0;

		if (is_pool)
			at += n_key - 1;
		size_t text = ++at;

		while (at < rest->n && rest->p[at] != '"')
			at += rest->p[at] == '\\' ? 2 : 1;
		if (is_pool && at < rest->n)
			out->pool = str_from(rest->p + text, at - text);
	}
	if (at >= rest->n)
		return false;
	out->object = str_from(rest->p + start, at + 1 - start);
	*rest = str_from(rest->p + at + 1, rest->n - at - 1);
	return true;
}

static int
target_order(const void *a, const void *b)
{
	const struct target_text *x = a, *y = b;
	int r = str_cmp(x->pool, y->pool);

	return r != 0 ? r : str_cmp(x->object, y->object);
}

/*
 * The fragments of several workers, in the order of the pools whoever
 * answered first; as they came when they cannot be taken apart.
 */
static void
add_sorted(struct buf *b, struct str list)
{
	struct target_text *v = NULL, t;
	size_t n = 0, cap = 0;
	struct str rest = list;

	while (next_target(&rest, &t)) {
		if (vec_grow(&v, &cap, n + 1, sizeof(*v)) == -1)
			break;
		v[n++] = t;
	}
	if (rest.n != 0) {
		buf_add_str(b, list);
		n = 0;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), target_order);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		buf_add_str(b, v[i].object);
	}
	free(v);
}

static void
add_counts(struct targets_ask *a, struct buf *b)
{
	const char *key;
	json_t *v;
	bool first = true;

	if (a->none || a->state == TARGETS_ACTIVE) {
		buf_add_c(b, "null");
		return;
	}
	buf_add_byte(b, '{');
	json_object_foreach(a->counts, key, v) {
		if (!first)
			buf_add_byte(b, ',');
		first = false;
		json_add_str(b, str_c(key), true);
		buf_printf(b, ":%lld", (long long)json_integer_value(v));
	}
	buf_add_byte(b, '}');
}

static void
ask_finish(struct targets_ask *a)
{
	struct call *c = a->call;
	struct buf b;

	if (c != NULL) {
		buf_init(&b, 0);
		buf_add_c(&b, "{\"activeTargets\":[");
		add_sorted(&b, buf_str(&a->active));
		buf_add_c(&b, "],\"droppedTargets\":[");
		add_sorted(&b, buf_str(&a->dropped));
		buf_add_c(&b, "],\"droppedTargetCounts\":");
		add_counts(a, &b);
		buf_add_byte(&b, '}');
		a->call = NULL;
		http_exchange_on_gone(c->x, NULL, NULL);
		call_reply_data(c, buf_str(&b));
		buf_clear(&b);
	}
	ask_free(a);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct targets_ask *a = arg;

	(void)fd;
	(void)what;
	log_warn("A scrape worker did not tell its targets in time",
	    F_UINT("workers", a->n_waiting));
	ask_finish(a);
}

static void
gone_cb(struct http_exchange *x, void *arg)
{
	struct targets_ask *a = arg;
	struct call *c = a->call;

	(void)x;
	a->call = NULL;
	ask_free(a);
	call_abort(c);
}

/* The channel has answered, or never will. */
static bool
stop_waiting(struct targets_ask *a, const struct ipc_channel *ch)
{
	for (size_t i = 0; i < a->n_waiting; i++) {
		if (a->waiting[i] == ch) {
			a->waiting[i] = a->waiting[--a->n_waiting];
			return true;
		}
	}
	return false;
}

static void
join(struct buf *b, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (b->n > 0)
		buf_add_byte(b, ',');
	buf_add(b, p, n);
}

/* `"pool":n,…` of several workers: numbers of one pool are summed. */
static void
sum_counts(struct targets_ask *a, const char *p, size_t n)
{
	struct buf b;
	json_t *o, *v;
	const char *key;

	buf_init(&b, 0);
	buf_add_byte(&b, '{');
	buf_add(&b, p, n);
	buf_add_byte(&b, '}');
	o = json_loadb(b.p, b.n, 0, NULL);
	if (o == NULL)
		log_warn("Unreadable counts of dropped targets");
	json_object_foreach(o, key, v) {
		json_int_t sum = json_integer_value(v) + json_integer_value(
		    json_object_get(a->counts, key));

		(void)json_object_set_new(a->counts, key, json_integer(sum));
	}
	json_decref(o);
	buf_clear(&b);
}

static bool
take_fragments(struct targets_ask *a, const struct msg_targets *t, int fd)
{
	struct err err = ERR_INIT;
	struct str all;
	bool ok;

	if (memfd_map(fd, FRAGMENT_MAX, &all, &err) == -1) {
		log_warn("Reading targets failed", F_ERR(&err));
		return false;
	}
	ok = t->active_bytes <= all.n &&
	    t->dropped_bytes <= all.n - t->active_bytes &&
	    t->counts_bytes == all.n - t->active_bytes - t->dropped_bytes;
	if (ok && !a->none) {
		const char *dropped = all.p + t->active_bytes;

		if (a->state != TARGETS_DROPPED)
			join(&a->active, all.p, t->active_bytes);
		if (a->state != TARGETS_ACTIVE) {
			join(&a->dropped, dropped, t->dropped_bytes);
			sum_counts(a, dropped + t->dropped_bytes,
			    t->counts_bytes);
		}
	}
	memfd_unmap(all);
	return ok;
}

void
web_on_targets(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct web *web = ctx;
	struct targets_ask *a = web->targets;
	int fd = ipc_msg_take_fd(m, 0);

	while (a != NULL && a->id != m->id)
		a = a->next;
	/* an answer that nobody waits for any more is no violation */
	if (a != NULL && stop_waiting(a, ch)) {
		if (!take_fragments(a, m->data, fd))
			ipc_violation(ch, m, "malformed targets");
		if (a->n_waiting == 0)
			ask_finish(a);
	}
	(void)close(fd);
}

void
targets_worker_down(struct web *web, struct ipc_channel *ch)
{
	struct targets_ask *a, *next;

	for (a = web->targets; a != NULL; a = next) {
		next = a->next;
		if (stop_waiting(a, ch) && a->n_waiting == 0)
			ask_finish(a);
	}
}

static void
ask_workers(struct targets_ask *a, struct str pool)
{
	struct msg_targets_get m = { .state = (uint32_t)a->state };
	struct iovec iov[2] = { { &m, sizeof(m) } };
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	wire_put_str(&b, pool);
	iov[1] = (struct iovec){ b.p, b.n };
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct ipc_channel *ch = worker_peer(a->web->w, ROLE_SCRAPE,
		    i);

		if (ch == NULL)
			continue;
		if (ipc_sendv(ch, IPC_TARGETS_GET, a->id, iov, 2, NULL, 0,
		    &err) == -1)
			log_warn("Asking for targets failed", F_ERR(&err));
		else
			a->waiting[a->n_waiting++] = ch;
	}
	buf_clear(&b);
}

static struct str
lower(struct arena *mem, struct str s)
{
	char *p = arena_alloc(mem, s.n + 1);

	if (p == NULL)
		return s;
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)tolower((unsigned char)s.p[i]);
	return str_from(p, s.n);
}

void
handle_targets(struct call *c)
{
	static const struct timeval timeout = { ASK_TIMEOUT_S, 0 };
	struct str state = url_params_get(&c->params, "state");
	struct str pool = url_params_get(&c->params, "scrapePool");
	struct targets_ask *a = calloc(1, sizeof(*a));
	struct err err = ERR_INIT;

	if (a == NULL || (a->timer = evtimer_new(worker_base(c->web->w),
	    timer_cb, a)) == NULL || (a->counts = json_object()) == NULL) {
		if (a != NULL && a->timer != NULL)
			event_free(a->timer);
		free(a);
		(void)err_set(&err, ERR_INTERNAL, "out of memory");
		call_reply_err(c, 0, &err);
		return;
	}
	state = lower(&c->mem, state);
	a->web = c->web;
	a->call = c;
	a->id = c->id;
	buf_init(&a->active, 0);
	buf_init(&a->dropped, 0);
	a->state = str_eq_c(state, "active") ? TARGETS_ACTIVE :
	    str_eq_c(state, "dropped") ? TARGETS_DROPPED : TARGETS_ANY;
	a->none = state.n > 0 && a->state == TARGETS_ANY &&
	    !str_eq_c(state, "any");
	a->next = c->web->targets;
	c->web->targets = a;
	http_exchange_on_gone(c->x, gone_cb, a);
	(void)event_add(a->timer, &timeout);
	ask_workers(a, pool.p == NULL ? STR_EMPTY : pool);
	if (a->n_waiting == 0)
		ask_finish(a);
}

static int
str_order(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	return str_cmp(*x, *y);
}

void
handle_scrape_pools(struct call *c)
{
	const struct web_conf *conf = &c->web->conf;
	struct str *names = arena_array(&c->mem, conf->n_pools + 1,
	    sizeof(*names));
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, "{\"scrapePools\":[");
	if (names != NULL && conf->n_pools > 0) {
		memcpy(names, conf->pools, conf->n_pools * sizeof(*names));
		qsort(names, conf->n_pools, sizeof(*names), str_order);
		for (size_t i = 0; i < conf->n_pools; i++) {
			if (i > 0)
				buf_add_byte(&b, ',');
			json_add_str(&b, names[i], true);
		}
	}
	buf_add_c(&b, "]}");
	call_reply_data(c, buf_str(&b));
	buf_clear(&b);
}
