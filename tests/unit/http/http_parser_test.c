/* SPDX-License-Identifier: ISC */
/* The framer: what it takes, what it refuses, in one piece and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/parser.h"

struct outcome {
	int		n_done;		/* requests completed */
	int		status;		/* of the refusal, 0 = none */
	char		body[256];
	size_t		body_n;
	struct http_request last;
	bool		idle;
};

/* Runs the input through the parser in pieces of at most `step` bytes. */
static struct outcome
run(struct http_parser *p, const char *in, size_t n, size_t step,
    uint64_t limit)
{
	struct outcome o = { 0 };
	size_t pos = 0;

	for (;;) {
		enum http_event ev;
		size_t len = n - pos < step ? n - pos : step;
		size_t used = http_parser_feed(p, in + pos, len, &ev);

		assert_true(used <= len);
		pos += used;
		if (ev == HTTP_EV_MORE) {
			assert_int_equal(used, len);
			if (pos == n)
				break;
		} else if (ev == HTTP_EV_HEAD) {
			p->body_limit = limit;
			o.last = p->req;
		} else if (ev == HTTP_EV_BODY) {
			assert_true(o.body_n + p->body.n <= sizeof(o.body));
			memcpy(o.body + o.body_n, p->body.p, p->body.n);
			o.body_n += p->body.n;
		} else if (ev == HTTP_EV_DONE) {
			o.n_done++;
			http_parser_next(p);
		} else {
			o.status = p->status;
			assert_non_null(p->reason);
			break;
		}
	}
	o.idle = http_parser_is_idle(p);
	return o;
}

/* The same outcome whatever the pieces; returns the last one. */
static struct outcome
run_all(struct http_parser *p, const char *in, size_t n)
{
	static const size_t steps[] = { 1, 2, 3, 7, 100000 };
	struct outcome o = { 0 }, first = { 0 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		http_parser_clear(p);
		http_parser_init(p);
		o = run(p, in, n, steps[i], 64);
		if (i == 0)
			first = o;
		assert_int_equal(o.status, first.status);
		assert_int_equal(o.n_done, first.n_done);
		assert_int_equal(o.body_n, first.body_n);
		assert_memory_equal(o.body, first.body, o.body_n);
		assert_int_equal(o.idle, first.idle);
	}
	return o;
}

#define H "Host: a\r\n"

