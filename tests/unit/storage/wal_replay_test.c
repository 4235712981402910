/* SPDX-License-Identifier: ISC */

/*
 * The WAL through the disk: what the writer commits replay tells again, with
 * every codec, over many segments, after failed writes, torn ends, flipped
 * bits and a checkpoint.
 */

#include <sys/resource.h>
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/tsdb/record.h"
#include "common/tsdb/wal_dir.h"
#include "common/tsdb/wal_format.h"
#include "workers/storage/replay.h"
#include "workers/storage/sync.h"
#include "workers/storage/wal_writer.h"

#define SEGMENT	(4u * WAL_PAGE_BYTES)
/* Handles lie so far apart that they are gathered in different lanes. */
#define LANES_APART	97

struct rng { uint64_t s; };

static uint64_t
rnd(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

/* --- a directory of its own for each test --- */

static int
setup(void **state)
{
	char path[] = "/tmp/brazier-wal-XXXXXX";

	if (mkdtemp(path) == NULL)
		return -1;
	*state = strdup(path);
	return 0;
}

static void
remove_files(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char sub[512];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (unlink(sub) == -1)
			remove_files(sub);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(path);
}

static int
teardown(void **state)
{
	remove_files(*state);
	free(*state);
	return 0;
}

static int
open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd != -1);
	return fd;
}

static bool
exists(int dirfd, const char *name, off_t *size)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, 0) == -1)
		return false;
	if (size != NULL)
		*size = st.st_size;
	return true;
}

/* --- what replay tells, kept --- */

struct told {
	struct record_sample	*s;
	size_t			 n, cap;
	size_t			 n_series;
	size_t			 n_other;
	int			 progress;
};

static int
told_series(void *arg, uint64_t ref, struct labels labels, uint64_t *handle,
    struct err *err)
{
	struct told *t = arg;

	(void)err;
	assert_int_equal(labels.n, 2);
	/* Series 1000 + n has the labels of series n. */
	*handle = ref % 1000 * LANES_APART;
	t->n_series++;
	return 0;
}

static int
told_samples(void *arg, const struct record_sample *s, size_t n,
    struct err *err)
{
	struct told *t = arg;

	(void)err;
	if (t->n + n > t->cap) {
		t->cap = (t->n + n) * 2;
		t->s = realloc(t->s, t->cap * sizeof(*t->s));
	}
	for (size_t i = 0; i < n; i++) {
		t->s[t->n] = s[i];
		t->s[t->n++].ref /= LANES_APART;
	}
	return 0;
}

/* What was written, as told_samples keeps it. */
static void
want_samples(struct told *t, const struct record_sample *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct record_sample one = s[i];

		one.ref *= LANES_APART;
		told_samples(t, &one, 1, NULL);
	}
}

static int
told_tombstone(void *arg, const struct record_tombstone *s, struct err *err)
{
	(void)err;
	assert_true(s->mint_ms == 1 && s->maxt_ms == 2);
	((struct told *)arg)->n_other++;
	return 0;
}

static void
told_progress(void *arg, int first, int last, int index)
{
	assert_true(first <= index && index <= last + 1);
	((struct told *)arg)->progress = index;
}

static void
replay(int dirfd, struct told *t, struct replay_stats *st)
{
	struct replay_sink sink = {
		.arg = t, .on_series = told_series,
		.on_samples = told_samples, .on_tombstone = told_tombstone,
		.on_progress = told_progress,
	};
	struct err err = ERR_INIT;

	memset(t, 0, sizeof(*t));
	t->progress = -1;
	assert_int_equal(replay_run(dirfd, &sink, st, &err), 0);
}

struct ranked {
	struct record_sample	s;
	size_t			at;
};

static int
by_series(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->s.ref != y->s.ref)
		return x->s.ref < y->s.ref ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

/* By series, each as it came: the order between series says nothing. */
static void
told_sort(struct told *t)
{
	struct ranked *r = calloc(t->n + 1, sizeof(*r));

	for (size_t i = 0; i < t->n; i++)
		r[i] = (struct ranked){ t->s[i], i };
	qsort(r, t->n, sizeof(*r), by_series);
	for (size_t i = 0; i < t->n; i++)
		t->s[i] = r[i].s;
	free(r);
}

