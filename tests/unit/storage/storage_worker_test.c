/* SPDX-License-Identifier: ISC */

/*
 * The storage worker as a process, in its sandbox, with this test for its
 * supervisor, its scrape worker and its reader: what is acknowledged is
 * visible and survives kill -9; what is sent again counts as stored; a dead
 * scrape worker's series get stale markers; a protocol fault costs the
 * sender its channel only; a full disk and a full head refuse, and heal. Needs build/libexec/storage beside build/tests.
 */

#include "tests/unit/storage/head_twin.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/wire.h"
#include "common/config/blob/storage_conf.h"
#include "common/labels/labels.h"
#include "common/metrics/metrics.h"
#include "ipc/append.h"
#include "ipc/memfd.h"

#define WAIT_MS	10000

struct harness {
	struct event_base	*base;
	char			 dir[64];
	char			 program[4096];
	pid_t			 pid;
	const char		*head_bytes;
	int			 log[2];
	struct ipc_channel	*sup, *scrape, *query;
	struct msg_attached	 attached;
	bool			 is_attached, ready, prepared, stopped;
	uint64_t		 acked;		/* last seq */
	struct msg_ack		 ack;
	bool			 scrape_closed;
	int			 head_fd;
	struct head_reader	 reader;
	struct head_files	 files;
	int			 page_fd;
	bool			 mapped;
};

/* --- what the worker sends --- */

static void
on_attached(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct harness *h = ctx;

	(void)ch;
	memcpy(&h->attached, m->data, sizeof(h->attached));
	h->is_attached = true;
}

static void
on_ready(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	(void)m;
	((struct harness *)ctx)->ready = true;
}

static void
on_prepared(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	assert_int_equal(((const struct msg_prepared *)m->data)->ok, 1);
	((struct harness *)ctx)->prepared = true;
}

static void
on_stopped(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	(void)m;
	((struct harness *)ctx)->stopped = true;
}

static void
on_nothing(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ctx;
	(void)ch;
	(void)m;
}

static void
on_ack(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct harness *h = ctx;

	(void)ch;
	memcpy(&h->ack, m->data, sizeof(h->ack));
	assert_true(h->ack.seq > h->acked);
	h->acked = h->ack.seq;
}

static void
on_head_map(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct harness *h = ctx;
	struct err err = ERR_INIT;
	int fd = ipc_msg_take_fd(m, 0);

	(void)ch;
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(head_reader_open(&h->reader, fd, h->page_fd, &err),
	    0);
	(void)close(fd);
	h->mapped = true;
}

static void
on_chunks_file(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct harness *h = ctx;
	struct err err = ERR_INIT;

	(void)ch;
	assert_int_equal(head_files_add(&h->files,
	    ((const struct msg_chunks_file *)m->data)->file,
	    ipc_msg_take_fd(m, 0), &err), 0);
}

/* A file may be named in the arena while its message still waits. */
static bool
files_more(void *arg)
{
	struct harness *h = arg;
	size_t before = h->files.n;

	event_base_loop(h->base, EVLOOP_NONBLOCK);
	return h->files.n > before;
}

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	struct harness *h = ctx;

	(void)why;
	if (ch == h->scrape)
		h->scrape_closed = true;
}

static const struct ipc_handler sup_handlers[] = {
	{ IPC_ATTACHED, on_attached }, { IPC_READY, on_ready },
	{ IPC_PREPARED, on_prepared }, { IPC_COMMITTED, on_nothing },
	{ IPC_STOPPED, on_stopped }, { IPC_PROGRESS, on_nothing },
	{ IPC_KILL_READER, on_nothing }, { IPC_PEER_LOST, on_nothing },
};
static const struct ipc_handler scrape_handlers[] = { { IPC_ACK, on_ack } };
static const struct ipc_handler query_handlers[] = {
	{ IPC_HEAD_MAP, on_head_map },
	{ IPC_CHUNKS_FILE_ADD, on_chunks_file },
};

