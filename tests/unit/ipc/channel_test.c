/* SPDX-License-Identifier: ISC */
/* Channels: order, queues, credit, descriptors, violations, the catalogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "ipc/append.h"
#include "ipc/channel.h"
#include "ipc/memfd.h"

struct end {
	struct event_base *base;
	uint64_t	 n, bytes, last_id, bad;
	uint64_t	 closed;
	int		 fd;
	uint64_t	 stop_at;
};

static void
on_message(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct end *e = ctx;

	(void)ch;
	if (m->id != e->last_id + 1)
		e->bad++;
	e->last_id = m->id;
	e->n++;
	e->bytes += m->n;
	if (m->n_fds > 0)
		e->fd = ipc_msg_take_fd(m, 0);
	if (e->n == e->stop_at)
		event_base_loopbreak(e->base);
}

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	struct end *e = ctx;

	(void)ch;
	(void)why;
	e->closed++;
	event_base_loopbreak(e->base);
}

static const struct ipc_handler to_storage[] = {
	{ IPC_SERIES, on_message }, { IPC_SAMPLES, on_message },
	{ IPC_FORGET, on_message }
};
static const struct ipc_handler to_scrape[] = { { IPC_ACK, on_message } };

static const struct ipc_ends scrape_end = { ROLE_SCRAPE, ROLE_STORAGE, 0, 0 };
static const struct ipc_ends storage_end = { ROLE_STORAGE, ROLE_SCRAPE, 0, 0 };

struct pair {
	struct end	a, b;		/* scrape, storage */
	struct ipc_channel *ca, *cb;
	int		raw;		/* instead of ca when ca is NULL */
};

static void
pair_init(struct pair *p, struct event_base *base, int raw)
{
	struct err e = ERR_INIT;
	int fds[2];

	memset(p, 0, sizeof(*p));
	p->a.base = p->b.base = base;
	p->a.fd = p->b.fd = -1;
	assert_int_equal(ipc_pair(fds, &e), 0);
	if (raw)
		p->raw = fds[0];
	else
		p->ca = ipc_channel_new(base, fds[0], scrape_end, to_scrape, 1,
		    on_closed, &p->a);
	p->cb = ipc_channel_new(base, fds[1], storage_end, to_storage, 3,
	    on_closed, &p->b);
	assert_non_null(p->cb);
}

static void
pair_clear(struct pair *p)
{
	if (p->ca != NULL)
		ipc_channel_free(p->ca);
	else
		close(p->raw);
	ipc_channel_free(p->cb);
}

/* Far more than sockets and credit hold: all arrives, in order. */
static void
test_order_and_credit(void **state)
{
	struct event_base *base = event_base_new();
	static char data[60000];
	struct err e = ERR_INIT;
	struct pair p;
	uint64_t i;

	(void)state;
	pair_init(&p, base, 0);
	for (i = 1; i <= 1000; i++)
		assert_int_equal(ipc_send(p.ca, IPC_SERIES, i, data,
		    1 + i * 59 % sizeof(data), NULL, 0, &e), 0);
	assert_true(ipc_channel_queued(p.ca) > 1000000);
	p.b.stop_at = 1000;
	event_base_dispatch(base);
	assert_int_equal(p.b.n, 1000);
	assert_int_equal(p.b.bad, 0);
	assert_int_equal(ipc_channel_queued(p.ca), 0);
	pair_clear(&p);
	event_base_free(base);
}

static void
test_queue_bound(void **state)
{
	struct event_base *base = event_base_new();
	struct err e = ERR_INIT;
	struct msg_ack ack = { 0 };
	struct pair p;
	uint64_t i;

	(void)state;
	pair_init(&p, base, 0);
	for (i = 1; i < 100000; i++)
		if (ipc_send(p.cb, IPC_ACK, i, &ack, sizeof(ack), NULL, 0,
		    &e) == -1)
			break;
	assert_int_equal(e.kind, ERR_LIMIT);
	p.a.stop_at = i - 1;
	event_base_dispatch(base);
	assert_int_equal(p.a.n, i - 1);
	assert_int_equal(p.a.bad, 0);
	pair_clear(&p);
	event_base_free(base);
}

