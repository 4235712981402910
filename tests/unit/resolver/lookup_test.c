/* SPDX-License-Identifier: ISC */
/*
 * Lookups against a name server of our own on 127.0.0.1: answers, their
 * cache, failures and their words, time-outs, names that need no server.
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>

#include "workers/resolver/lookup.h"

struct fixture {
	struct event_base		*base;
	struct evdns_server_port	*port;
	struct lookup			*l;
	int				 fd;
	int				 n_questions;
	char				 server[64];
};

/* web. has both families, nx. none, broken. fails, slow. never answers. */
static void
on_question(struct evdns_server_request *req, void *arg)
{
	struct fixture *f = arg;
	const struct evdns_server_question *q = req->questions[0];
	struct in_addr a4[2] = { { htonl(0x0a000001) }, { htonl(0x0a000002) } };
	struct in6_addr a6 = IN6ADDR_LOOPBACK_INIT;
	int code = 0;

	f->n_questions++;
	if (strncasecmp(q->name, "web.", 4) == 0 &&
	    q->type == EVDNS_TYPE_A)
		evdns_server_request_add_a_reply(req, q->name, 2, a4, 30);
	else if (strncasecmp(q->name, "web.", 4) == 0)
		evdns_server_request_add_aaaa_reply(req, q->name, 1, &a6, 20);
	else if (strncasecmp(q->name, "broken.", 7) == 0)
		code = DNS_ERR_SERVERFAILED;
	else if (strncasecmp(q->name, "slow.", 5) == 0) {
		evdns_server_request_drop(req);
		return;
	} else
		code = DNS_ERR_NOTEXIST;
	evdns_server_request_respond(req, code);
}

static int
set_up(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct lookup_options o = { .hosts_file = "/dev/null" };
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = ERR_INIT;
	socklen_t n = sizeof(sin);

	f->base = event_base_new();
	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&sin, &n), 0);
	f->port = evdns_add_server_port_with_base(f->base, f->fd, 0,
	    on_question, f);
	(void)snprintf(f->server, sizeof(f->server), "127.0.0.1:%u",
	    ntohs(sin.sin_port));
	o.server = f->server;
	f->l = lookup_new(f->base, &o, &err);
	assert_non_null(f->l);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	lookup_free(f->l);
	evdns_close_server_port(f->port);
	(void)close(f->fd);
	event_base_free(f->base);
	free(f);
	return 0;
}

struct got {
	int			 calls;
	char			 error[512];
	struct addresses	 addresses;
	uint32_t		 ttl_s;
	struct event_base	*base;
};

static void
on_done(void *arg, const struct lookup_answer *a)
{
	struct got *g = arg;

	g->calls++;
	(void)snprintf(g->error, sizeof(g->error), "%s", a->error);
	g->addresses = a->addresses;
	g->ttl_s = a->ttl_s;
	(void)event_base_loopbreak(g->base);
}

/* Waits for the answer, at most five seconds. */
static bool
ask(struct fixture *f, const char *name, uint32_t timeout_ms, struct got *g)
{
	struct timeval five = { 5, 0 };
	struct lookup_answer now;

	memset(g, 0, sizeof(*g));
	g->base = f->base;
	if (lookup_start(f->l, str_c(name), timeout_ms, on_done, g,
	    &now) == NULL) {
		on_done(g, &now);
		return true;
	}
	(void)event_base_loopexit(f->base, &five);
	while (g->calls == 0)
		if (event_base_loop(f->base, EVLOOP_ONCE) != 0 ||
		    event_base_got_exit(f->base))
			break;
	assert_int_equal(g->calls, 1);
	return false;
}

static void
assert_error(struct fixture *f, const struct got *g, const char *name,
    const char *words)
{
	char want[512];

	(void)snprintf(want, sizeof(want), "lookup %s on %s: %s", name,
	    f->server, words);
	assert_string_equal(g->error, want);
	assert_int_equal(g->addresses.n, 0);
}

