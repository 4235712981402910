/* SPDX-License-Identifier: ISC */
/* Whether a worker still does its work: one valid request, its answer. */
#include "tests/fuzz/channelfuzz.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/wire.h"

/* --- HTTP, as little as is needed --- */

static int
http_connect(const struct world *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)w->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (struct sockaddr *)&sin,
	    sizeof(sin)) == -1)
		die("connecting to web");
	return fd;
}

static int
http_send(const struct world *w, const char *method, const char *path)
{
	int fd = http_connect(w), n;
	char text[256];

	n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0\r\nConnection: close\r\n\r\n", method, path);
	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
proc_http_close(struct proc *p)
{
	for (size_t i = 0; i < sizeof(p->http) / sizeof(p->http[0]); i++) {
		if (p->http[i] != -1)
			(void)close(p->http[i]);
		p->http[i] = -1;
	}
}

static bool
http_ok(struct proc *p, const char *path)
{
	int fd = http_send(p->w, "GET", path);
	int64_t end = now_ms() + WAIT_MS;
	char text[4096];
	bool ok = false;

	while (fd != -1 && now_ms() < end && proc_alive(p)) {
		struct pollfd pf = { fd, POLLIN, 0 };
		ssize_t n;

		proc_pump(p, 0);
		if (poll(&pf, 1, 20) == 0)
			continue;
		n = recv(fd, text, sizeof(text) - 1, 0);
		if (n > 12)
			ok = memcmp(text, "HTTP/1.1 200", 12) == 0;
		break;
	}
	if (fd != -1)
		(void)close(fd);
	return ok;
}

/* --- one request, one answer --- */

/* Sends on a channel and waits until the counter has the wanted value. */
static bool
ask(struct proc *p, int fd, struct message *m, const uint64_t *counter,
    uint64_t want)
{
	int64_t end = now_ms() + WAIT_MS;
	int r = message_send(fd, m);

	message_clear(m);
	while (r == 0 && *counter != want && now_ms() < end &&
	    p->ch[ROLE_SUPERVISOR] != -1 && (fd == p->ping_ch ||
	    fd == p->ch[ROLE_WEB])) {
		proc_pump(p, 50);
		/* a query waits for the head of the next storage */
		if (p->role == ROLE_QUERY)
			proc_open_peer(p, ROLE_STORAGE);
	}
	return *counter == want;
}

static bool
ping_storage(struct proc *p)
{
	struct msg_samples s = { .flags = SAMPLES_COMMIT | SAMPLES_SAME_TIME };
	struct message m;

	proc_open_ping(p, ROLE_RULES);
	s.seq = ++p->ping_seq;
	p->acked = 0;
	message_init(&m, IPC_SAMPLES);
	buf_add(&m.data, &s, sizeof(s));
	return ask(p, p->ping_ch, &m, &p->acked, s.seq);
}

static bool
ping_resolver(struct proc *p)
{
	struct msg_resolve r = { .kind = RESOLVE_ADDRESS, .timeout_ms = 1000 };
	struct message m;

	proc_open_ping(p, ROLE_NOTIFY);
	message_init(&m, IPC_RESOLVE);
	m.id = ++p->ping_id | (uint64_t)1 << 40;
	buf_add(&m.data, &r, sizeof(r));
	put_text(&m.data, "127.0.0.1");
	return ask(p, p->ping_ch, &m, &p->ponged, m.id);
}

static bool
ping_scrape(struct proc *p)
{
	struct msg_targets_get g = { 0 };
	struct message m;

	proc_open_ping(p, ROLE_WEB);
	message_init(&m, IPC_TARGETS_GET);
	m.id = ++p->ping_id | (uint64_t)1 << 40;
	buf_add(&m.data, &g, sizeof(g));
	put_text(&m.data, "");
	return ask(p, p->ping_ch, &m, &p->ponged, m.id);
}

static bool
query(struct proc *p, uint32_t kind, const char *const *params, uint32_t n)
{
	struct msg_query q = { .kind = kind, .now_ms = 1700000000000,
	    .deadline_ns = (now_ms() + WAIT_MS) * 1000000 };
	struct message m;

	proc_open_peer(p, ROLE_WEB);
	message_init(&m, IPC_QUERY);
	m.id = ++p->ping_id | (uint64_t)1 << 40;
	buf_add(&m.data, &q, sizeof(q));
	put_text(&m.data, "");
	put_asker(&m.data);
	wire_put_u32(&m.data, n);
	for (uint32_t i = 0; i < 2 * n; i++)
		put_text(&m.data, params[i]);
	return ask(p, p->ch[ROLE_WEB], &m, &p->ponged, m.id);
}

/* All that storage handed out is read through. */
static bool
query_everything(struct proc *p)
{
	static const char *const all[] = { "query",
	    "sum_over_time({__name__=~\".+\"}[100d])" };
	static const char *const rate[] = { "query",
	    "sum by (job) (rate({__name__=~\"m|n\"}[5m]))", "start",
	    "1699990000", "end", "1700000000", "step", "100" };
	static const char *const series[] = { "match[]", "{__name__!=\"\"}",
	    "match[]", "{instance=~\"i1.*\"}" };

	return query(p, QUERY_INSTANT, all, 1) &&
	    query(p, QUERY_RANGE, rate, 4) &&
	    query(p, QUERY_SERIES, series, 2) &&
	    query(p, QUERY_LABELS, NULL, 0) &&
	    query(p, QUERY_TSDB_STATUS, NULL, 0);
}

static bool
ping_query(struct proc *p, bool deep)
{
	static const char *const format[] = { "query", "up" };
	unsigned hold = p->hold;
	struct message m;
	bool ok;

	/* without a head, requests would wait for one */
	p->hold = 0;
	proc_open_peer(p, ROLE_STORAGE);
	if (p->pending[IPC_READER_JOIN].n > 0) {
		valid_message(p, ROLE_STORAGE, IPC_HEAD_MAP, &m);
		(void)message_send(p->ch[ROLE_STORAGE], &m);
		message_clear(&m);
	}
	ok = (!deep || query_everything(p)) && query(p, QUERY_FORMAT, format, 1);
	p->hold = hold;
	return ok;
}

static bool
ping_config(struct proc *p)
{
	struct msg_load l = { .check_only = 1 };
	int64_t end = now_ms() + WAIT_MS;
	struct message m;
	char path[128];
	unsigned hold = p->hold;

	/* a load that the row under test left behind ends first */
	p->hold = 0;
	while (p->pending[IPC_OPEN].n > 0 || p->pending[IPC_GLOB].n > 0) {
		unsigned type = p->pending[IPC_OPEN].n > 0 ? IPC_OPEN :
		    IPC_GLOB;

		valid_message(p, ROLE_SUPERVISOR, type == IPC_OPEN ?
		    IPC_OPENED : IPC_GLOBBED, &m);
		(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
		message_clear(&m);
		p->pending[type].n--;
	}
	snprintf(path, sizeof(path), "%s/prometheus.yml", p->w->dir);
	message_init(&m, IPC_LOAD);
	buf_add(&m.data, &l, sizeof(l));
	put_text(&m.data, path);
	p->loaded = false;
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	while (!p->loaded && now_ms() < end && p->ch[ROLE_SUPERVISOR] != -1)
		proc_pump(p, 50);
	p->hold = hold;
	return p->loaded;
}

bool
proc_ping(struct proc *p, bool deep)
{
	switch (p->role) {
	case ROLE_STORAGE:
		return ping_storage(p);
	case ROLE_RESOLVER:
		return ping_resolver(p);
	case ROLE_SCRAPE:
		return ping_scrape(p);
	case ROLE_QUERY:
		return ping_query(p, deep);
	case ROLE_WEB:
		return http_ok(p, deep ? "/metrics" : "/-/healthy");
	case ROLE_CONFIG:
		return ping_config(p);
	default:
		return false;
	}
}

/* --- questions that a row answers --- */

static void
wait_pending(struct proc *p, unsigned type, int ms)
{
	for (int64_t end = now_ms() + ms; p->pending[type].n == 0 &&
	    now_ms() < end && p->ch[ROLE_SUPERVISOR] != -1; )
		proc_pump(p, 20);
}

static void
provoke_web(struct proc *p, const char *method, const char *path,
    unsigned type)
{
	size_t slot = rng_below(sizeof(p->http) / sizeof(p->http[0]));

	if (p->pending[type].n > 0)
		return;
	if (p->http[slot] != -1)
		(void)close(p->http[slot]);
	p->http[slot] = http_send(p->w, method, path);
	wait_pending(p, type, 100);
	if (p->pending[type].n > 0 || type == IPC_RELOAD)
		return;
	/* an earlier question is still open: a peer without one is free */
	proc_close_peer(p, type == IPC_QUERY ? ROLE_QUERY : ROLE_SCRAPE);
	proc_open_peer(p, type == IPC_QUERY ? ROLE_QUERY : ROLE_SCRAPE);
	(void)close(p->http[slot]);
	p->http[slot] = http_send(p->w, method, path);
	wait_pending(p, type, 1000);
}

void
proc_provoke(struct proc *p, unsigned row)
{
	if (p->role == ROLE_WEB && row == IPC_REPLY)
		provoke_web(p, "GET", "/api/v1/query?query=up", IPC_QUERY);
	else if (p->role == ROLE_WEB && row == IPC_TARGETS)
		provoke_web(p, "GET", "/api/v1/targets", IPC_TARGETS_GET);
	else if (p->role == ROLE_WEB && row == IPC_RELOADED)
		provoke_web(p, "POST", "/-/reload", IPC_RELOAD);
	else if (p->role == ROLE_SCRAPE && row == IPC_ACK)
		wait_pending(p, IPC_SAMPLES, 300);
	else if (p->role == ROLE_SCRAPE && row == IPC_RESOLVED)
		wait_pending(p, IPC_RESOLVE, 300);
	else if (p->role == ROLE_SCRAPE && row == IPC_OPENED) {
		if (p->pending[IPC_OPEN].n == 0)
			(void)proc_reload(p, p->w->blob[ROLE_SCRAPE], false);
		wait_pending(p, IPC_OPEN, 300);
	}
}