static void
test_descriptors(void **state)
{
	struct event_base *base = event_base_new();
	const struct ipc_handler reader[] = { { IPC_READER_JOIN, on_message } };
	struct err e = ERR_INIT;
	struct ipc_channel *a, *b;
	struct end ea = { .base = base, .fd = -1 }, eb = ea;
	struct str back;
	int fds[2], fd;

	(void)state;
	assert_int_equal(ipc_pair(fds, &e), 0);
	a = ipc_channel_new(base, fds[0], (struct ipc_ends){ ROLE_QUERY,
	    ROLE_STORAGE, 0, 0 }, NULL, 0, on_closed, &ea);
	b = ipc_channel_new(base, fds[1], (struct ipc_ends){ ROLE_STORAGE,
	    ROLE_QUERY, 0, 0 }, reader, 1, on_closed, &eb);
	fd = memfd_seal("test", STR_LIT("hello"), &e);
	assert_int_not_equal(fd, -1);
	assert_int_equal(ipc_send(a, IPC_READER_JOIN, 1, NULL, 0, &fd, 1, &e),
	    0);
	eb.stop_at = 1;
	event_base_dispatch(base);
	assert_int_not_equal(eb.fd, -1);
	assert_int_equal(memfd_map(eb.fd, 4, &back, &e), -1);
	assert_int_equal(memfd_map(eb.fd, 5, &back, &e), 0);
	assert_memory_equal(back.p, "hello", 5);
	memfd_unmap(back);
	assert_int_equal(ftruncate(eb.fd, 1), -1);
	close(eb.fd);
	/* an unsealed one is refused */
	fd = memfd_shared("test", 4096, &e);
	assert_int_equal(memfd_map(fd, 4096, &back, &e), -1);
	close(fd);
	ipc_channel_free(a);
	ipc_channel_free(b);
	event_base_free(base);
}

struct raw_hdr { uint16_t type, zero; uint32_t generation; uint64_t id; };

static void
expect_violation(const void *bytes, size_t n, int n_fds)
{
	struct event_base *base = event_base_new();
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } c;
	struct iovec iov = { .iov_len = n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pair p;

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	pair_init(&p, base, 1);
	if (n_fds > 0) {
		int fd = 1;

		mh.msg_control = c.b;
		mh.msg_controllen = sizeof(c);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(p.raw, &mh, 0), (ssize_t)n);
	event_base_dispatch(base);
	assert_int_equal(p.b.closed, 1);
	assert_int_equal(p.b.n, 0);
	assert_false(ipc_channel_is_open(p.cb));
	pair_clear(&p);
	event_base_free(base);
}

/* Whatever is wrong closes the sender's channel; the receiver lives on. */
static void
test_violations(void **state)
{
	static struct { struct raw_hdr h; char data[IPC_MSG_MAX + 1]; } m;
	size_t type;

	(void)state;
	expect_violation(&m, 3, 0);		/* shorter than a header */
	for (type = 0; type < 300; type++) {
		if (type == IPC_SERIES || type == IPC_CREDIT)
			continue;
		/* unknown, wrong direction, or too short for its struct */
		m.h = (struct raw_hdr){ .type = (uint16_t)type };
		expect_violation(&m, sizeof(m.h), 0);
	}
	m.h = (struct raw_hdr){ .type = IPC_SERIES, .zero = 1 };
	expect_violation(&m, sizeof(m.h) + 8, 0);
	m.h = (struct raw_hdr){ .type = IPC_SERIES };
	expect_violation(&m, sizeof(m.h) + IPC_MSG_MAX + 1, 0);
	m.h = (struct raw_hdr){ .type = IPC_FORGET };
	expect_violation(&m, sizeof(m.h) + 8, 1);	/* a descriptor */
	m.h = (struct raw_hdr){ .type = IPC_CREDIT };
	m.data[0] = 1;
	expect_violation(&m, sizeof(m.h) + 8, 0);	/* credit nobody used */
}

