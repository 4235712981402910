/* SPDX-License-Identifier: ISC */
/* The HTTP client against a small server in a child process. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/compress.h"
#include "common/httpclient/client.h"

static int port;
static pid_t server;

static void
send_all(int fd, const void *p, size_t n)
{
	const char *c = p;
	ssize_t r;

	for (; n > 0; c += r, n -= (size_t)r)
		if ((r = write(fd, c, n)) <= 0)
			_exit(1);
}

static void
reply(int fd, const char *status, const char *extra, struct str body)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n"
	    "Content-Type: text/plain; version=0.0.4\r\n%s"
	    "Content-Length: %zu\r\n\r\n", status, extra, body.n);

	send_all(fd, head, (size_t)n);
	send_all(fd, body.p, body.n);
}

static void
reply_gzip(int fd, size_t n)
{
	struct buf plain, packed;
	struct err err = ERR_INIT;

	buf_init(&plain, 0);
	buf_init(&packed, 0);
	memset(buf_reserve(&plain, n), 'x', n);
	plain.n = n;
	(void)compress_add(COMPRESS_GZIP, buf_str(&plain), &packed, &err);
	reply(fd, "200 OK", "Content-Encoding: gzip\r\n", buf_str(&packed));
	buf_clear(&plain);
	buf_clear(&packed);
}

/* Answers one request; false when the connection is to end. */
static bool
answer(int fd, char *head, int n_conn)
{
	char text[4096], location[64];

	if (strncmp(head, "GET /plain ", 11) == 0)
		reply(fd, "200 OK", "", STR_LIT("a 1\n"));
	else if (strncmp(head, "GET /conn ", 10) == 0) {
		snprintf(text, sizeof(text), "%d", n_conn);
		reply(fd, "200 OK", "", str_c(text));
	} else if (strncmp(head, "GET /echo ", 10) == 0)
		reply(fd, "200 OK", "", str_c(head));
	else if (strncmp(head, "GET /gzip ", 10) == 0)
		reply_gzip(fd, 100000);
	else if (strncmp(head, "GET /bad-gzip ", 14) == 0)
		reply(fd, "200 OK", "Content-Encoding: gzip\r\n",
		    STR_LIT("\x1f\x8bgarbage that is no gzip"));
	else if (strncmp(head, "GET /away ", 10) == 0) {
		snprintf(location, sizeof(location),
		    "Location: http://other.test:%d/echo\r\n", port);
		reply(fd, "302 Found", location, STR_LIT("moved"));
	} else if (strncmp(head, "GET /loop ", 10) == 0)
		reply(fd, "302 Found", "Location: /loop\r\n", STR_EMPTY);
	else if (strncmp(head, "GET /file ", 10) == 0)
		reply(fd, "302 Found", "Location: file:///etc/passwd\r\n",
		    STR_EMPTY);
	else if (strncmp(head, "GET /slow ", 10) == 0)
		sleep(3);
	else if (strncmp(head, "GET /cut ", 9) == 0) {
		send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
		    "short", 45);
		return false;
	} else if (strncmp(head, "GET /close ", 11) == 0)
		return false;
	else
		reply(fd, "404 Not Found", "", STR_LIT("no such page"));
	return true;
}

static void
serve_connection(int fd, int n_conn)
{
	char head[8192];
	size_t n = 0;
	ssize_t r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((r = read(fd, head + n, sizeof(head) - 1 - n)) > 0) {
		head[n += (size_t)r] = '\0';
		if (strstr(head, "\r\n\r\n") == NULL)
			continue;
		n = 0;
		if (!answer(fd, head, n_conn))
			break;
	}
	_exit(0);
}

static void
serve(int listener)
{
	signal(SIGCHLD, SIG_IGN);
	for (int n_conn = 1;; n_conn++) {
		int fd = accept(listener, NULL, NULL);

		if (fork() == 0)
			serve_connection(fd, n_conn);
		close(fd);
	}
}

static int
start_server(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&a, len) == -1 ||
	    listen(fd, 16) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		return -1;
	port = ntohs(a.sin_port);
	signal(SIGPIPE, SIG_IGN);
	if ((server = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
	}
	close(fd);
	http_client_setup();
	return 0;
}

static int
stop_server(void **state)
{
	(void)state;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return 0;
}