static void
told_clear(struct told *t)
{
	free(t->s);
}

/* --- writing --- */

static struct wal_writer *
open_writer(int dirfd, int index, enum compress_codec codec, struct sync *sync)
{
	struct wal_writer_opts o = { dirfd, index, SEGMENT, codec, sync };
	struct wal_writer *w;
	struct err err = ERR_INIT;

	if (wal_writer_open(&o, &w, &err) == -1)
		fail_msg("%s", err.text);
	return w;
}

static void
add(struct wal_writer *w, struct buf *b)
{
	struct err err = ERR_INIT;

	assert_int_equal(wal_writer_add(w, buf_str(b), &err), 0);
	buf_reset(b);
}

static void
add_series(struct wal_writer *w, uint64_t first, size_t n)
{
	struct buf b;

	buf_init(&b, 0);
	record_begin_series(&b);
	for (uint64_t ref = first; ref < first + n; ref++) {
		char value[32];
		struct label l[] = { { STR_LIT("__name__"), STR_LIT("m") },
		    { STR_LIT("i"), STR_EMPTY } };

		(void)snprintf(value, sizeof(value), "%d", (int)(ref % 1000));
		l[1].value = str_c(value);
		record_add_series(&b, ref, (struct labels){ l, 2 });
	}
	add(w, &b);
	buf_clear(&b);
}

/* n samples of series 1..100, added to want. */
static void
add_samples(struct wal_writer *w, struct rng *g, size_t n, struct told *want)
{
	struct record_sample s[2000];
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < n; i++)
		s[i] = (struct record_sample){ 1 + rnd(g) % 100,
		    (int64_t)(rnd(g) % 1000000), (double)(rnd(g) % 1000) };
	record_put_samples(&b, s, n);
	add(w, &b);
	buf_clear(&b);
	if (want != NULL)
		want_samples(want, s, n);
}

static void
commit(struct wal_writer *w)
{
	struct err err = ERR_INIT;

	if (wal_writer_commit(w, &err) == -1)
		fail_msg("%s", err.text);
}

static void
close_writer(struct wal_writer *w)
{
	struct err err = ERR_INIT;

	assert_int_equal(wal_writer_close(w, &err), 0);
}

static void
assert_told(struct told *want, struct told *got)
{
	assert_int_equal(want->n, got->n);
	told_sort(want);
	told_sort(got);
	for (size_t i = 0; i < want->n; i++) {
		assert_int_equal(want->s[i].ref, got->s[i].ref);
		assert_int_equal(want->s[i].t_ms, got->s[i].t_ms);
		assert_true(want->s[i].v == got->s[i].v);
	}
}

/* --- tests --- */

static void
test_round_trip(void **state)
{
	static const enum compress_codec codecs[] = { COMPRESS_NONE,
	    COMPRESS_SNAPPY, COMPRESS_ZSTD, COMPRESS_LZ4 };
	struct rng g = { 88172645463325252ULL };
	struct told want = { 0 }, got;
	struct replay_stats st;
	struct sync *sync;
	struct err err = ERR_INIT;
	int dirfd = open_dir(*state), next = 0;
	struct sync_stats ss;

	assert_int_equal(sync_start(5, &sync, &err), 0);
	for (int round = 0; round < 8; round++) {
		struct wal_writer *w = open_writer(dirfd, next,
		    codecs[round % 4], round & 1 ? sync : NULL);

		if (round == 0)
			add_series(w, 1, 100);
		for (int i = 0; i < 50; i++) {
			add_samples(w, &g, rnd(&g) % 1000, &want);
			if (rnd(&g) % 3 != 0)
				commit(w);
		}
		commit(w);
		if (round != 7)
			close_writer(w);
		else
			/* As after kill -9: the segment just ends. */
			assert_true(wal_writer_offset(w) % WAL_PAGE_BYTES != 0);
		replay(dirfd, &got, &st);
		assert_told(&want, &got);
		assert_int_equal(st.n_corruptions, 0);
		assert_int_equal(st.n_samples, want.n);
		assert_int_equal(st.max_ref, 100);
		assert_int_equal(got.progress, st.last_segment + 1);
		told_clear(&got);
		next = st.last_segment + 1;
		if (round == 7)
			close_writer(w);
	}
	assert_true(next > 8);
	sync_get_stats(sync, &ss);
	assert_int_equal(sync_stop(sync, &err), 0);
	assert_true(ss.n_failed == 0 && ss.n_syncs > 0);
	told_clear(&want);
	(void)close(dirfd);
}