static void
test_state(void **state)
{
	(void)state;
	assert_null(ipc_check(IPC_ATTACH, ROLE_SUPERVISOR, ROLE_WEB, IPC_BOOT,
	    100, 2));
	assert_non_null(ipc_check(IPC_ATTACH, ROLE_SUPERVISOR, ROLE_WEB,
	    IPC_UP, 100, 2));
	assert_non_null(ipc_check(IPC_PREPARE, ROLE_SUPERVISOR, ROLE_WEB,
	    IPC_BOOT, 0, 0));
	assert_non_null(ipc_check(IPC_PREPARE, ROLE_WEB, ROLE_SUPERVISOR,
	    IPC_UP, 0, 0));
	assert_non_null(ipc_check(IPC_ATTACH, ROLE_SUPERVISOR, ROLE_WEB,
	    IPC_BOOT, 100, 1));
}

static int
count_series(void *arg, uint32_t id, struct labels ls)
{
	uint32_t *n = arg;

	assert_int_equal(id, *n + 1);
	assert_int_equal(ls.n, 2);
	(*n)++;
	return 0;
}

static int
count_any(void *arg, uint32_t id, struct labels ls)
{
	(void)id;
	(void)ls;
	++*(uint32_t *)arg;
	return 0;
}

struct append_ctx { struct event_base *base; uint32_t series, samples; bool commit; };

static void
on_series(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct append_ctx *c = ctx;

	(void)ch;
	assert_null(append_series_read(m, count_series, &c->series));
	/* every truncation is noticed */
	while (m->n > 0) {
		uint32_t n = 0;

		m->n -= m->n > 1000 ? 977 : 1;
		assert_non_null(append_series_read(m, count_any, &n));
		if (n > 50)
			m->n = m->n > 100 ? 100 : 0;
	}
}

static void
on_samples(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct append_ctx *c = ctx;
	struct append_samples s;
	uint32_t i;

	(void)ch;
	assert_null(append_samples_read(m, &s));
	assert_int_equal(s.seq, 7);
	for (i = 0; i < s.n; i++) {
		uint32_t k = c->samples + i;

		assert_int_equal(s.ids[i], k + 1);
		assert_true(s.values[i] == k * 0.5);
		assert_int_equal(s.dt_ms == NULL ? -1 : s.dt_ms[i], (int)k);
	}
	c->samples += s.n;
	if (s.flags & SAMPLES_COMMIT) {
		c->commit = true;
		event_base_loopbreak(c->base);
	}
}

static void
test_append(void **state)
{
	const struct ipc_handler handlers[] = { { IPC_SERIES, on_series },
	    { IPC_SAMPLES, on_samples } };
	enum { N = 10000 };
	static uint32_t ids[N];
	static double values[N];
	static int32_t dt[N];
	struct append_ctx c = { .base = event_base_new() };
	struct append_series s;
	struct err e = ERR_INIT;
	struct ipc_channel *a, *b;
	struct end ea = { 0 };
	struct label l[2] = { { STR_LIT("__name__"), STR_LIT("up") },
	    { STR_LIT("job"), STR_LIT("a long enough value for many messages") } };
	int fds[2];
	uint32_t i;

	(void)state;
	assert_int_equal(ipc_pair(fds, &e), 0);
	a = ipc_channel_new(c.base, fds[0], scrape_end, NULL, 0, on_closed,
	    &ea);
	b = ipc_channel_new(c.base, fds[1], storage_end, handlers, 2,
	    on_closed, &c);
	append_series_init(&s);
	for (i = 0; i < N; i++) {
		ids[i] = i + 1;
		values[i] = i * 0.5;
		dt[i] = (int32_t)i;
		assert_int_equal(append_series_add(&s, a, i + 1,
		    (struct labels){ l, 2 }, &e), 0);
	}
	assert_int_equal(append_series_flush(&s, a, &e), 0);
	append_series_clear(&s);
	assert_int_equal(append_send_batch(a, 7, 1000, ids, values, dt, N, 0,
	    &e), 0);
	event_base_dispatch(c.base);
	assert_int_equal(c.series, N);
	assert_int_equal(c.samples, N);
	assert_true(c.commit);
	ipc_channel_free(a);
	ipc_channel_free(b);
	event_base_free(c.base);
}

