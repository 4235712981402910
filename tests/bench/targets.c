/* SPDX-License-Identifier: ISC */
/*
 * A load generator: many HTTP targets in one process, each with the same
 * number of series whose values change with every scrape, as cheap to serve
 * as possible (a connection has its own copy of the body and only the digits
 * are patched), so that the benchmark measures the scraper.
 *
 *	targets N_TARGETS N_SERIES INTERVAL_MS [gzip]
 *
 * Prints one port a line, then serves until it is killed, its parent ends,
 * or an hour is over.
 *
 * It keeps the book of who was scraped when. A client is told by its path,
 * so each server is configured with a metrics_path of its own. GET /stats
 * answers a line a target and path:
 *
 *	PORT PATH SCRAPES LATE MAX_GAP_MS
 *
 * since the last GET /reset: LATE counts the gaps between two requests of
 * more than one and a half intervals, a missed scrape each; a client that
 * stopped asking shows in SCRAPES.
 */
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

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
#include <time.h>
#include <unistd.h>

#include <libdeflate.h>

#define VALUE_WIDTH	12	/* digits of each value */
#define LINE_MAX_BYTES	200
#define HEAD_MAX_BYTES	256
#define CLIENTS_MAX	4	/* paths a target remembers */
#define PATH_MAX_BYTES	32
#define SEND_BUFFER	(4 << 20)
#define LIFE_S		3600

struct client {
	char		 path[PATH_MAX_BYTES];
	uint64_t	 n_scrapes, n_late;
	int64_t		 last_ns, max_gap_ns;
};

struct target {
	int		 listener;
	int		 port;
	char		*body;
	size_t		 body_n;
	uint32_t	*value_at;	/* offset of each value's digits */
	uint64_t	*value;
	uint32_t	 seed;
	struct client	 clients[CLIENTS_MAX];
};

struct conn {
	int		 fd;
	struct target	*target;
	char		 in[8192];
	size_t		 in_n;
	char		*body;		/* of this connection */
	char		*packed;	/* room for it, compressed */
	char		 head[HEAD_MAX_BYTES];
	struct iovec	 out[2];	/* what is left to send */
	char		*stats;
};

static size_t n_series;
static size_t n_targets;
static struct target *targets;
static int64_t interval_ns;
static bool use_gzip;
static struct libdeflate_compressor *packer;
static char quads[10000][4];

static uint32_t
next_random(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static void
quads_init(void)
{
	char text[8];

	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "%04d", i);
		memcpy(quads[i], text, 4);
	}
}

static void
put_value(char *at, uint64_t v)
{
	memcpy(at + 8, quads[v % 10000], 4);
	v /= 10000;
	memcpy(at + 4, quads[v % 10000], 4);
	memcpy(at, quads[v / 10000 % 10000], 4);
}

/* Ten series a family, as an exporter would have them. */
static void
target_init(struct target *t, unsigned number)
{
	static const char *const methods[] = { "GET", "PUT", "POST", "DELETE",
	    "HEAD" };
	size_t i;

	t->seed = 2463534242u + number;
	t->body = malloc(n_series * LINE_MAX_BYTES + 1024);	/* touched as used */
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
		t->value_at[i] = (uint32_t)t->body_n;
		t->body_n += VALUE_WIDTH;
		t->body[t->body_n++] = '\n';
	}
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
note_scrape(struct target *t, const char *path)
{
	struct client *c = t->clients;
	int64_t now = now_ns(), gap;

	while (c < t->clients + CLIENTS_MAX - 1 && c->path[0] != '\0' &&
	    strcmp(c->path, path) != 0)
		c++;
	snprintf(c->path, sizeof(c->path), "%s", path);
	gap = c->last_ns == 0 ? 0 : now - c->last_ns;
	c->n_late += gap > interval_ns + interval_ns / 2;
	if (gap > c->max_gap_ns)
		c->max_gap_ns = gap;
	c->n_scrapes++;
	c->last_ns = now;
}

static void
send_head(struct conn *c, const char *extra, void *body, size_t n)
{
	int head_n = snprintf(c->head, sizeof(c->head), "HTTP/1.1 200 OK\r\n"
	    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n%s"
	    "Content-Length: %zu\r\n\r\n", extra, n);

	c->out[0] = (struct iovec){ c->head, (size_t)head_n };
	c->out[1] = (struct iovec){ body, n };
}