static void
test_failed_write_leaves_nothing(void **state)
{
	struct rng g = { 4101842887655102017ULL };
	struct told want = { 0 }, got;
	struct replay_stats st;
	struct rlimit old, low;
	int dirfd = open_dir(*state), failed = 0;
	struct wal_writer *w = open_writer(dirfd, 0, COMPRESS_NONE, NULL);

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	add_series(w, 1, 100);
	commit(w);
	for (int i = 0; i < 200; i++) {
		struct err err = ERR_INIT;
		struct told batch = { 0 };
		uint64_t off = wal_writer_offset(w);
		int index = wal_writer_segment(w);
		off_t size;
		char name[WAL_NAME_MAX];

		low.rlim_cur = i % 3 == 0 ? off + rnd(&g) % 4000 :
		    old.rlim_cur;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
		/* Not a batch that a new segment would cut in two. */
		add_samples(w, &g, 1 + rnd(&g) % 300, &batch);
		if (wal_writer_commit(w, &err) == 0)
			want_samples(&want, batch.s, batch.n);
		else {
			assert_int_equal(err.kind, ERR_INTERNAL);
			failed++;
			assert_true(wal_writer_segment(w) > index ||
			    wal_writer_offset(w) == off);
		}
		wal_segment_name(wal_writer_segment(w), name);
		assert_true(exists(dirfd, name, &size));
		assert_int_equal(size, wal_writer_offset(w));
		told_clear(&batch);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(failed > 10);
	close_writer(w);
	replay(dirfd, &got, &st);
	assert_told(&want, &got);
	assert_int_equal(st.n_corruptions, 0);
	told_clear(&got);
	told_clear(&want);
	(void)close(dirfd);
}

static void
test_existing_segment_is_refused(void **state)
{
	int dirfd = open_dir(*state);
	struct wal_writer *w = open_writer(dirfd, 3, COMPRESS_NONE, NULL), *x;
	struct wal_writer_opts o = { dirfd, 3, SEGMENT, COMPRESS_NONE, NULL };
	struct err err = ERR_INIT;

	assert_int_equal(wal_writer_open(&o, &x, &err), -1);
	assert_non_null(strstr(err.text, "00000003"));
	close_writer(w);
	(void)close(dirfd);
}

/* Appends a series, samples, tombstones and unknown refs; then reads. */
static void
test_refs(void **state)
{
	struct record_sample s[] = { { 1, 10, 1 }, { 77, 10, 2 },
	    { 1001, 20, 3 }, { 5000, 30, 4 } };
	struct record_tombstone t[] = { { 1, 1, 2 }, { 9, 1, 2 } };
	int dirfd = open_dir(*state);
	struct wal_writer *w = open_writer(dirfd, 0, COMPRESS_NONE, NULL);
	struct replay_stats st;
	struct told got;
	struct buf b;

	buf_init(&b, 0);
	add_series(w, 1, 1);
	add_series(w, 1001, 1);
	record_put_samples(&b, s, 4);
	add(w, &b);
	record_put_tombstones(&b, t, 2);
	add(w, &b);
	buf_add_byte(&b, 99);
	add(w, &b);
	commit(w);
	close_writer(w);
	replay(dirfd, &got, &st);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.s[0].ref, 1);
	assert_int_equal(got.s[1].ref, 1);
	assert_true(got.s[1].v == 3);
	assert_int_equal(got.n_other, 1);
	assert_int_equal(st.n_unknown_refs, 3);
	assert_int_equal(st.n_unknown_records, 1);
	assert_int_equal(st.max_ref, 5000);
	told_clear(&got);
	buf_clear(&b);
	(void)close(dirfd);
}

