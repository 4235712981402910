/* SPDX-License-Identifier: ISC */
/*
 * A load generator: many HTTP targets in one process, each with the same
 * number of series whose values change with every scrape, as cheap to serve
 * as possible (bodies are rendered once a round into a buffer, numbers
 * patched in place), so that the benchmark measures the scraper.
 *
 *	targets N_TARGETS N_SERIES [gzip]
 *
 * Prints one port a line, then serves until it is killed. At most 30 minutes.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdeflate.h>

#define VALUE_WIDTH	12	/* digits of each value */
#define LINE_MAX_BYTES	200
#define LIFE_S		1800

struct target {
	int		 listener;
	char		*body;
	size_t		 body_n;
	size_t		*value_at;	/* offset of each value's digits */
	uint64_t	*value;
	uint32_t	 seed;
	char		*packed;
	size_t		 packed_n;
};

struct conn {
	int		 fd;
	struct target	*target;
	char		 in[8192];
	size_t		 in_n;
	char		*out;
	size_t		 out_n, out_at;
};

static size_t n_series;
static bool use_gzip;
static struct libdeflate_compressor *packer;

static uint32_t
next_random(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static void
put_value(char *at, uint64_t v)
{
	int i;

	for (i = VALUE_WIDTH - 1; i >= 0; i--) {
		at[i] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* Ten series a family, as an exporter would have them. */
static void
target_init(struct target *t, unsigned number)
{
	static const char *const methods[] = { "GET", "PUT", "POST", "DELETE",
	    "HEAD" };
	size_t i;

	t->seed = 2463534242u + number;
	t->body = malloc(n_series * LINE_MAX_BYTES + 1024);
	t->value_at = calloc(n_series, sizeof(*t->value_at));
	t->value = calloc(n_series, sizeof(*t->value));
	for (i = 0; i < n_series; i++) {
		if (i % 10 == 0)
			t->body_n += (size_t)sprintf(t->body + t->body_n,
			    "# HELP bench_metric_%zu_total Requests of family %zu.\n"
			    "# TYPE bench_metric_%zu_total counter\n", i / 10,
			    i / 10, i / 10);
		t->body_n += (size_t)sprintf(t->body + t->body_n,
		    "bench_metric_%zu_total{method=\"%s\",path=\"/api/v1/%zu\",code=\"%d\"} 1",
		    i / 10, methods[i % 5], i % 10, i % 10 < 5 ? 200 : 500);
		t->value_at[i] = t->body_n;
		t->body_n += VALUE_WIDTH;
		t->body[t->body_n++] = '\n';
	}
}

/* The next values, and the response with its head. */
static void
target_render(struct target *t, struct conn *c)
{
	const char *p = t->body;
	size_t i, n = t->body_n;
	char head[256];
	int head_n;

	for (i = 0; i < n_series; i++) {
		t->value[i] += next_random(&t->seed) % 100;
		put_value(t->body + t->value_at[i], t->value[i]);
	}
	if (use_gzip) {
		size_t bound = libdeflate_gzip_compress_bound(packer, n);

		t->packed = realloc(t->packed, bound);
		n = libdeflate_gzip_compress(packer, t->body, n, t->packed,
		    bound);
		p = t->packed;
	}
	head_n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n"
	    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n%s"
	    "Content-Length: %zu\r\n\r\n",
	    use_gzip ? "Content-Encoding: gzip\r\n" : "", n);
	c->out = realloc(c->out, n + (size_t)head_n);
	memcpy(c->out, head, (size_t)head_n);
	memcpy(c->out + head_n, p, n);
	c->out_n = n + (size_t)head_n;
	c->out_at = 0;
}

static bool
conn_write(struct conn *c, int ep)
{
	struct epoll_event e = { .data.ptr = c };
	ssize_t n;

	while (c->out_at < c->out_n) {
		n = write(c->fd, c->out + c->out_at, c->out_n - c->out_at);
		if (n == -1 && errno == EAGAIN)
			break;
		if (n <= 0)
			return false;
		c->out_at += (size_t)n;
	}
	e.events = c->out_at < c->out_n ? EPOLLOUT : EPOLLIN;
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
	return true;
}

static bool
conn_read(struct conn *c, int ep)
{
	ssize_t n = read(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n - 1);

	if (n == -1 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	c->in_n += (size_t)n;
	c->in[c->in_n] = '\0';
	if (strstr(c->in, "\r\n\r\n") == NULL)
		return c->in_n < sizeof(c->in) - 1;
	c->in_n = 0;
	target_render(c->target, c);
	return conn_write(c, ep);
}

static int
listen_anywhere(int *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, n) == -1 ||
	    listen(fd, 64) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &n) == -1) {
		perror("targets: listen");
		exit(1);
	}
	*port = ntohs(sin.sin_port);
	return fd;
}

static void
accept_one(struct conn *listener, int ep)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct conn *c;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK), on = 1;

	if (fd == -1)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c = calloc(1, sizeof(*c));
	c->fd = fd;
	c->target = listener->target;
	e.data.ptr = c;
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[64], e = { .events = EPOLLIN };
	struct target *targets;
	struct conn *listeners;
	int ep, i, n, n_targets, port;

	if (argc < 3 || (n_targets = atoi(argv[1])) < 1 ||
	    (n_series = (size_t)atol(argv[2])) < 1) {
		fputs("usage: targets N_TARGETS N_SERIES [gzip]\n", stderr);
		return 2;
	}
	use_gzip = argc > 3 && strcmp(argv[3], "gzip") == 0;
	packer = libdeflate_alloc_compressor(1);
	signal(SIGPIPE, SIG_IGN);
	alarm(LIFE_S);
	ep = epoll_create1(0);
	targets = calloc((size_t)n_targets, sizeof(*targets));
	listeners = calloc((size_t)n_targets, sizeof(*listeners));
	for (i = 0; i < n_targets; i++) {
		target_init(&targets[i], (unsigned)i);
		listeners[i].fd = targets[i].listener = listen_anywhere(&port);
		listeners[i].target = &targets[i];
		e.data.ptr = &listeners[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, listeners[i].fd, &e);
		printf("%d\n", port);
	}
	fflush(stdout);
	for (;;) {
		n = epoll_wait(ep, events, 64, -1);
		for (i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c >= listeners && c < listeners + n_targets)
				accept_one(c, ep);
			else if (!((events[i].events & EPOLLOUT) ?
			    conn_write(c, ep) : conn_read(c, ep))) {
				close(c->fd);
				free(c->out);
				free(c);
			}
		}
	}
}
