/* SPDX-License-Identifier: ISC */
/*
 * The server over socket pairs and a loopback listener: replies and their
 * framing, keep-alive, pipelining, HEAD, clients that leave, deadlines, the
 * connection limit.
 */
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/base/buf.h"
#include "common/http/server.h"

struct fixture {
	struct event_base	*base;
	struct http_server	*server;
	struct http_exchange	*held;	/* of /hold */
	int			 n_gone;
	int			 n_refs_done;
	int			 fd;	/* the client's end */
};

static void
gone_cb(struct http_exchange *x, void *arg)
{
	struct fixture *f = arg;

	assert_true(http_exchange_is_gone(x));
	f->n_gone++;
}

static void
ref_done_cb(void *arg)
{
	(*(int *)arg)++;
}

static uint64_t
body_limit(const struct http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	return 100;
}

static void
on_request(struct http_exchange *x, void *arg)
{
	struct fixture *f = arg;
	struct str path = http_exchange_request(x)->raw_path;

	if (str_eq_c(path, "/hold")) {
		f->held = x;
		http_exchange_on_gone(x, gone_cb, f);
	} else if (str_eq_c(path, "/chunked")) {
		http_reply_header(x, "X-Bad", STR_LIT("a\r\nb"));
		http_reply_begin(x, 200, -1);
		http_reply_data(x, STR_LIT("abc"));
		http_reply_data(x, STR_EMPTY);
		http_reply_ref(x, STR_LIT("0123456789"), ref_done_cb,
		    &f->n_refs_done);
		http_reply_end(x);
	} else if (str_eq_c(path, "/short")) {
		http_reply_begin(x, 200, 10);
		http_reply_data(x, STR_LIT("abc"));
		http_reply_end(x);
	} else if (str_eq_c(path, "/none")) {
		http_reply_begin(x, 204, -1);
		http_reply_data(x, STR_LIT("abc"));
		http_reply_end(x);
	} else if (str_eq_c(path, "/err"))
		http_reply_error(x, 503, "Service Unavailable");
	else if (str_eq_c(path, "/body"))
		http_reply_full(x, 200, "text/plain", http_exchange_body(x));
	else
		http_reply_full(x, 200, "text/plain", path);
}

static const struct http_server_ops ops = { body_limit, on_request };

static void
spin(struct fixture *f, int ms)
{
	struct timeval tv = { 0, ms * 1000 };

	(void)event_base_loopexit(f->base, &tv);
	(void)event_base_dispatch(f->base);
}

static void
client(struct fixture *f)
{
	int sv[2];
	struct err err = ERR_INIT;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	f->fd = sv[0];
	assert_int_equal(http_server_adopt(f->server, sv[1], &err), 0);
}

static int
setup(void **state)
{
	static const struct http_server_conf conf = {
		.max_connections = 3, .idle_timeout_ms = 200,
		.head_timeout_ms = 100, .body_timeout_ms = 100,
		.write_timeout_ms = 100 };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)signal(SIGPIPE, SIG_IGN);
	f->base = event_base_new();
	assert_non_null(f->base);
	f->server = http_server_new(f->base, &conf, &ops, f);
	client(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	if (f->fd != -1)
		(void)close(f->fd);
	http_server_free(f->server);
	if (f->held != NULL)
		http_reply_end(f->held);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void
put(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->fd, text, strlen(text)),
	    (ssize_t)strlen(text));
}