static void
test_checkpoint(void **state)
{
	struct rng g = { 2463534242ULL };
	struct told want = { 0 }, got;
	int dirfd = open_dir(*state), sub;
	struct wal_writer *w;
	struct replay_stats st;

	assert_int_equal(mkdirat(dirfd, "checkpoint.00000003", 0777), 0);
	assert_int_equal(mkdirat(dirfd, "checkpoint.00000005.tmp", 0777), 0);
	assert_int_equal(mkdirat(dirfd, "checkpoint.00000001", 0777), 0);
	sub = openat(dirfd, "checkpoint.00000003", O_RDONLY | O_DIRECTORY);
	w = open_writer(sub, 0, COMPRESS_SNAPPY, NULL);
	add_series(w, 1, 100);
	add_samples(w, &g, 100, &want);
	commit(w);
	close_writer(w);
	for (int i = 2; i <= 5; i++) {
		w = open_writer(dirfd, i, COMPRESS_SNAPPY, NULL);
		add_samples(w, &g, 100, i > 3 ? &want : NULL);
		commit(w);
		close_writer(w);
	}
	replay(dirfd, &got, &st);
	assert_told(&want, &got);
	assert_int_equal(st.checkpoint, 3);
	assert_int_equal(st.last_segment, 5);
	assert_int_equal(st.n_segments, 3);
	told_clear(&got);
	told_clear(&want);
	(void)close(sub);
	(void)close(dirfd);
}

/* The whole file of a segment, and back. */
static void
load(int dirfd, const char *name, struct buf *out)
{
	struct file_map m;
	struct err err = ERR_INIT;

	assert_int_equal(file_map_open(dirfd, name, &m, &err), 0);
	buf_reset(out);
	buf_add(out, m.data, m.len);
	file_map_close(&m);
}

static void
store(int dirfd, const char *name, const void *p, size_t n)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	assert_true(fd != -1);
	assert_int_equal(write(fd, p, n), n);
	(void)close(fd);
}

static bool
has_sample(const struct told *t, const struct record_sample *s)
{
	size_t i = 0;

	while (i < t->n && memcmp(&t->s[i], s, sizeof(*s)) != 0)
		i++;
	return i < t->n;
}

/* got is want without some samples. */
static void
assert_subsequence(struct told *want, struct told *got)
{
	size_t at = 0;

	told_sort(want);
	told_sort(got);
	for (size_t i = 0; i < got->n; i++) {
		while (at < want->n && memcmp(&want->s[at], &got->s[i],
		    sizeof(*want->s)) != 0)
			at++;
		assert_true(at < want->n);
		at++;
	}
}

