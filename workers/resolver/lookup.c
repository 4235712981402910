/* SPDX-License-Identifier: ISC */
/*
 * An entry lives from the first request for its name until its answer is too
 * old: ASKING while evdns works on its two questions (a bit each in
 * `open`), then ANSWERED. Old entries go when they are asked for again, and
 * all of them when the table is full.
 *
 * evdns has no call to give up both questions that is safe inside their
 * callbacks, so an entry that nobody waits for any more simply stays until
 * evdns answers or times out.
 */

#include "workers/resolver/lookup.h"

#include <sys/queue.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"

#define ENTRIES_MAX	16384
#define WAITERS_MAX	16384
#define TTL_MIN_S	1
#define TTL_MAX_S	300
#define TTL_NEGATIVE_S	5
#define TTL_LOCAL_S	60
/* Shorter than any time-out that resolv.conf can ask for. */
#define QUICK_NS	900000000LL
#define TIMEOUT_DEFAULT_MS 10000
#define HOSTS_BYTES_MAX	(8 << 20)

enum { QUESTION_A = 1, QUESTION_AAAA = 2 };

struct lookup_entry {
	char			 name[NAME_MAX_BYTES + 2];	/* may end in . */
	struct lookup		*l;
	unsigned		 open;		/* questions not answered */
	int			 result;	/* DNS_ERR_… of the worst */
	mono_time		 asked, good_until;
	struct lookup_answer	 answer;
	char			 error[NAME_MAX_BYTES + 128];
	TAILQ_HEAD(, lookup_waiter) waiters;
};

struct lookup_waiter {
	struct lookup_entry	*e;
	lookup_done_fn		*fn;
	void			*arg;
	struct event		*timer;
	TAILQ_ENTRY(lookup_waiter) link;
};

struct lookup {
	struct event_base	*base;
	struct evdns_base	*dns;
	struct hosts		 hosts;
	struct map		 entries;
	size_t			 n_waiters;
	char			 server[64];	/* of messages */
	char			 text[NAME_MAX_BYTES + 128];	/* error at once */
	bool			 closing;
};

/* --- start --- */

static void
read_hosts(struct lookup *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf b;
	ssize_t n;
	char *p;

	if (fd == -1)
		return;
	buf_init(&b, HOSTS_BYTES_MAX);
	while ((p = buf_reserve(&b, 65536)) != NULL &&
	    (n = read(fd, p, 65536)) > 0)
		b.n += (size_t)n;
	(void)close(fd);
	hosts_parse(&l->hosts, buf_str(&b));
	buf_clear(&b);
}

/* The first server, for messages that name one. */
static void
name_server(struct lookup *l)
{
	struct sockaddr_storage ss;
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	if (evdns_base_get_nameserver_addr(l->dns, 0,
	    (struct sockaddr *)&ss, sizeof(ss)) <= 0)
		return;
	if (ss.ss_family == AF_INET) {
		memcpy(&sin, &ss, sizeof(sin));
		if (inet_ntop(AF_INET, &sin.sin_addr, text,
		    sizeof(text)) != NULL)
			(void)snprintf(l->server, sizeof(l->server), "%s:%u",
			    text, ntohs(sin.sin_port));
	} else if (ss.ss_family == AF_INET6) {
		memcpy(&sin6, &ss, sizeof(sin6));
		if (inet_ntop(AF_INET6, &sin6.sin6_addr, text,
		    sizeof(text)) != NULL)
			(void)snprintf(l->server, sizeof(l->server),
			    "[%s]:%u", text, ntohs(sin6.sin6_port));
	}
}

static void
on_evdns_log(int is_warning, const char *text)
{
	(void)is_warning;
	log_debug("evdns", F_STR("text", text));
}