/* All that has come so far; *eof when the server closed. */
static char *
get(struct fixture *f, bool *eof)
{
	static char text[65536];
	size_t n = 0;
	ssize_t r;

	*eof = false;
	while ((r = recv(f->fd, text + n, sizeof(text) - 1 - n,
	    MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	if (r == 0)
		*eof = true;
	text[n] = '\0';
	return text;
}

static int
count(const char *hay, const char *needle)
{
	int n = 0;

	while ((hay = strstr(hay, needle)) != NULL) {
		n++;
		hay += strlen(needle);
	}
	return n;
}

static void
test_replies(void **state)
{
	struct fixture *f = *state;
	bool eof;

	put(f, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
	    "HEAD /bc HTTP/1.1\r\nHost: a\r\n\r\n"
	    "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz"
	    "GET /none HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /err HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	char *t = get(f, &eof);

	assert_false(eof);
	assert_int_equal(count(t, "HTTP/1.1 200 OK\r\n"), 4);
	assert_int_equal(count(t, "\r\nDate: "), 6);
	assert_non_null(strstr(t, "Content-Length: 2\r\n\r\n/aHTTP"));
	assert_non_null(strstr(t, "Content-Length: 3\r\n\r\nHTTP"));
	assert_non_null(strstr(t, "Content-Length: 3\r\n\r\nxyzHTTP"));
	assert_non_null(strstr(t, "HTTP/1.1 204 No Content\r\nDate"));
	assert_non_null(strstr(t, "Service Unavailable\nHTTP"));
	assert_non_null(strstr(t, "Transfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n"));
	assert_null(strstr(t, "X-Bad"));
	assert_int_equal(f->n_refs_done, 1);
}

static void
test_close(void **state)
{
	struct fixture *f = *state;
	bool eof;

	put(f, "GET /chunked HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	spin(f, 20);
	char *t = get(f, &eof);

	assert_true(eof);
	assert_non_null(strstr(t, "Connection: close\r\n\r\nabc0123456789"));
	assert_int_equal(count(t, "HTTP/1.1 "), 1);
	(void)close(f->fd);

	client(f);
	put(f, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	spin(f, 20);
	t = get(f, &eof);
	assert_false(eof);
	assert_non_null(strstr(t, "Connection: keep-alive\r\n"));
	put(f, "GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	(void)get(f, &eof);
	assert_true(eof);
}

static void
test_refusal(void **state)
{
	struct fixture *f = *state;
	bool eof;

	put(f, "GET / HTTP/1.1\r\nHost : a\r\n\r\n");
	spin(f, 20);
	char *t = get(f, &eof);

	assert_non_null(strstr(t, "HTTP/1.1 400 Bad Request\r\n"));
	assert_true(eof);
	(void)close(f->fd);
	client(f);
	put(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n"
	    "Expect: 100-continue\r\n\r\n");
	spin(f, 20);
	t = get(f, &eof);
	assert_non_null(strstr(t, "HTTP/1.1 413 "));
	assert_null(strstr(t, "100 Continue"));
	(void)close(f->fd);
	client(f);
	put(f, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
	    "Expect: 100-continue\r\n\r\n");
	spin(f, 20);
	t = get(f, &eof);
	assert_string_equal(t, "HTTP/1.1 100 Continue\r\n\r\n");
	put(f, "x");
	spin(f, 20);
	assert_non_null(strstr(get(f, &eof), "\r\n\r\nx"));
}

static void
test_gone(void **state)
{
	struct fixture *f = *state;
	bool eof;

	/* with a pipelined request behind it */
	put(f, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	assert_non_null(f->held);
	assert_int_equal(f->n_gone, 0);
	http_reply_full(f->held, 200, NULL, STR_LIT("late"));
	f->held = NULL;
	spin(f, 20);
	char *t = get(f, &eof);

	assert_non_null(strstr(t, "\r\n\r\nlateHTTP/1.1 200"));
	assert_false(eof);

	put(f, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /x");
	spin(f, 20);
	(void)close(f->fd);
	f->fd = -1;
	spin(f, 20);
	assert_int_equal(f->n_gone, 1);
	http_reply_begin(f->held, 200, -1);
	http_reply_ref(f->held, STR_LIT("abc"), ref_done_cb, &f->n_refs_done);
	http_reply_end(f->held);
	f->held = NULL;
	spin(f, 20);
	assert_int_equal(f->n_refs_done, 1);
	assert_int_equal(http_server_n_connections(f->server), 0);
}

/* The end of a client is seen as a reset, and behind later input. */
static void
test_gone_hidden(void **state)
{
	struct fixture *f = *state;

	/* a reply that was not read makes the close a reset */
	put(f, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	assert_non_null(f->held);
	(void)close(f->fd);
	spin(f, 50);
	assert_int_equal(f->n_gone, 1);
	http_reply_end(f->held);
	client(f);
	put(f, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	put(f, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 50);
	assert_int_equal(f->n_gone, 1);
	(void)close(f->fd);
	f->fd = -1;
	spin(f, 100);
	assert_int_equal(f->n_gone, 2);
	http_reply_end(f->held);
	f->held = NULL;
	spin(f, 50);
	assert_int_equal(http_server_n_connections(f->server), 0);
}

static void
test_abort(void **state)
{
	struct fixture *f = *state;
	bool eof;

	put(f, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	http_reply_begin(f->held, 200, -1);
	http_reply_data(f->held, STR_LIT("abc"));
	http_reply_abort(f->held);
	f->held = NULL;
	spin(f, 20);
	assert_null(strstr(get(f, &eof), "\r\n0\r\n"));
	assert_true(eof);
	assert_int_equal(f->n_gone, 0);
	assert_int_equal(http_server_n_connections(f->server), 0);
}

static void
test_deadlines(void **state)
{
	struct fixture *f = *state;
	bool eof;

	/* a head that trickles */
	for (int i = 0; i < 6; i++) {
		(void)!write(f->fd, "G", 1);
		spin(f, 30);
	}
	char *t = get(f, &eof);

	assert_non_null(strstr(t, "HTTP/1.1 408 "));
	(void)close(f->fd);
	/* a body that does not come */
	client(f);
	put(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx");
	spin(f, 200);
	assert_non_null(strstr(get(f, &eof), "HTTP/1.1 408 "));
	(void)close(f->fd);
	/* nothing at all */
	client(f);
	spin(f, 300);
	t = get(f, &eof);
	assert_true(eof);
	assert_string_equal(t, "");
	/* a client that does not read */
	(void)close(f->fd);
	client(f);
	put(f, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	spin(f, 20);
	char *big = calloc(1, 8 << 20);

	assert_non_null(big);
	http_reply_begin(f->held, 200, -1);
	http_reply_ref(f->held, str_from(big, 8 << 20), ref_done_cb,
	    &f->n_refs_done);
	spin(f, 300);
	assert_int_equal(f->n_gone, 1);
	assert_int_equal(f->n_refs_done, 1);
	free(big);
	http_reply_end(f->held);
	f->held = NULL;
}

/* Replies to pipelined requests wait when the client does not read them. */
static void
test_pipeline_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	size_t sent = 0;

	buf_init(&b, 0);
	for (int i = 0; i < 100; i++)
		buf_add_c(&b, "GET /0123456789012345678901234567890123456789"
		    " HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 2000; i++) {
		ssize_t r = send(f->fd, b.p, b.n, MSG_DONTWAIT);

		if (r > 0)
			sent += (size_t)r;
		(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	/* far less than was offered was taken in */
	assert_true(sent < 8u << 20);
	buf_clear(&b);
}

static int
loopback_listener(struct sockaddr_in *sin)
{
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*sin = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	assert_int_equal(bind(fd, (struct sockaddr *)sin, sizeof(*sin)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sin, &len), 0);
	return fd;
}

/* Runs until so many connections are there, and then sees them stay so. */
static void
settle(struct fixture *f, size_t n)
{
	for (int i = 0; i < 1000 && http_server_n_connections(f->server) != n;
	    i++)
		spin(f, 10);
	spin(f, 30);
	assert_int_equal(http_server_n_connections(f->server), n);
}

static void
test_connection_limit(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in sin;
	struct err err = ERR_INIT;
	int fds[4];

	assert_int_equal(http_server_listen(f->server,
	    loopback_listener(&sin), &err), 0);
	for (int i = 0; i < 4; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&sin,
		    sizeof(sin)), 0);
	}
	/* the fixture's own makes one; the limit is three */
	settle(f, 3);
	(void)close(fds[0]);
	settle(f, 3);
	(void)close(fds[1]);
	settle(f, 3);
	(void)close(fds[2]);
	(void)close(fds[3]);
	settle(f, 1);
	http_server_stop(f->server);
	assert_int_equal(http_server_n_connections(f->server), 0);
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_replies), T(test_close), T(test_refusal), T(test_gone),
		T(test_gone_hidden),
		T(test_abort), T(test_deadlines), T(test_pipeline_bounded),
		T(test_connection_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
