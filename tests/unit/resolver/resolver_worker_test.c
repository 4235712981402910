/* SPDX-License-Identifier: ISC */
/*
 * The resolver as a process in its sandbox: it answers what needs no name
 * server, asks one for the rest without breaking its confinement, and bears
 * a peer that leaves while its question is open.
 */

#include "tests/unit/config/worker_harness.h"

struct answers {
	bool			got;
	uint64_t		id;
	struct msg_resolved	msg;
	char			error[512];
	char			first[64];
	uint32_t		n;
};

static void
on_resolved(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct answers *a = ((struct harness *)ctx)->test;
	const struct msg_resolved *msg = m->data;
	struct wire_reader r;
	struct str s;
	uint32_t i;

	(void)ch;
	a->msg = *msg;
	a->id = m->id;
	a->first[0] = '\0';
	wire_reader_init(&r, msg + 1, m->n - sizeof(*msg));
	s = wire_get_str(&r);
	(void)snprintf(a->error, sizeof(a->error), "%.*s", STR_ARG(s));
	a->n = wire_get_count(&r, 16);
	for (i = 0; i < a->n; i++) {
		(void)wire_get_u32(&r);
		(void)wire_get_u32(&r);
		s = wire_get_str(&r);
		if (i == 0)
			(void)snprintf(a->first, sizeof(a->first), "%.*s",
			    STR_ARG(s));
		(void)wire_get_str(&r);
	}
	assert_true(wire_end(&r));
	a->got = true;
}

static const struct ipc_handler peer_handlers[] = {
	{ IPC_RESOLVED, on_resolved },
};

static void
connect_peer(struct harness *h)
{
	struct msg_peer p = { .role = ROLE_SCRAPE, .n_instances = 1 };
	struct err err = ERR_INIT;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	h->peer = ipc_channel_new(h->base, fds[0], (struct ipc_ends){
	    ROLE_SCRAPE, ROLE_RESOLVER, 0, 0 }, peer_handlers, 1,
	    harness_on_closed, h);
	assert_non_null(h->peer);
	ipc_channel_set_state(h->peer, IPC_RUNNING);
	assert_int_equal(ipc_send(h->sup, IPC_PEER_UP, 0, &p, sizeof(p),
	    &fds[1], 1, &err), 0);
}

static void
send_question(struct harness *h, uint64_t id, enum resolve_kind kind,
    const char *name)
{
	struct msg_resolve q = { .kind = kind, .timeout_ms = 300 };
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, &q, sizeof(q));
	wire_put_str(&b, str_c(name));
	assert_int_equal(ipc_send(h->peer, IPC_RESOLVE, id, b.p, b.n, NULL, 0,
	    &err), 0);
	buf_clear(&b);
}

static void
ask(struct harness *h, uint64_t id, enum resolve_kind kind, const char *name)
{
	struct answers *a = h->test;

	a->got = false;
	send_question(h, id, kind, name);
	assert_true(harness_wait(h, &a->got));
	assert_int_equal(a->id, id);
}

static void
test_worker(void **state)
{
	struct answers a = { .got = false };
	struct harness h = { .test = &a };

	(void)state;
	harness_start(&h, ROLE_RESOLVER, "resolver", NULL, 0);
	connect_peer(&h);
	ask(&h, 1, RESOLVE_ADDRESS, "192.0.2.1");
	assert_int_equal(a.msg.ok, 1);
	assert_string_equal(a.first, "192.0.2.1");
	ask(&h, 2, RESOLVE_ADDRESS, "localhost");
	assert_int_equal(a.msg.ok, 1);
	assert_string_equal(a.first, "127.0.0.1");
	/* Whatever the name server of this machine says or does not say. */
	ask(&h, 3, RESOLVE_ADDRESS, "name.invalid");
	assert_int_equal(a.msg.ok, 0);
	assert_non_null(strstr(a.error, "lookup name.invalid"));
	ask(&h, 4, RESOLVE_SRV, "_x._tcp.invalid");
	assert_int_equal(a.msg.ok, 0);
	/* A peer that leaves with a question open. */
	send_question(&h, 5, RESOLVE_ADDRESS, "other.invalid");
	ipc_channel_free(h.peer);
	connect_peer(&h);
	ask(&h, 6, RESOLVE_ADDRESS, "::1");
	assert_string_equal(a.first, "::1");
	harness_stop(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