struct result {
	bool		 done;
	int		 status;
	char		 line[128];
	char		 type[128];
	struct buf	 body;
	struct err	 err;
	const char	*resolve_to;	/* NULL = no such host */
	int		 n_resolved;
	struct event_base *base;
};

static void
on_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct result *res = arg;

	assert_false(res->done);
	assert_true((r == NULL) != (err == NULL));
	res->done = true;
	if (err != NULL)
		res->err = *err;
	else {
		res->status = r->status;
		snprintf(res->line, sizeof(res->line), "%.*s",
		    STR_ARG(r->status_line));
		snprintf(res->type, sizeof(res->type), "%.*s",
		    STR_ARG(r->content_type));
		r->body->p[r->body->n] = '\n';
		buf_add_str(&res->body, buf_str(r->body));
	}
	event_base_loopbreak(res->base);
}

static void
on_resolve(void *arg, struct http_fetch *f, struct str host)
{
	struct result *res = arg;
	struct str addrs[2];

	(void)host;
	res->n_resolved++;
	if (res->resolve_to == NULL) {
		http_fetch_unresolved(f,
		    STR_LIT("lookup nowhere.test: no such host"));
		return;
	}
	/* the first refuses: 127.0.0.2 has no listener */
	addrs[0] = STR_LIT("127.0.0.2");
	addrs[1] = str_c(res->resolve_to);
	http_fetch_resolved(f, addrs, 2);
}

static struct http_loop *loop;
static struct event_base *base;

static void
run_url(struct http_client *c, struct result *res, const char *url,
    size_t max_body, int64_t timeout_ms, const char *resolve_to)
{
	struct http_header h = { STR_LIT("X-Extra"), STR_LIT("yes") };
	struct http_header auth = { STR_LIT("Authorization"),
	    STR_LIT("Bearer t0ken") };
	struct http_request rq = { .url = str_c(url), .headers = &h,
	    .n_headers = 1, .auth_headers = &auth, .n_auth_headers = 1,
	    .timeout_ms = timeout_ms, .max_body_bytes = max_body };

	memset(res, 0, sizeof(*res));
	res->base = base;
	res->resolve_to = resolve_to;
	assert_non_null(http_fetch_start(c, &rq, on_resolve, on_done, res));
	assert_false(res->done);
	event_base_dispatch(base);
	assert_true(res->done);
	buf_add_byte(&res->body, 0);
}

static void
run_path(struct http_client *c, struct result *res, const char *path)
{
	char url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
	run_url(c, res, url, 1 << 20, 5000, NULL);
}

static struct http_client *
new_client(void)
{
	struct http_client_conf conf = { .follow_redirects = true };
	struct err err = ERR_INIT;
	struct http_client *c;

	base = event_base_new();
	loop = http_loop_new(base);
	c = http_client_new(loop, &conf, &err);
	assert_non_null(c);
	return c;
}

static void
end_client(struct http_client *c)
{
	http_client_free(c);
	http_loop_free(loop);
	event_base_free(base);
}

static void
test_answers(void **state)
{
	struct http_client *c = new_client();
	struct result r;

	(void)state;
	run_path(c, &r, "/plain");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.line, "200 OK");
	assert_string_equal(r.type, "text/plain; version=0.0.4");
	assert_string_equal(r.body.p, "a 1\n");
	buf_clear(&r.body);
	run_path(c, &r, "/none");
	assert_string_equal(r.line, "404 Not Found");
	buf_clear(&r.body);
	run_path(c, &r, "/gzip");
	assert_int_equal(r.body.n, 100001);
	buf_clear(&r.body);
	run_path(c, &r, "/echo");
	assert_non_null(strstr(r.body.p, "X-Extra: yes"));
	assert_non_null(strstr(r.body.p, "Authorization: Bearer t0ken"));
	assert_null(strstr(r.body.p, "curl"));
	buf_clear(&r.body);
	end_client(c);
}

static void
test_reuse(void **state)
{
	struct http_client *c = new_client();
	struct result r;
	int first;

	(void)state;
	run_path(c, &r, "/conn");
	first = atoi(r.body.p);
	buf_clear(&r.body);
	for (int i = 0; i < 3; i++) {
		run_path(c, &r, "/conn");
		assert_int_equal(atoi(r.body.p), first);
		buf_clear(&r.body);
	}
	end_client(c);
}