/* --- the loop --- */

static bool
wait_for(struct harness *h, const bool *flag)
{
	int64_t end = mono_now().ns + WAIT_MS * 1000000LL;

	while (!*flag && mono_now().ns < end) {
		const struct timeval tv = { 0, 20000 };

		(void)event_base_loopexit(h->base, &tv);
		(void)event_base_loop(h->base, EVLOOP_ONCE);
	}
	return *flag;
}

static bool
wait_ack(struct harness *h, uint64_t seq)
{
	int64_t end = mono_now().ns + WAIT_MS * 1000000LL;

	while (h->acked < seq && mono_now().ns < end) {
		const struct timeval tv = { 0, 20000 };

		(void)event_base_loopexit(h->base, &tv);
		(void)event_base_loop(h->base, EVLOOP_ONCE);
	}
	return h->acked == seq;
}

/* --- starting --- */

static void
put_pair(struct buf *b, const char *k, const char *v)
{
	wire_put_str(b, str_c(k));
	wire_put_str(b, str_c(v));
}

static void
send_attach(struct harness *h)
{
	struct msg_attach a = { .role = ROLE_STORAGE, .n_instances = 1 };
	struct err err = ERR_INIT;
	struct buf b;
	int fds[3];

	buf_init(&b, 0);
	buf_add(&b, &a, sizeof(a));
	wire_put_u32(&b, 3);
	put_pair(&b, "brazier.head.max-bytes", h->head_bytes);
	put_pair(&b, "query.timeout", "2m");
	put_pair(&b, "log.level", "warn");
	wire_put_u32(&b, 3);
	wire_put_str(&b, STR_LIT("log"));
	wire_put_str(&b, STR_LIT("metrics"));
	wire_put_str(&b, STR_LIT("data-dir"));
	fds[0] = dup(h->log[1]);
	fds[1] = memfd_shared("metrics", METRICS_REGION_BYTES, &err);
	fds[2] = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(fds[2], -1);
	assert_int_equal(ipc_send(h->sup, IPC_ATTACH, 0, b.p, b.n, fds, 3,
	    &err), 0);
	buf_clear(&b);
}

static struct ipc_channel *
connect_peer(struct harness *h, enum role role,
    const struct ipc_handler *handlers, size_t n)
{
	struct msg_peer p = { .role = role, .n_instances = 1 };
	struct err err = ERR_INIT;
	struct ipc_channel *ch;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	ch = ipc_channel_new(h->base, fds[0], (struct ipc_ends){ role,
	    ROLE_STORAGE, 0, 0 }, handlers, n, on_closed, h);
	assert_non_null(ch);
	ipc_channel_set_state(ch, IPC_RUNNING);
	assert_int_equal(ipc_send(h->sup, IPC_PEER_UP, 0, &p, sizeof(p),
	    &fds[1], 1, &err), 0);
	return ch;
}

static void
send_conf(struct harness *h, int64_t interval_ms)
{
	struct storage_conf c = { .longest_scrape_interval_ms = interval_ms };
	struct err err = ERR_INIT;
	struct buf b;
	int fd;

	buf_init(&b, 0);
	storage_conf_encode(&c, &b);
	fd = memfd_seal("blob", buf_str(&b), &err);
	assert_int_not_equal(fd, -1);
	buf_clear(&b);
	h->prepared = false;
	assert_int_equal(ipc_send(h->sup, IPC_PREPARE, 0, NULL, 0, &fd, 1,
	    &err), 0);
	assert_true(wait_for(h, &h->prepared));
	assert_int_equal(ipc_send(h->sup, IPC_COMMIT, 0, NULL, 0, NULL, 0,
	    &err), 0);
}