static void
test_both_families_and_cache(void **state)
{
	struct fixture *f = *state;
	struct got g;

	assert_false(ask(f, "Web.Example", 2000, &g));
	assert_string_equal(g.error, "");
	assert_int_equal(g.addresses.n, 3);
	assert_string_equal(g.addresses.a[0].text, "10.0.0.1");
	assert_string_equal(g.addresses.a[1].text, "10.0.0.2");
	assert_string_equal(g.addresses.a[2].text, "::1");
	assert_int_equal(g.addresses.a[2].family, 6);
	assert_int_equal(g.ttl_s, 20);
	assert_int_equal(f->n_questions, 2);
	assert_true(ask(f, "web.example", 2000, &g));
	assert_int_equal(g.addresses.n, 3);
	assert_int_equal(f->n_questions, 2);
}

static void
test_failures(void **state)
{
	struct fixture *f = *state;
	struct got g;

	(void)ask(f, "nx.example", 2000, &g);
	assert_error(f, &g, "nx.example", "no such host");
	assert_true(ask(f, "nx.example", 2000, &g));
	assert_error(f, &g, "nx.example", "no such host");
	(void)ask(f, "slow.example", 100, &g);
	assert_error(f, &g, "slow.example", "i/o timeout");
	(void)ask(f, "not a name", 100, &g);
	assert_string_equal(g.error, "lookup not a name: no such host");
	(void)ask(f, "10.0.0", 100, &g);
	assert_string_equal(g.error, "lookup 10.0.0: no such host");
}

static void
test_server_failure(void **state)
{
	struct fixture *f = *state;
	struct got g;

	(void)ask(f, "broken.example", 4000, &g);
	if (strstr(g.error, "server misbehaving") == NULL)
		fail_msg("%s", g.error);
}

static void
test_without_server(void **state)
{
	struct fixture *f = *state;
	struct got g;

	assert_true(ask(f, "192.0.2.7", 100, &g));
	assert_string_equal(g.addresses.a[0].text, "192.0.2.7");
	assert_true(ask(f, "fe80::1%eth0", 100, &g));
	assert_string_equal(g.addresses.a[0].text, "fe80::1%eth0");
	assert_int_equal(g.addresses.a[0].family, 6);
	assert_true(ask(f, "LOCALHOST", 100, &g));
	assert_int_equal(g.addresses.n, 2);
	assert_int_equal(f->n_questions, 0);
}

static void
test_cancel(void **state)
{
	struct fixture *f = *state;
	struct lookup_waiter *w;
	struct lookup_answer now;
	struct got g = { .base = f->base }, h;

	w = lookup_start(f->l, STR_LIT("web.a"), 2000, on_done, &g, &now);
	assert_non_null(w);
	lookup_cancel(w);
	/* the answer still comes, for the next who asks */
	(void)ask(f, "web.a", 2000, &h);
	assert_int_equal(h.addresses.n, 3);
	assert_int_equal(g.calls, 0);
	assert_int_equal(lookup_n_entries(f->l), 1);
	/* one that is open when all ends */
	w = lookup_start(f->l, STR_LIT("slow.b"), 2000, on_done, &g, &now);
	assert_non_null(w);
}

static void
test_hosts(void **state)
{
	struct addresses as = { .n = 0 };
	struct hosts h;

	(void)state;
	hosts_init(&h);
	hosts_parse(&h, STR_LIT("# c\n10.1.2.3 a.b  A-alias\t# x\n"
	    "::2 a.b\nbad line\n\n300.1.1.1 no\n10.0.0.9"));
	assert_int_equal(h.n, 2);
	assert_true(hosts_find(&h, STR_LIT("A.B."), &as));
	assert_int_equal(as.n, 2);
	assert_string_equal(as.a[0].text, "10.1.2.3");
	assert_string_equal(as.a[1].text, "::2");
	as.n = 0;
	assert_true(hosts_find(&h, STR_LIT("a-alias"), &as));
	assert_int_equal(as.n, 1);
	assert_false(hosts_find(&h, STR_LIT("no"), &as));
	hosts_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn)	cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		T(test_both_families_and_cache),
		T(test_failures),
		T(test_server_failure),
		T(test_without_server),
		T(test_cancel),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