static void
test_names(void **state)
{
	struct http_client *c = new_client();
	struct result r;
	char url[128];

	(void)state;
	snprintf(url, sizeof(url), "http://named.test:%d/echo", port);
	run_url(c, &r, url, 1 << 20, 5000, "127.0.0.1");
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body.p, "Host: named.test:"));
	buf_clear(&r.body);
	run_url(c, &r, "http://nowhere.test:9/x", 1 << 20, 5000, NULL);
	assert_string_equal(r.err.text, "Get \"http://nowhere.test:9/x\": "
	    "dial tcp: lookup nowhere.test: no such host");
	buf_clear(&r.body);
	end_client(c);
}

static void
test_redirects(void **state)
{
	struct http_client *c = new_client();
	struct result r;
	char url[128];

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/away", port);
	run_url(c, &r, url, 1 << 20, 5000, "127.0.0.1");
	assert_int_equal(r.n_resolved, 1);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body.p, "Host: other.test:"));
	/* another host does not get the token */
	assert_null(strstr(r.body.p, "Authorization"));
	buf_clear(&r.body);
	run_path(c, &r, "/loop");
	assert_non_null(strstr(r.err.text, "Get \"http://"));
	assert_non_null(strstr(r.err.text,
	    "/loop\": stopped after 10 redirects"));
	buf_clear(&r.body);
	run_path(c, &r, "/file");
	assert_non_null(strstr(r.err.text, "unsupported protocol scheme"));
	buf_clear(&r.body);
	end_client(c);
}

static void
test_errors(void **state)
{
	struct http_client *c = new_client();
	struct result r;
	char url[128];

	(void)state;
	run_url(c, &r, "http://127.0.0.1:1/metrics", 1000, 5000, NULL);
	assert_string_equal(r.err.text, "Get \"http://127.0.0.1:1/metrics\": "
	    "dial tcp 127.0.0.1:1: connect: connection refused");
	buf_clear(&r.body);
	run_url(c, &r, "http://u:secret@127.0.0.1:1/", 1000, 5000, NULL);
	assert_null(strstr(r.err.text, "secret"));
	buf_clear(&r.body);
	run_url(c, &r, "ftp://127.0.0.1/", 1000, 5000, NULL);
	assert_int_equal(r.err.kind, ERR_BAD_DATA);
	buf_clear(&r.body);
	run_url(c, &r, "http://[::1", 1000, 5000, NULL);
	assert_int_equal(r.err.kind, ERR_BAD_DATA);
	buf_clear(&r.body);
	run_path(c, &r, "/close");
	assert_non_null(strstr(r.err.text, ": EOF"));
	buf_clear(&r.body);
	run_path(c, &r, "/cut");
	assert_string_equal(r.err.text, "unexpected EOF");
	buf_clear(&r.body);
	run_path(c, &r, "/bad-gzip");
	assert_int_equal(r.err.kind, ERR_BAD_DATA);
	buf_clear(&r.body);

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/gzip", port);
	run_url(c, &r, url, 100001, 5000, NULL);
	assert_int_equal(r.status, 200);
	buf_clear(&r.body);
	run_url(c, &r, url, 100000, 5000, NULL);
	assert_string_equal(r.err.text, "body size limit exceeded");
	buf_clear(&r.body);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/plain", port);
	run_url(c, &r, url, 4, 5000, NULL);
	assert_string_equal(r.err.text, "body size limit exceeded");
	buf_clear(&r.body);

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/slow", port);
	run_url(c, &r, url, 1000, 200, NULL);
	assert_int_equal(r.err.kind, ERR_TIMEOUT);
	assert_non_null(strstr(r.err.text, ": context deadline exceeded"));
	buf_clear(&r.body);
	end_client(c);
}

static void
test_tls_settings(void **state)
{
	struct http_client_conf conf = { .ca_pem = STR_LIT("no PEM") };
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	base = event_base_new();
	loop = http_loop_new(base);
	assert_null(http_client_new(loop, &conf, &err));
	assert_int_equal(err.kind, ERR_BAD_DATA);
	conf.ca_pem = STR_EMPTY;
	conf.cert_pem = conf.key_pem = STR_LIT("no PEM");
	assert_null(http_client_new(loop, &conf, &err));
	http_loop_free(loop);
	event_base_free(base);
	buf_init(&b, 0);
	http_add_basic_auth(&b, STR_LIT("Aladdin"), STR_LIT("open sesame"));
	assert_true(str_eq_c(buf_str(&b),
	    "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_tls_settings),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