static void
start(struct harness *h)
{
	struct err err = ERR_INIT;
	int fds[2];

	h->is_attached = h->ready = h->stopped = h->mapped = false;
	h->acked = 0;
	assert_int_equal(ipc_pair(fds, &err), 0);
	h->pid = fork();
	assert_int_not_equal(h->pid, -1);
	if (h->pid == 0) {
		if (fds[1] != 3)
			(void)dup2(fds[1], 3);
		else
			(void)fcntl(3, F_SETFD, 0);
		(void)signal(SIGXFSZ, SIG_IGN);
		(void)execl(h->program, "storage", (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	h->sup = ipc_channel_new(h->base, fds[0], (struct ipc_ends){
	    ROLE_SUPERVISOR, ROLE_STORAGE, 0, 0 }, sup_handlers,
	    sizeof(sup_handlers) / sizeof(sup_handlers[0]), on_closed, h);
	assert_non_null(h->sup);
	ipc_channel_set_state(h->sup, IPC_RUNNING);
	send_attach(h);
	assert_true(wait_for(h, &h->is_attached));
	assert_true(wait_for(h, &h->ready));
	h->scrape = connect_peer(h, ROLE_SCRAPE, scrape_handlers, 1);
	h->query = connect_peer(h, ROLE_QUERY, query_handlers, 2);
	h->page_fd = head_reader_page_new(&err);
	head_files_init(&h->files);
	h->files.more = files_more;
	h->files.arg = h;
	fds[0] = dup(h->page_fd);
	assert_int_equal(ipc_send(h->query, IPC_READER_JOIN, 0, NULL, 0, fds,
	    1, &err), 0);
	assert_true(wait_for(h, &h->mapped));
}

static void
forget(struct harness *h)
{
	ipc_channel_free(h->sup);
	if (h->scrape != NULL)
		ipc_channel_free(h->scrape);
	ipc_channel_free(h->query);
	head_reader_close(&h->reader);
	head_files_clear(&h->files);
	(void)close(h->page_fd);
}

static void
kill9(struct harness *h)
{
	int status;

	(void)kill(h->pid, SIGKILL);
	(void)waitpid(h->pid, &status, 0);
	forget(h);
}

static void
stop(struct harness *h)
{
	struct msg_stop s = { .deadline_ms = 5000 };
	struct err err = ERR_INIT;
	int status;

	assert_int_equal(ipc_send(h->sup, IPC_STOP, 0, &s, sizeof(s), NULL,
	    0, &err), 0);
	assert_true(wait_for(h, &h->stopped));
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	assert_int_equal(status, 0);
	forget(h);
}

/* --- the client --- */

static void
declare(struct harness *h, uint32_t from, uint32_t to)
{
	struct append_series as;
	struct err err = ERR_INIT;

	append_series_init(&as);
	for (uint32_t id = from; id < to; id++) {
		char text[16];
		struct label l[2] = { { STR_LIT("__name__"), STR_LIT("m") },
		    { STR_LIT("i"), { text, 0 } } };

		l[1].value.n = (size_t)snprintf(text, sizeof(text), "%u", id);
		assert_int_equal(append_series_add(&as, h->scrape, id,
		    labels_of(l, 2), &err), 0);
	}
	assert_int_equal(append_series_flush(&as, h->scrape, &err), 0);
	append_series_clear(&as);
}

static void
batch(struct harness *h, uint64_t seq, int64_t t, uint32_t n, double v,
    uint32_t flags)
{
	uint32_t *ids = malloc(n * sizeof(*ids));
	double *values = malloc(n * sizeof(*values));
	struct err err = ERR_INIT;

	for (uint32_t i = 0; i < n; i++) {
		ids[i] = i + 1;
		values[i] = v + i;
	}
	assert_int_equal(append_send_batch(h->scrape, seq, t, ids, values,
	    NULL, n, flags, &err), 0);
	free(ids);
	free(values);
}

/* Every series has n samples; the sum of all values. */
static double
sum_all(struct harness *h, size_t n_series, size_t n)
{
	struct arena a;
	struct postings all;
	struct head_capture *cap;
	struct read_back b = { 0 };
	struct err err = ERR_INIT;
	double sum = 0;

	arena_init(&a, 0);
	head_reader_begin(&h->reader);
	assert_int_equal(head_match(&h->reader, &a, NULL, 0, &all, &err), 0);
	assert_int_equal(all.n, n_series);
	assert_int_equal(head_reader_capture(&h->reader, &a, all, &cap,
	    &err), 0);
	for (size_t i = 0; i < all.n; i++) {
		b.n = 0;
		assert_int_equal(read_series(&h->reader, &cap[i], &h->files,
		    &b, &err), 0);
		assert_int_equal(b.n, n);
		for (size_t k = 0; k < b.n; k++)
			sum += is_stale_nan(b.v[k]) ? 0 : b.v[k];
	}
	head_reader_end(&h->reader);
	read_back_clear(&b);
	arena_clear(&a);
	return sum;
}

/* --- the tests --- */

static int
setup(void **state)
{
	static struct harness h;
	char *slash;
	ssize_t n;

	memset(&h, 0, sizeof(h));
	h.head_bytes = "67108864";
	n = readlink("/proc/self/exe", h.program, sizeof(h.program) - 32);
	if (n <= 0)
		return -1;
	h.program[n] = '\0';
	for (int i = 0; i < 2; i++) {
		slash = strrchr(h.program, '/');
		if (slash == NULL)
			return -1;
		*slash = '\0';
	}
	(void)strcat(h.program, "/libexec/storage");
	(void)strcpy(h.dir, "/tmp/storage_test.XXXXXX");
	if (mkdtemp(h.dir) == NULL || socketpair(AF_UNIX,
	    SOCK_DGRAM | SOCK_CLOEXEC, 0, h.log) == -1)
		return -1;
	h.base = event_base_new();
	*state = &h;
	return 0;
}

static int
teardown(void **state)
{
	struct harness *h = *state;
	char cmd[128], line[4096];
	ssize_t n;

	while ((n = recv(h->log[0], line, sizeof(line), MSG_DONTWAIT)) > 0)
		(void)fwrite(line, 1, (size_t)n, stdout);
	(void)close(h->log[0]);
	(void)close(h->log[1]);
	event_base_free(h->base);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", h->dir);
	return system(cmd) == 0 ? 0 : -1;
}

#define T0	1700000000000LL
#define N	6000u		/* more than one message of samples */

static void
test_durable(void **state)
{
	struct harness *h = *state;
	double want = 0, got;

	if (access(h->program, X_OK) == -1)
		skip();
	start(h);
#ifndef BRAZIER_SANITIZED
	assert_int_equal(h->attached.seccomp, 1);
#endif
	declare(h, 1, N + 1);
	for (uint64_t k = 0; k < 170; k++) {
		batch(h, k + 1, T0 + (int64_t)k * 15000, N, (double)k, 0);
		want += (double)k * N + (double)N * (N - 1) / 2;
		assert_true(wait_ack(h, k + 1));
		assert_int_equal(h->ack.stored, N);
		assert_int_equal(h->ack.new_series, k == 0 ? N : 0);
	}
	assert_true(sum_all(h, N, 170) == want);
	kill9(h);

	/* Some chunks were in files by then, or not: the WAL has all. */
	start(h);
	assert_true(sum_all(h, N, 170) == want);
	declare(h, 1, N + 1);
	/* Sent again: stored, though older ones are out of order. */
	batch(h, 169, T0 + 168 * 15000, N, 168, SAMPLES_RESEND);
	batch(h, 170, T0 + 169 * 15000, N, 169, SAMPLES_RESEND);
	batch(h, 171, T0 + 170 * 15000, N, 170, SAMPLES_RESEND);
	assert_true(wait_ack(h, 171));
	assert_int_equal(h->ack.stored, N);
	assert_int_equal(h->ack.new_series, 0);
	want += 170.0 * N + (double)N * (N - 1) / 2;
	assert_true(sum_all(h, N, 171) == want);
	/* Refusals with the first sample of a kind. */
	batch(h, 172, T0 + 170 * 15000, 10, 7, 0);
	assert_true(wait_ack(h, 172));
	assert_int_equal(h->ack.stored, 0);
	assert_int_equal(h->ack.duplicate.count, 10);
	assert_int_equal(h->ack.duplicate.id, 1);
	assert_int_equal(h->ack.duplicate.t_ms, T0 + 170 * 15000);
	/* Nobody who scrapes can move the newest time away from the others. */
	batch(h, 173, wall_now_ms() + 86400000, 10, 7, 0);
	assert_true(wait_ack(h, 173));
	assert_int_equal(h->ack.out_of_bounds.count, 10);
	stop(h);

	start(h);
	assert_true(h->files.n > 0);
	got = sum_all(h, N, 171);
	assert_true(got == want);
	stop(h);
}

static void
test_stale_and_violation(void **state)
{
	struct harness *h = *state;
	struct err err = ERR_INIT;
	double values[2] = { 1, 2 };
	uint32_t ids[2] = { 1, 77777777 };
	int64_t now = wall_now_ms() - 60000, end;
	struct arena a;
	struct head_capture *cap;
	struct postings all;
	struct read_back b = { 0 };

	if (access(h->program, X_OK) == -1)
		skip();
	start(h);
	send_conf(h, 100);
	declare(h, 1, 101);
	batch(h, 1, now, 100, 1, 0);
	assert_true(wait_ack(h, 1));
	/* An id that was not declared: the channel dies, storage lives. */
	assert_int_equal(append_send_batch(h->scrape, 2, now + 1, ids, values,
	    NULL, 2, 0, &err), 0);
	assert_true(wait_for(h, &h->scrape_closed));
	ipc_channel_free(h->scrape);
	h->scrape_closed = false;
	h->scrape = connect_peer(h, ROLE_SCRAPE, scrape_handlers, 1);
	h->acked = 0;
	declare(h, 1, 51);
	batch(h, 1, now + 1000, 50, 1, 0);
	assert_true(wait_ack(h, 1));
	/* Half of the series were not declared again. */
	end = mono_now().ns + 5000000000LL;
	arena_init(&a, 0);
	for (size_t stale = 0; stale < 50; ) {
		assert_true(mono_now().ns < end);
		(void)usleep(50000);
		head_reader_begin(&h->reader);
		assert_int_equal(head_match(&h->reader, &a, NULL, 0, &all,
		    &err), 0);
		assert_int_equal(head_reader_capture(&h->reader, &a, all,
		    &cap, &err), 0);
		stale = 0;
		for (size_t i = 0; i < all.n; i++) {
			b.n = 0;
			assert_int_equal(read_series(&h->reader, &cap[i],
			    &h->files, &b, &err), 0);
			if (is_stale_nan(b.v[b.n - 1])) {
				assert_true(i >= 50);
				stale++;
			}
		}
		head_reader_end(&h->reader);
	}
	read_back_clear(&b);
	arena_clear(&a);
	stop(h);
}

/* Samples that all series have; fails when they differ (half a batch). */
static size_t
count_all(struct harness *h)
{
	struct arena a;
	struct postings all;
	struct head_capture *cap;
	struct read_back b = { 0 };
	struct err err = ERR_INIT;
	size_t n = 0;

	arena_init(&a, 0);
	head_reader_begin(&h->reader);
	assert_int_equal(head_match(&h->reader, &a, NULL, 0, &all, &err), 0);
	assert_int_equal(head_reader_capture(&h->reader, &a, all, &cap,
	    &err), 0);
	for (size_t i = 0; i < all.n; i++) {
		b.n = 0;
		assert_int_equal(read_series(&h->reader, &cap[i], &h->files,
		    &b, &err), 0);
		if (i == 0)
			n = b.n;
		assert_int_equal(b.n, n);
	}
	head_reader_end(&h->reader);
	read_back_clear(&b);
	arena_clear(&a);
	return n;
}

/*
 * Killed at any moment, with batches on their way: what was acknowledged is
 * there, every batch whole or not at all; the rest is sent again.
 */
static void
test_kill_anywhere(void **state)
{
	struct harness *h = *state;
	struct rnd r = { rnd_seed() };
	uint64_t sent = 0, acked = 0;

	if (access(h->program, X_OK) == -1)
		skip();
	for (int round = 0; round < 12; round++) {
		uint64_t until;
		size_t there;

		start(h);
		there = sent == 0 ? 0 : count_all(h);
		assert_true(there >= acked && there <= sent);
		h->acked = acked;
		declare(h, 1, 2001);
		for (uint64_t k = acked + 1; k <= sent; k++)
			batch(h, k, T0 + (int64_t)k * 5000, 2000, (double)k,
			    SAMPLES_RESEND);
		until = sent + 10;
		while (sent < until) {
			sent++;
			batch(h, sent, T0 + (int64_t)sent * 5000, 2000,
			    (double)sent, 0);
		}
		while (h->acked < sent - rnd(&r, 10)) {
			(void)wait_ack(h, h->acked + 1);
			(void)usleep(rnd(&r, 400));
		}
		acked = h->acked;
		kill9(h);
	}
	start(h);
	assert_true(count_all(h) >= acked);
	stop(h);
}

static void
limit_files(struct harness *h, rlim_t bytes)
{
	const struct rlimit r = { bytes, RLIM_INFINITY };

	assert_int_equal(prlimit(h->pid, RLIMIT_FSIZE, &r, NULL), 0);
}

/* Nothing is acknowledged while the WAL cannot grow; then all of it is. */
static void
test_full_disk(void **state)
{
	struct harness *h = *state;
	int64_t end;

	if (access(h->program, X_OK) == -1)
		skip();
	start(h);
	declare(h, 1, 1001);
	batch(h, 1, T0, 1000, 1, 0);
	assert_true(wait_ack(h, 1));
	limit_files(h, 1000);
	for (uint64_t k = 2; k <= 5; k++)
		batch(h, k, T0 + (int64_t)k * 1000, 1000, 1, 0);
	for (end = mono_now().ns + 300000000LL; mono_now().ns < end; ) {
		const struct timeval tv = { 0, 20000 };

		(void)event_base_loopexit(h->base, &tv);
		(void)event_base_loop(h->base, EVLOOP_ONCE);
	}
	assert_int_equal(h->acked, 1);
	(void)sum_all(h, 1000, 1);
	limit_files(h, RLIM_INFINITY);
	assert_true(wait_ack(h, 5));
	assert_int_equal(h->ack.stored, 1000);
	(void)sum_all(h, 1000, 5);
	kill9(h);
	start(h);
	(void)sum_all(h, 1000, 5);
	stop(h);
}

/* New series are refused, known ones go on. */
static void
test_full_head(void **state)
{
	struct harness *h = *state;
	uint32_t limited = 0;

	if (access(h->program, X_OK) == -1)
		skip();
	h->head_bytes = "4194304";
	start(h);
	declare(h, 1, 30001);
	for (uint64_t k = 1; k <= 3; k++) {
		batch(h, k, T0 + (int64_t)k * 1000, 30000, 1, 0);
		assert_true(wait_ack(h, k));
		assert_true(h->ack.limit.count > 1000);
		assert_int_equal(h->ack.stored + h->ack.limit.count, 30000);
		assert_true(limited == 0 || h->ack.limit.count == limited);
		limited = h->ack.limit.count;
		assert_int_equal(h->ack.limit.id, 30000 - limited + 1);
	}
	stop(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_durable, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_stale_and_violation,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_anywhere, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_full_head, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