/* The next values, and the response with its head. */
static void
answer_scrape(struct conn *c)
{
	struct target *t = c->target;
	size_t n = t->body_n, bound;

	if (c->body == NULL) {
		c->body = malloc(n);
		memcpy(c->body, t->body, n);
	}
	for (size_t i = 0; i < n_series; i++) {
		t->value[i] += next_random(&t->seed) % 100;
		put_value(c->body + t->value_at[i], t->value[i]);
	}
	if (!use_gzip) {
		send_head(c, "", c->body, n);
		return;
	}
	bound = libdeflate_gzip_compress_bound(packer, n);
	if (c->packed == NULL)
		c->packed = malloc(bound);
	n = libdeflate_gzip_compress(packer, c->body, n, c->packed, bound);
	send_head(c, "Content-Encoding: gzip\r\n", c->packed, n);
}

static void
answer_stats(struct conn *c, bool reset)
{
	size_t n = 0, size = n_targets * CLIENTS_MAX * 120 + 1;

	c->stats = realloc(c->stats, size);
	c->stats[0] = '\0';
	for (size_t i = 0; i < n_targets; i++) {
		for (int k = 0; k < CLIENTS_MAX; k++) {
			struct client *cl = &targets[i].clients[k];

			if (cl->path[0] == '\0')
				continue;
			n += (size_t)snprintf(c->stats + n, size - n,
			    "%d %s %llu %llu %lld\n", targets[i].port,
			    cl->path, (unsigned long long)cl->n_scrapes,
			    (unsigned long long)cl->n_late,
			    (long long)(cl->max_gap_ns / 1000000));
			if (reset)
				cl->n_scrapes = cl->n_late = 0;
			if (reset)
				cl->max_gap_ns = 0;
		}
	}
	send_head(c, "", c->stats, n);
}

static void
answer(struct conn *c)
{
	char path[PATH_MAX_BYTES] = "?";

	(void)sscanf(c->in, "%*s %31[^ ?]", path);
	if (strcmp(path, "/stats") == 0 || strcmp(path, "/reset") == 0) {
		answer_stats(c, path[1] == 'r');
		return;
	}
	note_scrape(c->target, path);
	answer_scrape(c);
}

static bool
conn_write(struct conn *c, int ep)
{
	struct epoll_event e = { .data.ptr = c };

	while (c->out[0].iov_len + c->out[1].iov_len > 0) {
		ssize_t n = writev(c->fd, c->out, 2);

		if (n == -1 && errno == EAGAIN)
			break;
		if (n <= 0)
			return false;
		for (int i = 0; i < 2; i++) {
			size_t k = c->out[i].iov_len < (size_t)n ?
			    c->out[i].iov_len : (size_t)n;

			c->out[i].iov_base = (char *)c->out[i].iov_base + k;
			c->out[i].iov_len -= k;
			n -= (ssize_t)k;
		}
	}
	e.events = c->out[1].iov_len > 0 ? EPOLLOUT : EPOLLIN;
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
	answer(c);
	return conn_write(c, ep);
}

static void
conn_free(struct conn *c)
{
	close(c->fd);
	free(c->body);
	free(c->packed);
	free(c->stats);
	free(c);
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
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK), on = 1, room = SEND_BUFFER;

	if (fd == -1)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
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
	struct conn *listeners;
	int ep, n;

	if (argc < 4 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1 ||
	    atoi(argv[3]) < 1) {
		fputs("usage: targets N_TARGETS N_SERIES INTERVAL_MS [gzip]\n",
		    stderr);
		return 2;
	}
	n_targets = (size_t)atoi(argv[1]);
	n_series = (size_t)atoi(argv[2]);
	interval_ns = atoi(argv[3]) * 1000000LL;
	use_gzip = argc > 4 && strcmp(argv[4], "gzip") == 0;
	packer = libdeflate_alloc_compressor(1);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
	quads_init();
	ep = epoll_create1(0);
	targets = calloc(n_targets, sizeof(*targets));
	listeners = calloc(n_targets, sizeof(*listeners));
	for (size_t i = 0; i < n_targets; i++) {
		target_init(&targets[i], (unsigned)i);
		listeners[i].fd = targets[i].listener =
		    listen_anywhere(&targets[i].port);
		listeners[i].target = &targets[i];
		e.data.ptr = &listeners[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, listeners[i].fd, &e);
		printf("%d\n", targets[i].port);
	}
	fflush(stdout);
	for (;;) {
		n = epoll_wait(ep, events, 64, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c >= listeners && c < listeners + n_targets)
				accept_one(c, ep);
			else if (!((events[i].events & EPOLLOUT) ?
			    conn_write(c, ep) : conn_read(c, ep)))
				conn_free(c);
		}
	}
}