static void
test_damage_is_set_aside(void **state)
{
	struct rng g = { 1442695040888963407ULL };
	struct told want = { 0 }, got, again;
	struct record_sample last;
	int dirfd = open_dir(*state);
	struct wal_writer *w = open_writer(dirfd, 0, COMPRESS_SNAPPY, NULL);
	struct buf seg, after;
	struct replay_stats st;

	buf_init(&seg, 0);
	buf_init(&after, 0);
	add_series(w, 1, 100);
	commit(w);
	for (int i = 0; i < 40; i++) {
		add_samples(w, &g, 10 + rnd(&g) % 200, &want);
		commit(w);
	}
	close_writer(w);
	w = open_writer(dirfd, 1, COMPRESS_SNAPPY, NULL);
	add_samples(w, &g, 50, &want);
	commit(w);
	close_writer(w);
	last = want.s[want.n - 1];
	load(dirfd, "00000000", &seg);

	for (int round = 0; round < 150; round++) {
		size_t cut = seg.n, bit = rnd(&g) % (seg.n * 8);
		bool flip = round & 1;

		(void)unlinkat(dirfd, "00000000.corrupt", 0);
		if (flip) {
			seg.p[bit / 8] ^= (char)(1 << bit % 8);
			if (bit % 8 >= 3 && bit % 8 <= 5) {
				/* May be a flag, which no checksum covers. */
				seg.p[bit / 8] ^= (char)(1 << bit % 8);
				continue;
			}
		} else
			cut = rnd(&g) % seg.n;
		store(dirfd, "00000000", seg.p, cut);
		if (flip)
			seg.p[bit / 8] ^= (char)(1 << bit % 8);
		replay(dirfd, &got, &st);
		assert_subsequence(&want, &got);
		if (flip && bit >= 3000 * 8)
			assert_true(got.n + 1000 >= want.n);
		/* The second segment is there whatever the first lost. */
		assert_true(bit < 3000 * 8 || cut < 3000 ||
		    has_sample(&got, &last));
		assert_int_equal(st.n_corruptions > 0,
		    exists(dirfd, "00000000.corrupt", NULL));
		if (!flip && cut % WAL_PAGE_BYTES != 0 && st.n_corruptions > 0) {
			off_t kept;

			assert_true(exists(dirfd, "00000000.corrupt", &kept));
			assert_int_equal(kept, st.lost_bytes);
		}
		/* Healed: the same again, and nothing to complain about. */
		replay(dirfd, &again, &st);
		assert_told(&got, &again);
		assert_int_equal(st.n_corruptions, 0);
		load(dirfd, "00000000", &after);
		assert_int_equal(after.n % WAL_PAGE_BYTES == 0 ||
		    after.n == cut, 1);
		told_clear(&got);
		told_clear(&again);
	}
	buf_clear(&seg);
	buf_clear(&after);
	told_clear(&want);
	(void)close(dirfd);
}

/* A record with a right checksum that does not decode is taken out. */
static void
test_undecodable_record(void **state)
{
	struct rng g = { 6364136223846793005ULL };
	struct told want = { 0 }, got;
	int dirfd = open_dir(*state);
	struct wal_writer *w = open_writer(dirfd, 0, COMPRESS_NONE, NULL);
	struct replay_stats st;
	struct buf b;

	buf_init(&b, 0);
	add_series(w, 1, 100);
	add_samples(w, &g, 10, &want);
	buf_add(&b, "\x02half", 5);
	add(w, &b);
	add_samples(w, &g, 10, &want);
	commit(w);
	close_writer(w);
	for (int round = 0; round < 2; round++) {
		replay(dirfd, &got, &st);
		assert_told(&want, &got);
		assert_int_equal(st.n_corruptions, round == 0);
		told_clear(&got);
	}
	buf_clear(&b);
	told_clear(&want);
	(void)close(dirfd);
}

static void
test_sync_tells_errors(void **state)
{
	struct sync *sync;
	struct err err = ERR_INIT;
	struct sync_stats ss;
	int p[2];

	(void)state;
	assert_int_equal(sync_start(1, &sync, &err), 0);
	assert_int_equal(pipe(p), 0);
	assert_false(sync_take_error(sync, &err));
	/* A pipe cannot be synced, which is no error; it is closed. */
	sync_finish(sync, p[0]);
	/* A number that is no file is one. */
	sync_set_current(sync, 999999, -1);
	sync_mark_dirty(sync);
	for (int i = 0; i < 2000 && !sync_take_error(sync, &err); i++)
		(void)usleep(1000);
	assert_int_equal(err.kind, ERR_INTERNAL);
	sync_get_stats(sync, &ss);
	assert_int_equal(ss.n_failed, 1);
	sync_finish(sync, p[1]);
	assert_int_equal(sync_stop(sync, &err), 0);
	assert_int_equal(fcntl(p[0], F_GETFD), -1);
	assert_int_equal(fcntl(p[1], F_GETFD), -1);
}

static void
no_log(void *arg, enum log_level level, const char *line, size_t n)
{
	(void)arg;
	(void)level;
	(void)line;
	(void)n;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_failed_write_leaves_nothing),
		TEST(test_existing_segment_is_refused),
		TEST(test_refs),
		TEST(test_checkpoint),
		TEST(test_damage_is_set_aside),
		TEST(test_undecodable_record),
		TEST(test_sync_tells_errors),
	};

	log_open("test", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, no_log, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