/* Label sets that no message holds, between some that it does. */
struct far_ctx { struct event_base *base; size_t value_bytes[8]; uint32_t n, near, far; };

static int
count_far(void *arg, uint32_t id, struct labels ls)
{
	struct far_ctx *c = arg;

	assert_int_equal(id, ++c->n);
	assert_int_equal(ls.n, 1);
	assert_int_equal(ls.l[0].value.n, c->value_bytes[id - 1]);
	for (size_t i = 0; i < ls.l[0].value.n; i++)
		assert_int_equal(ls.l[0].value.p[i], 'v');
	return 0;
}

static void
on_far_series(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct far_ctx *c = ctx;

	(void)ch;
	c->near += m->n_fds == 0;
	c->far += m->n_fds;
	assert_null(append_series_read(m, count_far, c));
	if (c->n == 8)
		event_base_loopbreak(c->base);
}

static void
test_append_far(void **state)
{
	const struct ipc_handler handlers[] = { { IPC_SERIES, on_far_series } };
	struct far_ctx c = { .base = event_base_new(), .value_bytes = { 10, 1 << 20,
	    20, 70000, 4 << 20, 100, 65535, 1 } };
	char *value = malloc(APPEND_LABEL_BYTES_MAX + 1);
	struct append_series s;
	struct err e = ERR_INIT;
	struct ipc_channel *a, *b;
	struct end ea = { 0 };
	struct label l = { STR_LIT("a"), STR_EMPTY };
	int fds[2];

	(void)state;
	memset(value, 'v', APPEND_LABEL_BYTES_MAX + 1);
	assert_int_equal(ipc_pair(fds, &e), 0);
	a = ipc_channel_new(c.base, fds[0], scrape_end, NULL, 0, on_closed,
	    &ea);
	b = ipc_channel_new(c.base, fds[1], storage_end, handlers, 1,
	    on_closed, &c);
	append_series_init(&s);
	for (uint32_t i = 0; i < 8; i++) {
		l.value = str_from(value, c.value_bytes[i]);
		assert_int_equal(append_series_add(&s, a, i + 1,
		    (struct labels){ &l, 1 }, &e), 0);
	}
	/* what is refused does not disturb what waits */
	l.value = str_from(value, APPEND_LABEL_BYTES_MAX + 1);
	assert_int_equal(append_series_add(&s, a, 9, (struct labels){ &l, 1 },
	    &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(append_series_flush(&s, a, &e), 0);
	append_series_clear(&s);
	event_base_dispatch(c.base);
	assert_int_equal(c.n, 8);
	/* 1; 2, 3, 4; 5, alone too large for more; 6; 7, 8 */
	assert_int_equal(c.near, 2);
	assert_int_equal(c.far, 3);
	ipc_channel_free(a);
	ipc_channel_free(b);
	event_base_free(c.base);
	free(value);
}

static void
test_append_far_refused(void **state)
{
	struct err e = ERR_INIT;
	static const char bytes[] = "\1\0\0\0\1\0\0\0\0\0\0\0";
	int fd = memfd_seal("test", str_from(bytes, 12), &e), pipes[2];
	struct ipc_msg m = { .type = IPC_SERIES, .fds = &fd, .n_fds = 1 };
	uint32_t n = 0;

	(void)state;
	assert_null(append_series_read(&m, count_any, &n));
	assert_int_equal(n, 1);
	m.data = bytes;
	m.n = 12;
	assert_non_null(append_series_read(&m, count_any, &n));
	m.n = 0;
	close(fd);
	fd = memfd_seal("test", str_from(bytes, 11), &e);
	assert_non_null(append_series_read(&m, count_any, &n));
	close(fd);
	fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, bytes, 12), 12);
	assert_non_null(append_series_read(&m, count_any, &n));
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	fd = pipes[0];
	assert_non_null(append_series_read(&m, count_any, &n));
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(n, 1);
}

static void
sink(void *arg, enum log_level level, const char *line, size_t n)
{
	(void)arg;
	(void)level;
	(void)line;
	(void)n;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_credit),
		cmocka_unit_test(test_queue_bound),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_append_far),
		cmocka_unit_test(test_append_far_refused)
	};

	log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, sink, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