struct lookup *
lookup_new(struct event_base *base, const struct lookup_options *o,
    struct err *err)
{
	const char *resolv = o->resolv_conf != NULL ? o->resolv_conf :
	    "/etc/resolv.conf";
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	l->base = base;
	hosts_init(&l->hosts);
	map_init(&l->entries);
	l->dns = evdns_base_new(base, 0);
	if (l->dns == NULL) {
		(void)err_set(err, ERR_INTERNAL, "cannot start evdns");
		lookup_free(l);
		return NULL;
	}
	evdns_set_log_fn(on_evdns_log);
	(void)evdns_base_set_option(l->dns, "max-inflight:", "512");
	/* A server that fails is asked again, not probed with a name of
	 * evdns's choice. */
	(void)evdns_base_set_option(l->dns, "max-timeouts:", "255");
	if (o->server != NULL)
		(void)evdns_base_nameserver_ip_add(l->dns, o->server);
	else
		/* Without the file: 127.0.0.1, as everywhere. */
		(void)evdns_base_resolv_conf_parse(l->dns,
		    DNS_OPTION_NAMESERVERS | DNS_OPTION_SEARCH |
		    DNS_OPTION_MISC, resolv);
	read_hosts(l, o->hosts_file != NULL ? o->hosts_file : "/etc/hosts");
	name_server(l);
	return l;
}

static void
waiter_free(struct lookup_waiter *w)
{
	TAILQ_REMOVE(&w->e->waiters, w, link);
	w->e->l->n_waiters--;
	event_free(w->timer);
	free(w);
}

static void
entry_free(struct lookup_entry *e)
{
	while (!TAILQ_EMPTY(&e->waiters))
		waiter_free(TAILQ_FIRST(&e->waiters));
	free(e);
}

void
lookup_free(struct lookup *l)
{
	size_t pos = 0;
	void *p;

	if (l == NULL)
		return;
	l->closing = true;
	/* evdns calls back with DNS_ERR_SHUTDOWN for all that is open. */
	if (l->dns != NULL)
		evdns_base_free(l->dns, 0);
	while ((p = map_next(&l->entries, &pos)) != NULL)
		entry_free(p);
	map_clear(&l->entries);
	hosts_clear(&l->hosts);
	free(l);
}

/* --- entries --- */

static bool
entry_eq(const void *val, const void *key)
{
	const struct lookup_entry *e = val;
	const char *name = key;

	return strcmp(e->name, name) == 0;
}

static uint64_t
entry_hash(const char *name)
{
	return hash_xxh64(name, strlen(name));
}

static void
drop_entry(struct lookup_entry *e)
{
	(void)map_del(&e->l->entries, entry_hash(e->name), entry_eq, e->name);
	entry_free(e);
}

static bool
is_stale(const struct lookup_entry *e)
{
	return e->open == 0 && TAILQ_EMPTY(&e->waiters) &&
	    mono_before(e->good_until, mono_now());
}

/* Makes room by dropping all that is old; answers that are fresh if need
 * be, all of them: the table is only a cache. */
static void
make_room(struct lookup *l)
{
	struct lookup_entry *e;
	bool all;
	size_t pos, i;

	for (i = 0; i < 2 && l->entries.n >= ENTRIES_MAX; i++) {
		all = i == 1;
		pos = 0;
		while ((e = map_next(&l->entries, &pos)) != NULL)
			if (is_stale(e) || (all && e->open == 0 &&
			    TAILQ_EMPTY(&e->waiters))) {
				drop_entry(e);
				pos = 0;	/* the table has moved */
				if (l->entries.n < ENTRIES_MAX * 3 / 4)
					break;
			}
	}
}

static const char *
error_words(int result)
{
	switch (result) {
	case DNS_ERR_TIMEOUT:
		return "i/o timeout";
	case DNS_ERR_NOTEXIST:
	case DNS_ERR_NODATA:
	case DNS_ERR_NONE:
		return "no such host";
	default:
		return "server misbehaving";
	}
}

/* "lookup x on 1.2.3.4:53: no such host" */
static void
format_error(const struct lookup *l, char *out, size_t n, const char *name,
    const char *words, bool asked)
{
	if (asked && l->server[0] != '\0')
		(void)snprintf(out, n, "lookup %s on %s: %s", name, l->server,
		    words);
	else
		(void)snprintf(out, n, "lookup %s: %s", name, words);
}

/* IPv4 first: most hosts have it, and dialling goes on to the others. */
static void
sort_addresses(struct addresses *as)
{
	struct addresses sorted = { .n = 0 };
	int family;
	size_t i;

	for (family = 4; family <= 6; family += 2)
		for (i = 0; i < as->n; i++)
			if (as->a[i].family == family)
				sorted.a[sorted.n++] = as->a[i];
	*as = sorted;
}

