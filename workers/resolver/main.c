/* SPDX-License-Identifier: ISC */
/*
 * The resolver: addresses of names for the roles that dial. It alone talks
 * to name servers; the resolver files are read before the sandbox closes,
 * and the supervisor starts it again when they change.
 */

#include <sys/queue.h>

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/wire.h"
#include "ipc/worker.h"
#include "workers/resolver/lookup.h"

struct request {
	struct resolver		*r;
	struct ipc_channel	*ch;
	uint64_t		 id;
	struct lookup_waiter	*waiter;
	LIST_ENTRY(request)	 link;
};

struct resolver {
	struct worker		*w;
	struct lookup		*lookup;
	LIST_HEAD(, request)	 requests;
};

static void
send_answer(struct ipc_channel *ch, uint64_t id,
    const struct lookup_answer *a)
{
	struct msg_resolved msg = { .ok = a->error[0] == '\0',
	    .ttl_s = a->ttl_s };
	struct err err = ERR_INIT;
	struct buf b;
	size_t i;

	buf_init(&b, 0);
	buf_add(&b, &msg, sizeof(msg));
	wire_put_str(&b, str_c(a->error));
	wire_put_u32(&b, (uint32_t)a->addresses.n);
	for (i = 0; i < a->addresses.n; i++) {
		wire_put_u32(&b, (uint32_t)a->addresses.a[i].family);
		wire_put_u32(&b, 0);
		wire_put_str(&b, str_c(a->addresses.a[i].text));
		wire_put_str(&b, STR_EMPTY);
	}
	if (buf_failed(&b) || ipc_send(ch, IPC_RESOLVED, id, b.p, b.n, NULL,
	    0, &err) == -1)
		log_warn("An answer could not be sent", F_ERR(&err));
	buf_clear(&b);
}

static void
on_done(void *arg, const struct lookup_answer *a)
{
	struct request *q = arg;

	LIST_REMOVE(q, link);
	send_answer(q->ch, q->id, a);
	free(q);
}

static void
answer_error(struct ipc_channel *ch, uint64_t id, const char *text)
{
	struct lookup_answer a = { .error = text };

	send_answer(ch, id, &a);
}

static void
resolver_on_resolve(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_resolve *msg = m->data;
	struct resolver *r = ctx;
	struct lookup_answer now;
	struct wire_reader in;
	struct request *q;
	struct str name;

	wire_reader_init(&in, msg + 1, m->n - sizeof(*msg));
	name = wire_get_str(&in);
	if (!wire_end(&in) || msg->kind > RESOLVE_SRV) {
		ipc_violation(ch, m, "malformed request");
		return;
	}
	if (msg->kind == RESOLVE_SRV) {
		answer_error(ch, m->id, "SRV records are not looked up yet");
		return;
	}
	q = r->lookup == NULL ? NULL : calloc(1, sizeof(*q));
	if (q == NULL) {
		answer_error(ch, m->id, r->lookup == NULL ?
		    "the resolver is stopping" : "out of memory");
		return;
	}
	*q = (struct request){ .r = r, .ch = ch, .id = m->id };
	q->waiter = lookup_start(r->lookup, name, msg->timeout_ms, on_done, q,
	    &now);
	if (q->waiter != NULL) {
		LIST_INSERT_HEAD(&r->requests, q, link);
		return;
	}
	free(q);
	send_answer(ch, m->id, &now);
}

static int
resolver_start(void *ctx, struct worker *w, struct err *err)
{
	const struct lookup_options options = { 0 };
	struct resolver *r = ctx;

	r->w = w;
	LIST_INIT(&r->requests);
	r->lookup = lookup_new(worker_base(w), &options, err);
	return r->lookup == NULL ? -1 : 0;
}

static void
resolver_peer_down(void *ctx, struct ipc_channel *ch, enum peer_cause cause,
    const char *why)
{
	struct resolver *r = ctx;
	struct request *q, *next;

	(void)cause;
	(void)why;
	for (q = LIST_FIRST(&r->requests); q != NULL; q = next) {
		next = LIST_NEXT(q, link);
		if (q->ch != ch)
			continue;
		LIST_REMOVE(q, link);
		lookup_cancel(q->waiter);
		free(q);
	}
}

static void
resolver_stop(void *ctx, uint32_t deadline_ms)
{
	struct resolver *r = ctx;
	struct request *q;

	(void)deadline_ms;
	while ((q = LIST_FIRST(&r->requests)) != NULL) {
		LIST_REMOVE(q, link);
		free(q);
	}
	lookup_free(r->lookup);
	r->lookup = NULL;
	worker_stopped(r->w);
}

int
main(void)
{
	static const struct ipc_handler handlers[] = {
		{ IPC_RESOLVE, resolver_on_resolve },
	};
	static const struct worker_peer peers[] = {
		{ ROLE_SCRAPE, handlers, 1 },
		{ ROLE_DISCOVERY, handlers, 1 },
		{ ROLE_NOTIFY, handlers, 1 },
		{ ROLE_REMOTE, handlers, 1 },
	};
	const struct worker_role role = {
		.role = ROLE_RESOLVER,
		.peers = peers,
		.n_peers = sizeof(peers) / sizeof(peers[0]),
		.start = resolver_start,
		.stop = resolver_stop,
		.peer_down = resolver_peer_down,
	};
	struct resolver r = { 0 };

	return worker_main(&role, &r);
}