static void
test_accepted(void **state)
{
	static const struct { const char *in; int done; const char *body; }
	    cases[] = {
		{ "GET / HTTP/1.1\r\n" H "\r\n", 1, "" },
		{ "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 1, "" },
		{ "GET / HTTP/1.0\r\n\r\n", 1, "" },
		{ "GET http://x:1/p?q HTTP/1.1\r\n" H "\r\n", 1, "" },
		{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", 1, "" },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 1, "" },
		{ "BREW / HTTP/1.1\r\n" H "\r\n", 1, "" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 1,
		  "abc" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"
		  "GET / HTTP/1.1\r\n" H "\r\n", 2, "" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"
		  "3\r\nabc\r\n02;x=\"y\"\r\nde\r\n0\r\n\r\n", 1, "abcde" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		  "1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n"
		  "GET / HTTP/1.1\r\n" H "\r\n", 2, "a" },
		{ "GET / HTTP/1.1\r\n" H "X:\t v\xc3\xa9 \t\r\n\r\n", 1, "" },
	};
	struct http_parser p;

	(void)state;
	http_parser_init(&p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o = run_all(&p, cases[i].in,
		    strlen(cases[i].in));

		if (o.status != 0 || o.n_done != cases[i].done)
			print_message("case %zu\n", i);
		assert_int_equal(o.status, 0);
		assert_int_equal(o.n_done, cases[i].done);
		assert_int_equal(o.body_n, strlen(cases[i].body));
		assert_memory_equal(o.body, cases[i].body, o.body_n);
		assert_true(o.idle);
	}
	http_parser_clear(&p);
}

static void
test_refused(void **state)
{
	static const struct { const char *in; int status; } cases[] = {
		/* lines */
		{ "GET / HTTP/1.1\n" H "\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "\n", 400 },
		{ "\nGET / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "\rGET / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n", 400 },
		/* request line */
		{ "GET /\r\n\r\n", 400 },
		{ "GET  / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET / HTTP/1.1 \r\n" H "\r\n", 400 },
		{ " GET / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "G(T / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET / http/1.1\r\n" H "\r\n", 400 },
		{ "GET / HTTP/2.0\r\n" H "\r\n", 505 },
		{ "PRI * HTTP/2.0\r\n\r\n", 505 },
		{ "GET / HTTP/1.2\r\n" H "\r\n", 505 },
		{ "GET x HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET * HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /a#b HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /\x01 HTTP/1.1\r\n" H "\r\n", 400 },
		{ "CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET http:/// HTTP/1.1\r\n" H "\r\n", 400 },
		/* headers */
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H H "\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "X: \x02\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n", 417 },
		/* framing */
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
		  "Content-Length: 1\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 1,1\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H
		  "Content-Length: 99999999999999999999\r\n\r\na", 400 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 65\r\n\r\na", 413 },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked"
		  "\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b""chunked"
		  "\r\n\r\n", 400 },
		{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
#define C "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		{ C "\r\n", 400 },
		{ C " 1\r\na\r\n", 400 },
		{ C "1 \r\na\r\n", 400 },
		{ C "0x1\r\na\r\n", 400 },
		{ C "1\na\r\n", 400 },
		{ C "1\r\nab\r\n", 400 },
		{ C "1\r\na\n0\r\n\r\n", 400 },
		{ C "1;a\nb\r\na\r\n", 400 },
		{ C "ffffffffffffffff\r\n", 400 },
		{ C "fffffffffffffff\r\n", 413 },
		{ C "41\r\n", 413 },
		{ C "40\r\n0123456789012345678901234567890123456789"
		  "012345678901234567890123\r\n1\r\n", 413 },
		{ C "0\r\nA: b\n\r\n", 400 },
		{ C "0\r\n\n", 400 },
		{ C "0\r\n folded\r\n\r\n", 400 },
	};
	struct http_parser p;

	(void)state;
	http_parser_init(&p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o = run_all(&p, cases[i].in,
		    strlen(cases[i].in));

		if (o.status != cases[i].status)
			print_message("case %zu: %.60s\n", i, cases[i].in);
		assert_int_equal(o.status, cases[i].status);
	}
	/* a NUL, which C strings cannot hold */
	static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";

	assert_int_equal(run_all(&p, nul, sizeof(nul) - 1).status, 400);
	http_parser_clear(&p);
}

static void
test_sizes(void **state)
{
	struct http_parser p;
	struct buf b;

	(void)state;
	http_parser_init(&p);
	buf_init(&b, 0);
	/* a head one byte too long, and one that just fits */
	for (int extra = 0; extra < 2; extra++) {
		static const char start[] = "GET /", end[] =
		    " HTTP/1.1\r\n" H "\r\n";

		buf_reset(&b);
		buf_add_c(&b, start);
		while (b.n < HTTP_HEAD_BYTES_MAX + (size_t)extra -
		    (sizeof(end) - 1))
			buf_add_byte(&b, 'x');
		buf_add_c(&b, end);
		struct outcome o = run(&p, b.p, b.n, 4096, 0);

		assert_int_equal(o.status, extra == 0 ? 0 : 431);
		assert_int_equal(o.n_done, extra == 0 ? 1 : 0);
	}
	/* too many lines */
	http_parser_clear(&p);
	http_parser_init(&p);
	buf_reset(&b);
	buf_add_c(&b, "GET / HTTP/1.1\r\n" H);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		buf_add_c(&b, "A: b\r\n");
	buf_add_c(&b, "\r\n");
	assert_int_equal(run(&p, b.p, b.n, 4096, 0).status, 431);
	/* an endless trailer */
	http_parser_clear(&p);
	http_parser_init(&p);
	buf_reset(&b);
	buf_add_c(&b, C "0\r\n");
	for (int i = 0; i < 2000; i++)
		buf_add_c(&b, "A: b\r\n");
	assert_int_equal(run(&p, b.p, b.n, 4096, 64).status, 431);
	/* empty lines without end */
	http_parser_clear(&p);
	http_parser_init(&p);
	buf_reset(&b);
	for (int i = 0; i < 100; i++)
		buf_add_c(&b, "\r\n");
	assert_int_equal(run(&p, b.p, b.n, 4096, 64).status, 400);
	buf_clear(&b);
	http_parser_clear(&p);
}

static void
test_pieces(void **state)
{
	static const char in[] =
	    "POST /api/v1/query?a=b&c HTTP/1.1\r\nhost: example:9090\r\n"
	    "Connection: x, Close\r\nAccept-Encoding: br\r\n"
	    "accept-encoding: , gzip ,x\r\nExpect: 100-Continue\r\n"
	    "Content-Length: 2\r\n\r\n";
	struct http_parser p;
	enum http_event ev;

	(void)state;
	http_parser_init(&p);
	assert_int_equal(http_parser_feed(&p, in, sizeof(in) - 1, &ev),
	    sizeof(in) - 1);
	assert_int_equal(ev, HTTP_EV_HEAD);
	assert_int_equal(p.req.method, HTTP_POST);
	assert_true(str_eq_c(p.req.raw_path, "/api/v1/query"));
	assert_true(str_eq_c(p.req.raw_query, "a=b&c"));
	assert_true(str_eq_c(p.req.host, "example:9090"));
	assert_false(p.req.keep_alive);
	assert_true(p.req.expect_continue);
	assert_int_equal(p.req.content_length, 2);
	assert_true(str_eq_c(http_request_header(&p.req, "ACCEPT-encoding"),
	    "br"));
	assert_null(http_request_header(&p.req, "Accept").p);
	assert_true(http_parser_in_body(&p));
	http_parser_clear(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