static void
entry_answered(struct lookup_entry *e)
{
	struct lookup_answer *a = &e->answer;
	struct lookup_waiter *w;
	lookup_done_fn *fn;
	void *arg;

	/* evdns calls a server's refusal (SERVFAIL) a time-out, but does
	 * not wait for it. */
	if (e->result == DNS_ERR_TIMEOUT &&
	    mono_sub_ns(mono_now(), e->asked) < QUICK_NS)
		e->result = DNS_ERR_SERVERFAILED;
	a->error = "";
	if (a->addresses.n > 0) {
		sort_addresses(&a->addresses);
		if (a->ttl_s < TTL_MIN_S)
			a->ttl_s = TTL_MIN_S;
		if (a->ttl_s > TTL_MAX_S)
			a->ttl_s = TTL_MAX_S;
	} else {
		format_error(e->l, e->error, sizeof(e->error), e->name,
		    error_words(e->result), true);
		a->error = e->error;
		a->ttl_s = TTL_NEGATIVE_S;
	}
	e->good_until = mono_add_ms(mono_now(), (int64_t)a->ttl_s * 1000);
	while ((w = TAILQ_FIRST(&e->waiters)) != NULL) {
		fn = w->fn;
		arg = w->arg;
		waiter_free(w);
		fn(arg, a);
	}
}

static void
take_addresses(struct lookup_entry *e, char type, int count, int ttl,
    const char *bytes)
{
	int family = type == DNS_IPv4_A ? AF_INET : AF_INET6;
	size_t size = type == DNS_IPv4_A ? 4 : 16;
	char text[INET6_ADDRSTRLEN];
	int i;

	for (i = 0; i < count; i++)
		if (inet_ntop(family, bytes + (size_t)i * size, text,
		    sizeof(text)) != NULL)
			(void)addresses_add(&e->answer.addresses,
			    family == AF_INET ? 4 : 6, text);
	if (e->answer.ttl_s == 0 || (uint32_t)ttl < e->answer.ttl_s)
		e->answer.ttl_s = ttl < 0 ? 0 : (uint32_t)ttl;
}

static void
question_done(struct lookup_entry *e, unsigned question, int result,
    char type, int count, int ttl, const void *bytes)
{
	if (e->l->closing)
		return;
	e->open &= ~question;
	if (result == DNS_ERR_NONE && bytes != NULL &&
	    (type == DNS_IPv4_A || type == DNS_IPv6_AAAA))
		take_addresses(e, type, count, ttl, bytes);
	else if (e->result == DNS_ERR_NONE || e->result == DNS_ERR_NODATA ||
	    e->result == DNS_ERR_NOTEXIST)
		e->result = result;	/* trouble is told before absence */
	if (e->open == 0)
		entry_answered(e);
}

static void
on_a(int result, char type, int count, int ttl, void *bytes, void *arg)
{
	question_done(arg, QUESTION_A, result, type, count, ttl, bytes);
}

static void
on_aaaa(int result, char type, int count, int ttl, void *bytes, void *arg)
{
	question_done(arg, QUESTION_AAAA, result, type, count, ttl, bytes);
}

static void
entry_ask(struct lookup_entry *e)
{
	size_t n = strlen(e->name);
	bool absolute = n > 0 && e->name[n - 1] == '.';
	int flags = absolute ? DNS_QUERY_NO_SEARCH : 0;
	char name[NAME_MAX_BYTES + 2];

	memcpy(name, e->name, n + 1);
	if (absolute)
		name[n - 1] = '\0';
	e->open = QUESTION_A | QUESTION_AAAA;
	e->asked = mono_now();
	e->result = DNS_ERR_NONE;
	memset(&e->answer, 0, sizeof(e->answer));
	/* NULL: it will not call back. */
	if (evdns_base_resolve_ipv4(e->l->dns, name, flags, on_a, e) == NULL) {
		e->open &= ~(unsigned)QUESTION_A;
		e->result = DNS_ERR_SERVERFAILED;
	}
	if (evdns_base_resolve_ipv6(e->l->dns, name, flags, on_aaaa,
	    e) == NULL) {
		e->open &= ~(unsigned)QUESTION_AAAA;
		e->result = DNS_ERR_SERVERFAILED;
	}
}

