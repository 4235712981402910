/* SPDX-License-Identifier: ISC */
/*
 * Names of targets become addresses through the resolver role. Answers are
 * kept for their time to live, at most half a minute, because a scrape asks
 * before each request, also when a connection is open.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"
#include "common/base/wire.h"
#include "workers/scrape/scrape.h"

#define TTL_S_MIN	1
#define TTL_S_MAX	30
#define ADDRS_MAX	8

/* A question on its way. */
struct lookup {
	struct lookup		*next;
	uint64_t		 id;
	struct http_fetch	*fetch;		/* NULL = nobody waits */
	char			*name;
};

struct known_name {
	struct known_name	*next;
	char			*name;
	int64_t			 until_ns;	/* monotonic */
	size_t			 n;
	struct str		 addrs[ADDRS_MAX];	/* owned */
};

void
resolver_init(struct resolver *r, struct scrape *s)
{
	memset(r, 0, sizeof(*r));
	r->s = s;
	r->next_id = 1;
}

static void
known_free(struct known_name *k)
{
	for (size_t i = 0; i < k->n; i++)
		conf_str_clear(&k->addrs[i]);
	free(k->name);
	free(k);
}

static void
lookup_free(struct lookup *l)
{
	free(l->name);
	free(l);
}

void
resolver_clear(struct resolver *r)
{
	struct known_name *k;
	struct lookup *l;

	while ((k = r->known) != NULL) {
		r->known = k->next;
		known_free(k);
	}
	while ((l = r->lookups) != NULL) {
		r->lookups = l->next;
		lookup_free(l);
	}
}

void
resolver_attach(struct resolver *r, struct ipc_channel *ch)
{
	r->ch = ch;
}

static void
answer_failure(struct lookup *l, struct str why)
{
	struct buf b;

	if (l->fetch == NULL)
		return;
	buf_init(&b, 0);
	/* The resolver's own texts begin so already. */
	if (str_has_prefix(why, STR_LIT("lookup ")))
		buf_add_str(&b, why);
	else
		buf_printf(&b, "lookup %s: %.*s", l->name, STR_ARG(why));
	http_fetch_unresolved(l->fetch, buf_str(&b));
	buf_clear(&b);
}

void
resolver_detach(struct resolver *r, struct ipc_channel *ch)
{
	struct lookup *l;

	if (r->ch != ch)
		return;
	r->ch = NULL;
	while ((l = r->lookups) != NULL) {
		r->lookups = l->next;
		answer_failure(l, STR_LIT("the resolver went away"));
		lookup_free(l);
	}
}

/* Names still good; old ones are thrown away on the way. */
static struct known_name *
find_known(struct resolver *r, struct str name)
{
	struct known_name **at = &r->known, *k;
	int64_t now = mono_now().ns;

	while ((k = *at) != NULL) {
		if (k->until_ns <= now) {
			*at = k->next;
			known_free(k);
		} else if (str_eq_c(name, k->name))
			return k;
		else
			at = &k->next;
	}
	return NULL;
}

void
resolver_ask(struct resolver *r, struct http_fetch *f, struct str host,
    uint32_t timeout_ms)
{
	struct known_name *k = find_known(r, host);
	struct msg_resolve m = { RESOLVE_ADDRESS, timeout_ms };
	struct lookup *l;
	struct err err = ERR_INIT;
	struct buf b;

	if (k != NULL) {
		http_fetch_resolved(f, k->addrs, k->n);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->name = str_dup(host);
	l->fetch = f;
	l->id = r->next_id++;
	if (l->name == NULL)
		fatal("out of memory for a name");
	buf_init(&b, 0);
	buf_add(&b, &m, sizeof(m));
	wire_put_str(&b, host);
	if (r->ch == NULL || ipc_send(r->ch, IPC_RESOLVE, l->id, b.p, b.n,
	    NULL, 0, &err) == -1) {
		answer_failure(l, STR_LIT("no resolver"));
		lookup_free(l);
	} else {
		l->next = r->lookups;
		r->lookups = l;
	}
	buf_clear(&b);
}

void
resolver_forget(struct resolver *r, struct http_fetch *f)
{
	for (struct lookup *l = r->lookups; l != NULL; l = l->next)
		if (l->fetch == f)
			l->fetch = NULL;
}

static void
remember(struct resolver *r, const char *name, const struct str *addrs,
    size_t n, uint32_t ttl_s)
{
	struct known_name *k = xcalloc(1, sizeof(*k));

	if (ttl_s < TTL_S_MIN)
		ttl_s = TTL_S_MIN;
	if (ttl_s > TTL_S_MAX)
		ttl_s = TTL_S_MAX;
	k->name = xstrdup(name);
	k->until_ns = mono_now().ns + (int64_t)ttl_s * 1000000000;
	for (k->n = 0; k->n < n; k->n++)
		if (conf_str_set(&k->addrs[k->n], addrs[k->n]) == -1)
			break;
	k->next = r->known;
	r->known = k;
}

/* Addresses of the message; false when it is malformed. */
static bool
read_answer(struct ipc_msg *m, struct str *why, struct str *addrs, size_t *n)
{
	struct wire_reader w;
	uint32_t count;

	wire_reader_init(&w, (const char *)m->data +
	    sizeof(struct msg_resolved), m->n - sizeof(struct msg_resolved));
	*why = wire_get_str(&w);
	count = wire_get_count(&w, 16);
	*n = 0;
	for (uint32_t i = 0; i < count && !w.failed; i++) {
		struct str addr;

		(void)wire_get_u32(&w);		/* family */
		(void)wire_get_u32(&w);		/* port, of SRV */
		addr = wire_get_str(&w);
		(void)wire_get_str(&w);		/* name, of SRV */
		if (*n < ADDRS_MAX)
			addrs[(*n)++] = addr;
	}
	return wire_end(&w);
}

void
resolver_on_resolved(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct scrape *s = ctx;
	struct resolver *r = &s->resolver;
	struct lookup **at = &r->lookups, *l;
	struct str why, addrs[ADDRS_MAX];
	struct msg_resolved head;
	size_t n;

	memcpy(&head, m->data, sizeof(head));
	if (!read_answer(m, &why, addrs, &n)) {
		ipc_violation(ch, m, "malformed answer");
		return;
	}
	while ((l = *at) != NULL && l->id != m->id)
		at = &l->next;
	if (l == NULL) {
		ipc_violation(ch, m, "answers no question");
		return;
	}
	*at = l->next;
	if (head.ok == 0 || n == 0)
		answer_failure(l, why.n != 0 ? why : STR_LIT("no such host"));
	else {
		remember(r, l->name, addrs, n, head.ttl_s);
		if (l->fetch != NULL)
			http_fetch_resolved(l->fetch, addrs, n);
	}
	lookup_free(l);
}