static struct lookup_entry *
entry_new(struct lookup *l, const char *name)
{
	struct lookup_entry *e;

	make_room(l);
	if (l->entries.n >= ENTRIES_MAX || (e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	e->l = l;
	TAILQ_INIT(&e->waiters);
	if (map_put(&l->entries, entry_hash(e->name), e) == -1) {
		free(e);
		return NULL;
	}
	return e;
}

/* --- requests --- */

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct lookup_waiter *w = arg;
	struct lookup_answer a = { .ttl_s = 0 };
	char error[NAME_MAX_BYTES + 128];
	lookup_done_fn *fn = w->fn;
	void *fn_arg = w->arg;

	(void)fd;
	(void)what;
	format_error(w->e->l, error, sizeof(error), w->e->name,
	    "i/o timeout", true);
	a.error = error;
	waiter_free(w);
	fn(fn_arg, &a);
}

static struct lookup_waiter *
wait_for(struct lookup_entry *e, uint32_t timeout_ms, lookup_done_fn *fn,
    void *arg)
{
	struct lookup_waiter *w;
	struct timeval tv;

	if (e->l->n_waiters >= WAITERS_MAX ||
	    (w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	if (timeout_ms == 0)
		timeout_ms = TIMEOUT_DEFAULT_MS;
	tv = (struct timeval){ timeout_ms / 1000,
	    (suseconds_t)(timeout_ms % 1000) * 1000 };
	w->e = e;
	w->fn = fn;
	w->arg = arg;
	w->timer = evtimer_new(e->l->base, on_timeout, w);
	if (w->timer == NULL || evtimer_add(w->timer, &tv) == -1) {
		if (w->timer != NULL)
			event_free(w->timer);
		free(w);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&e->waiters, w, link);
	e->l->n_waiters++;
	return w;
}

/* The text lives until the next failure of this kind. */
static void
fail_now(struct lookup *l, struct lookup_answer *now, const char *name,
    const char *words)
{
	format_error(l, l->text, sizeof(l->text), name, words, false);
	now->error = l->text;
	now->addresses.n = 0;
	now->ttl_s = 0;
}

/* What needs no name server; false when one must be asked. */
static bool
answer_locally(const struct lookup *l, struct str name,
    struct lookup_answer *now)
{
	now->error = "";
	now->ttl_s = TTL_LOCAL_S;
	now->addresses.n = 0;
	return address_literal(name, &now->addresses) ||
	    hosts_find(&l->hosts, name, &now->addresses) ||
	    name_is_localhost(name, &now->addresses);
}

struct lookup_waiter *
lookup_start(struct lookup *l, struct str name, uint32_t timeout_ms,
    lookup_done_fn *fn, void *arg, struct lookup_answer *now)
{
	char key[NAME_MAX_BYTES + 2];
	struct lookup_waiter *w;
	struct lookup_entry *e;

	if (answer_locally(l, name, now))
		return NULL;
	if (!name_normalise(name, key)) {
		(void)snprintf(key, sizeof(key), "%.*s",
		    (int)(name.n > 200 ? 200 : name.n), name.p);
		fail_now(l, now, key, "no such host");
		return NULL;
	}
	if (name.p[name.n - 1] == '.')
		(void)strcat(key, ".");
	e = map_get(&l->entries, entry_hash(key), entry_eq, key);
	if (e != NULL && e->open == 0 &&
	    mono_before(mono_now(), e->good_until)) {
		*now = e->answer;
		return NULL;
	}
	if (e == NULL)
		e = entry_new(l, key);
	w = e == NULL ? NULL : wait_for(e, timeout_ms, fn, arg);
	if (w == NULL) {
		fail_now(l, now, key,
		    "too many lookups");
		return NULL;
	}
	if (e->open != 0)
		return w;
	entry_ask(e);
	if (e->open != 0)
		return w;
	/* evdns took neither question. */
	waiter_free(w);
	fail_now(l, now, key, "server misbehaving");
	return NULL;
}

void
lookup_cancel(struct lookup_waiter *w)
{
	waiter_free(w);
}

size_t
lookup_n_entries(const struct lookup *l)
{
	return l->entries.n;
}
