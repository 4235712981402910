/* SPDX-License-Identifier: ISC */

/*
 * The head against a naive twin: random label sets, batches in and out of
 * order, full chunks moved to a file, random matchers; and the rules of
 * refusal, resending, replay and the ceiling.
 */

#include "tests/unit/storage/head_twin.h"

#include <math.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/labels/labels.h"
#include "common/labels/matcher.h"

#define N_NAMES		5
#define N_VALUES	7
#define SERIES_MAX	400

static const char *const name_text[N_NAMES] = { "__name__", "a", "b", "job",
    "zone" };

struct twin_series {
	int		 value[N_NAMES];	/* -1 = absent */
	uint32_t	 slot;
	int64_t		*t;
	double		*v;
	size_t		 n, cap;
};

struct twin {
	struct rnd		 rnd;
	struct head		*h;
	struct head_reader	 r;
	struct head_files	 files;
	int			 file_fd;
	uint32_t		 file_at;
	struct twin_series	 s[SERIES_MAX];
	size_t			 n;
	int64_t			 maxt;
	char			 text[N_NAMES][N_VALUES][16];
};

static void
twin_open(struct twin *w, uint64_t seed, uint64_t bytes)
{
	struct head_options o = { .ceiling_bytes = bytes };
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->rnd.s = seed;
	w->maxt = INT64_MIN;
	w->h = head_new(&o, &err);
	assert_non_null(w->h);
	assert_int_equal(head_reader_open(&w->r, head_reader_fd(w->h), -1,
	    &err), 0);
	head_files_init(&w->files);
	w->file_fd = -1;
	for (int i = 0; i < N_NAMES; i++) {
		for (int k = 0; k < N_VALUES; k++)
			(void)snprintf(w->text[i][k], 16, "%c%d",
			    "mxyzw"[i], k * k);
	}
}

static void
twin_close(struct twin *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->s[i].t);
		free(w->s[i].v);
	}
	head_files_clear(&w->files);
	head_reader_close(&w->r);
	head_free(w->h);
}

static size_t
twin_labels(struct twin *w, const struct twin_series *s, struct label *l)
{
	size_t n = 0;

	for (int i = 0; i < N_NAMES; i++) {
		if (s->value[i] >= 0)
			l[n++] = (struct label){ str_c(name_text[i]),
			    str_c(w->text[i][s->value[i]]) };
	}
	return n;
}

/* A random label set: one that is known, or a new one. */
static struct twin_series *
twin_series(struct twin *w)
{
	struct twin_series s = { .value = { 0 } };
	struct label l[N_NAMES];
	struct err err = ERR_INIT;
	size_t i;
	bool created;

	for (i = 0; i < N_NAMES; i++)
		s.value[i] = i > 0 && rnd(&w->rnd, 3) == 0 ? -1 :
		    (int)rnd(&w->rnd, N_VALUES);
	for (i = 0; i < w->n; i++) {
		if (memcmp(w->s[i].value, s.value, sizeof(s.value)) == 0)
			break;
	}
	if (i == SERIES_MAX)
		return &w->s[rnd(&w->rnd, SERIES_MAX)];
	s.slot = head_series(w->h, labels_of(l, twin_labels(w, &s, l)),
	    &created, &err);
	assert_int_not_equal(s.slot, HEAD_NO_SLOT);
	if (i == w->n) {
		assert_true(created);
		w->s[w->n++] = s;
	} else {
		assert_false(created);
		assert_int_equal(s.slot, w->s[i].slot);
	}
	return &w->s[i];
}

static bool
twin_add(struct twin *w, struct twin_series *s, int64_t t, double v,
    int64_t min_valid)
{
	if (t < min_valid)
		return false;
	if (s->n > 0 && t <= s->t[s->n - 1])
		return t == s->t[s->n - 1] &&
		    double_bits(v) == double_bits(s->v[s->n - 1]);
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 16;
		s->t = realloc(s->t, s->cap * 8);
		s->v = realloc(s->v, s->cap * 8);
	}
	s->t[s->n] = t;
	s->v[s->n++] = v;
	if (t > w->maxt)
		w->maxt = t;
	return true;
}

static double
random_value(struct twin *w)
{
	switch (rnd(&w->rnd, 6)) {
	case 0: return 1;
	case 1: return rnd(&w->rnd, 1000);
	case 2: return rnd(&w->rnd, 1000000) / 7.0;
	case 3: return -1e300 / (1 + rnd(&w->rnd, 100));
	case 4: return double_from_bits(STALE_NAN_BITS);
	default: return INFINITY;
	}
}

static void
twin_batch(struct twin *w, int64_t now)
{
	struct head_sample s[300];
	struct head_result res;
	struct err err = ERR_INIT;
	uint32_t want = 0, got = 0;
	size_t n = rnd(&w->rnd, 300);
	int64_t min_valid = w->maxt == INT64_MIN ? INT64_MIN :
	    w->maxt - HEAD_CHUNK_RANGE_MS / 2;

	for (size_t i = 0; i < n; i++) {
		struct twin_series *ts = twin_series(w);
		int64_t t = now + (int64_t)i * 10;

		if (rnd(&w->rnd, 20) == 0)
			t -= rnd(&w->rnd, 2 * HEAD_CHUNK_RANGE_MS);
		if (rnd(&w->rnd, 20) == 0 && ts->n > 0)
			t = ts->t[ts->n - 1];
		s[i] = (struct head_sample){ .slot = ts->slot, .t_ms = t,
		    .v = random_value(w) };
		if (min_valid == INT64_MIN)
			min_valid = t - HEAD_CHUNK_RANGE_MS / 2;
		want += twin_add(w, ts, t, s[i].v, min_valid);
	}
	assert_int_equal(head_append(w->h, s, n, 0, &res, &err), 0);
	for (int i = 0; i < HEAD_REFUSALS; i++)
		got += res.refused[i];
	assert_int_equal(res.stored, want);
	assert_int_equal(res.stored + got, n);
}

/* Moves what is full into one chunks_head-like file. */
static void
twin_spill(struct twin *w)
{
	struct head_full_chunk c;
	struct err err = ERR_INIT;
	struct buf b;

	if (w->file_fd == -1) {
		char path[] = "/tmp/head_test.XXXXXX";

		w->file_fd = mkstemp(path);
		assert_int_not_equal(w->file_fd, -1);
		(void)unlink(path);
		assert_int_equal(head_files_add(&w->files, 1, w->file_fd,
		    &err), 0);
	}
	while (head_spill_list(w->h, &c, 1) == 1) {
		buf_init(&b, 0);
		buf_add_be64(&b, c.ref);
		buf_add_be64(&b, (uint64_t)c.mint_ms);
		buf_add_be64(&b, (uint64_t)c.maxt_ms);
		buf_add_byte(&b, c.encoding);
		buf_add_uvarint(&b, c.len_bytes);
		buf_add(&b, c.data, c.len_bytes);
		buf_add_be32(&b, hash_crc32c(0, b.p, b.n));
		assert_int_equal(pwrite(w->file_fd, b.p, b.n, w->file_at),
		    (ssize_t)b.n);
		head_spilled(w->h, &c, 1, w->file_at);
		w->file_at += (uint32_t)b.n;
		buf_clear(&b);
	}
	assert_int_equal(head_spill_waiting(w->h), 0);
}

static void
twin_check_samples(struct twin *w)
{
	struct arena a;
	struct head_capture *cap;
	struct postings slots;
	struct read_back b = { 0 };
	struct err err = ERR_INIT;

	arena_init(&a, 0);
	head_reader_begin(&w->r);
	assert_int_equal(head_match(&w->r, &a, NULL, 0, &slots, &err), 0);
	assert_int_equal(slots.n, w->n);
	assert_int_equal(head_reader_capture(&w->r, &a, slots, &cap, &err), 0);
	for (size_t i = 0; i < w->n; i++) {
		struct twin_series *s = &w->s[i];

		b.n = 0;
		assert_int_equal(slots.id[i], s->slot);
		assert_int_equal(read_series(&w->r, &cap[i], &w->files, &b,
		    &err), 0);
		assert_int_equal(b.n, s->n);
		for (size_t k = 0; k < b.n; k++) {
			assert_int_equal(b.t[k], s->t[k]);
			assert_true(double_bits(b.v[k]) ==
			    double_bits(s->v[k]));
		}
	}
	head_reader_end(&w->r);
	read_back_clear(&b);
	arena_clear(&a);
}

static const char *const patterns[] = { "", ".*", ".+", "x1|x4", "y.*",
    ".*9", "(|x0)", "x0|x1|nope", "[a-z]1", "nope", "m0" };

static void
twin_check_match(struct twin *w)
{
	struct matcher m[3];
	const struct matcher *p[3];
	struct arena a;
	struct postings slots;
	struct err err = ERR_INIT;
	size_t n = 1 + rnd(&w->rnd, 3), k = 0;

	for (size_t i = 0; i < n; i++) {
		enum matcher_type type = rnd(&w->rnd, 4);
		int name = (int)rnd(&w->rnd, N_NAMES + 1);
		const char *value = rnd(&w->rnd, 2) == 0 ?
		    patterns[rnd(&w->rnd, 11)] :
		    w->text[name % N_NAMES][rnd(&w->rnd, N_VALUES)];

		assert_int_equal(matcher_init(&m[i], type, str_c(
		    name == N_NAMES ? "absent" : name_text[name]),
		    str_c(value), &err), 0);
		p[i] = &m[i];
	}
	arena_init(&a, 0);
	assert_int_equal(head_match(&w->r, &a, p, n, &slots, &err), 0);
	for (size_t i = 0; i < w->n; i++) {
		bool want = true;

		for (size_t j = 0; j < n; j++) {
			struct str v = STR_EMPTY;

			for (int l = 0; l < N_NAMES; l++) {
				if (w->s[i].value[l] >= 0 &&
				    str_eq_c(m[j].name, name_text[l]))
					v = str_c(w->text[l]
					    [w->s[i].value[l]]);
			}
			want = want && matcher_matches(&m[j], v);
		}
		if (want) {
			assert_true(k < slots.n);
			assert_int_equal(slots.id[k], w->s[i].slot);
			k++;
		}
	}
	assert_int_equal(k, slots.n);
	for (size_t i = 0; i < n; i++)
		matcher_clear(&m[i]);
	arena_clear(&a);
}

static void
test_twin(void **state)
{
	static struct twin w;
	int64_t now = 1700000000000;

	(void)state;
	twin_open(&w, rnd_seed(), 64 << 20);
	for (int i = 0; i < 400; i++) {
		twin_batch(&w, now);
		now += 1000 + rnd(&w.rnd, 60000);
		if (rnd(&w.rnd, 400) == 0)
			now += HEAD_CHUNK_RANGE_MS * 3;
		if (i % 20 == 5)
			twin_spill(&w);
		if (i % 10 == 0)
			twin_check_samples(&w);
		twin_check_match(&w);
		head_reclaim(w.h, 0);
	}
	for (int i = 0; i < 1000; i++)
		twin_check_match(&w);
	twin_check_samples(&w);
	assert_true(head_counters(w.h)->chunks_spilled > 0);
	twin_close(&w);
}

/* --- rules --- */

static uint32_t
one_series(struct head *h, const char *name)
{
	struct label l = { STR_LIT("__name__"), str_c(name) };
	struct err err = ERR_INIT;
	bool created;

	return head_series(h, labels_of(&l, 1), &created, &err);
}

static struct head *
small_head(uint64_t bytes)
{
	struct head_options o = { .ceiling_bytes = bytes };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);

	assert_non_null(h);
	return h;
}

static struct head_result
append(struct head *h, uint32_t slot, int64_t t, double v, int flags)
{
	struct head_sample s = { .slot = slot, .t_ms = t, .v = v };
	struct head_result r;
	struct err err = ERR_INIT;

	assert_int_equal(head_append(h, &s, 1, flags, &r, &err), 0);
	return r;
}

static void
test_refusals(void **state)
{
	struct head *h = small_head(8 << 20);
	uint32_t up = one_series(h, "up"), other = one_series(h, "other");
	struct head_result r;

	(void)state;
	assert_int_equal(append(h, up, 100000000, 1, 0).stored, 1);
	assert_int_equal(append(h, up, 100000000, 1, 0).stored, 1);
	r = append(h, up, 100000000, 2, 0);
	assert_int_equal(r.refused[HEAD_DUPLICATE], 1);
	assert_true(r.first[HEAD_DUPLICATE].old_v == 1);
	r = append(h, up, 99999999, 2, 0);
	assert_int_equal(r.refused[HEAD_OUT_OF_ORDER], 1);
	r = append(h, other, 100000000 - 3600000, 2, 0);
	assert_int_equal(r.stored, 1);
	r = append(h, one_series(h, "third"), 100000000 - 3600001, 2, 0);
	assert_int_equal(r.refused[HEAD_OUT_OF_BOUNDS], 1);
	r = append(h, HEAD_NO_SLOT, 100000000, 2, 0);
	assert_int_equal(r.refused[HEAD_LIMIT], 1);
	head_set_max_valid(h, 100000500);
	r = append(h, up, 100000501, 2, 0);
	assert_int_equal(r.refused[HEAD_OUT_OF_BOUNDS], 1);
	assert_int_equal(head_max_time(h), 100000000);
	head_set_ooo_window(h, 1000);
	r = append(h, up, 100000000 - 1001, 2, 0);
	assert_int_equal(r.refused[HEAD_TOO_OLD], 1);
	r = append(h, up, 100000000 - 1000, 2, 0);
	assert_int_equal(r.refused[HEAD_OUT_OF_ORDER], 1);
	head_free(h);
}

static void
test_resend(void **state)
{
	struct head *h = small_head(8 << 20);
	uint32_t up = one_series(h, "up");

	(void)state;
	for (int i = 1; i <= 300; i++)
		append(h, up, i * 1000, i, 0);
	assert_int_equal(append(h, up, 300000, 300, HEAD_RESEND).stored, 1);
	assert_int_equal(append(h, up, 5000, 5, HEAD_RESEND).stored, 1);
	assert_int_equal(append(h, up, 5000, 6, HEAD_RESEND).stored, 0);
	assert_int_equal(append(h, up, 5001, 5, HEAD_RESEND).stored, 0);
	assert_int_equal(append(h, up, 301000, 1, HEAD_RESEND).stored, 1);
	head_free(h);
}

static int
failing_log(void *arg, struct str series, struct str samples, struct err *err)
{
	(void)series;
	(void)samples;
	if (*(bool *)arg)
		return err_set(err, ERR_INTERNAL, "no space left on device");
	return 0;
}

static void
test_log_failure(void **state)
{
	struct head *h = small_head(8 << 20);
	uint32_t up = one_series(h, "up");
	struct head_sample s[2] = { { .slot = up, .t_ms = 2000, .v = 1 },
	    { .slot = up, .t_ms = 3000, .v = 2 } };
	struct head_result r;
	struct err err = ERR_INIT;
	bool fails = true;
	int64_t t;
	double v;

	(void)state;
	head_set_log(h, failing_log, &fails);
	assert_int_equal(head_append(h, s, 2, 0, &r, &err), -1);
	assert_false(head_series_last(h, up, &t, &v));
	fails = false;
	assert_int_equal(head_append(h, s, 2, 0, &r, &err), 0);
	assert_int_equal(r.stored, 2);
	assert_true(head_series_last(h, up, &t, &v));
	assert_int_equal(t, 3000);
	head_free(h);
}

static void
test_ceiling(void **state)
{
	struct head *h = small_head(4 << 20);
	struct err err = ERR_INIT;
	struct head_sample s;
	struct head_result r;
	uint32_t n = 0, up = one_series(h, "up");
	bool created;

	(void)state;
	for (; n < 1000000; n++) {
		char text[32];
		struct label l[2] = { { STR_LIT("__name__"), STR_LIT("m") },
		    { STR_LIT("i"), { text, 0 } } };
		uint32_t slot;

		l[1].value.n = (size_t)snprintf(text, sizeof(text), "%u", n);
		slot = head_series(h, labels_of(l, 2), &created, &err);
		if (slot == HEAD_NO_SLOT)
			break;
		s = (struct head_sample){ .slot = slot, .t_ms = 1000,
		    .v = 1 };
		assert_int_equal(head_append(h, &s, 1, 0, &r, &err), 0);
	}
	assert_true(n > 1000 && n < 1000000);
	assert_int_equal(err.kind, ERR_LIMIT);
	/* Known ones are found and go on. */
	assert_int_equal(one_series(h, "up"), up);
	for (int i = 1; i < 500; i++)
		assert_int_equal(append(h, up, 1000 + i, i, 0).stored, 1);
	head_free(h);
}

static void
test_replay(void **state)
{
	struct head *h = small_head(8 << 20);
	struct label l = { STR_LIT("__name__"), STR_LIT("up") };
	struct record_sample s[4];
	struct head_reader r;
	struct head_figures f;
	struct err err = ERR_INIT;
	uint32_t slot, again;
	int64_t t;
	double v;

	(void)state;
	assert_int_equal(head_replay_chunk(h, 7, 1000, 5000, 5, 1, 1, 8), 0);
	assert_int_equal(head_replay_chunk(h, 7, 6000, 9000, 4, 1, 1, 90), 0);
	assert_int_equal(head_replay_series(h, 7, labels_of(&l, 1), &slot,
	    &err), 0);
	assert_int_equal(head_replay_series(h, 9, labels_of(&l, 1), &again,
	    &err), 0);
	assert_int_equal(slot, again);
	for (int i = 0; i < 4; i++)
		s[i] = (struct record_sample){ slot, 8000 + i * 1000, i };
	head_replay_samples(h, s, 4);
	head_replay_end(h, 0);
	assert_true(head_series_last(h, slot, &t, &v));
	assert_int_equal(t, 11000);
	assert_int_equal(head_min_time(h), 1000);
	assert_int_equal(head_max_time(h), 11000);
	assert_int_equal(head_series_ref(h, slot), 7);
	assert_int_equal(head_series_ref(h, one_series(h, "new")), 10);
	assert_int_equal(head_reader_open(&r, head_reader_fd(h), -1, &err),
	    0);
	head_reader_figures(&r, &f);
	assert_int_equal(f.n_chunks, 3);
	assert_int_equal(f.n_series, 2);
	assert_int_equal(f.n_label_pairs, 2);
	head_reader_close(&r);
	head_free(h);
}

/* What the reader says of the deleted ranges, by millisecond. */
static void
check_deleted(const struct head_reader *r, uint32_t slot, const bool *gone,
    int64_t n)
{
	const struct head_interval *d;
	struct head_series_view s;
	struct err err = ERR_INIT;
	uint32_t n_deleted, at = 0;

	assert_int_equal(head_reader_series(r, slot, &s, &err), 1);
	assert_int_equal(head_reader_deleted(r, &s, &d, &n_deleted, &err), 0);
	for (int64_t t = 0; t < n; t++) {
		while (at < n_deleted && d[at].maxt_ms < t)
			at++;
		assert_int_equal(at < n_deleted && d[at].mint_ms <= t,
		    gone[t]);
	}
	for (uint32_t i = 1; i < n_deleted; i++)
		assert_true(d[i - 1].maxt_ms + 1 < d[i].mint_ms);
}

static void
test_replay_delete(void **state)
{
	struct head *h = small_head(8 << 20);
	struct label l = { STR_LIT("__name__"), STR_LIT("up") };
	struct err err = ERR_INIT;
	struct rnd r = { rnd_seed() };
	const struct head_interval *d;
	struct head_series_view s;
	struct head_reader hr;
	bool gone[200] = { false };
	uint32_t slot, n;

	(void)state;
	assert_int_equal(head_replay_series(h, 1, labels_of(&l, 1), &slot,
	    &err), 0);
	assert_int_equal(head_reader_open(&hr, head_reader_fd(h), -1, &err),
	    0);
	check_deleted(&hr, slot, gone, 200);
	for (int i = 0; i < 60; i++) {
		int64_t from = rnd(&r, 200), to = from + (int64_t)rnd(&r, 6) - 1;

		assert_int_equal(head_replay_delete(h, slot, from, to, &err),
		    0);
		for (int64_t t = from; t <= to && t < 200; t++)
			gone[t] = true;
		check_deleted(&hr, slot, gone, 200);
	}
	/* A slot that is not there, then all time, twice. */
	assert_int_equal(head_replay_delete(h, slot + 1, 1, 2, &err), 0);
	assert_int_equal(head_replay_delete(h, slot, INT64_MIN, INT64_MAX,
	    &err), 0);
	assert_int_equal(head_replay_delete(h, slot, INT64_MAX, INT64_MAX,
	    &err), 0);
	assert_int_equal(head_reader_series(&hr, slot, &s, &err), 1);
	assert_int_equal(head_reader_deleted(&hr, &s, &d, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_true(d->mint_ms == INT64_MIN && d->maxt_ms == INT64_MAX);
	/* A reader believes nothing. */
	s.deleted = UINT32_MAX;
	assert_int_equal(head_reader_deleted(&hr, &s, &d, &n, &err), -1);
	assert_non_null(strstr(err.text, "corrupt head: deleted ranges"));
	head_reader_close(&hr);
	head_free(h);
}

/* What an epoch can see is not reused; afterwards it is. */
static void
test_epochs(void **state)
{
	struct head *h = small_head(8 << 20);
	struct err err = ERR_INIT;
	int page = head_reader_page_new(&err);
	struct head_reader_slot *rs;
	struct head_reader r;
	uint32_t up = one_series(h, "up"), id;
	uint64_t used, before, ceiling;
	struct arena a;
	struct postings all;
	struct head_capture *cap;
	struct read_back b = { 0 };

	(void)state;
	assert_int_equal(head_reader_open(&r, head_reader_fd(h), page, &err),
	    0);
	rs = head_reader_add(h, page, 3, &err);
	assert_non_null(rs);
	for (int i = 0; i < 50; i++)
		append(h, up, 1000 * i, i * 1.1, 0);
	arena_init(&a, 0);
	head_reader_begin(&r);
	assert_int_equal(head_match(&r, &a, NULL, 0, &all, &err), 0);
	assert_int_equal(head_reader_capture(&r, &a, all, &cap, &err), 0);
	for (int i = 50; i < 119; i++)
		append(h, up, 1000 * i, i * 1.1, 0);
	head_reclaim(h, 1000);
	head_memory(h, &before, &ceiling);
	assert_false(head_reader_overdue(h, 500, 1000, &id));
	assert_true(head_reader_overdue(h, 3000, 1000, &id));
	assert_int_equal(id, 3);
	assert_false(head_reader_overdue(h, 3000, 1000, &id));
	/* Churn that would reuse what was freed. */
	for (int i = 0; i < 50; i++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "s%d", i);
		append(h, one_series(h, text), 100000, i, 0);
	}
	assert_int_equal(read_series(&r, &cap[0], NULL, &b, &err), 0);
	assert_int_equal(b.n, 50);
	for (int i = 0; i < 50; i++)
		assert_true(b.v[i] == i * 1.1);
	head_memory(h, &before, &ceiling);
	head_reader_end(&r);
	head_reclaim(h, 2000);
	head_memory(h, &used, &ceiling);
	assert_true(used < before);
	/* One that is always seen at work, though nothing is retired. */
	for (int64_t now = 3000; now < 9000; now += 250) {
		head_reader_begin(&r);
		head_epoch_step(h);
		head_reclaim(h, now);
		assert_false(head_reader_overdue(h, now, 1000, &id));
		head_reader_end(&r);
	}
	read_back_clear(&b);
	arena_clear(&a);
	head_reader_del(h, rs);
	head_reader_close(&r);
	(void)close(page);
	head_free(h);
}

/*
 * Cuts at two hours, at a predicted end, at twice the samples and at the
 * byte limit, as the reference does.
 */
static void
test_cut_rule(void **state)
{
	static const struct { int64_t step; int noise; uint32_t first, n; }
	c[] = {
		{ 15000, 0, 120, 4 },	/* 480 in two hours: four of 120 */
		{ 60000, 0, 120, 1 },	/* 120 in two hours: one */
		{ 15000, 1, 120, 4 },	/* big samples, below the limit */
	};
	struct head_reader r;
	struct head_series_view s;
	struct head_capture cap;
	struct head_chunk_view v;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct head *h = small_head(8 << 20);
		uint32_t up = one_series(h, "up");
		const struct head_chunks *l;

		for (int64_t t = 0; t < 7200000; t += c[i].step)
			append(h, up, 7200000 * 100 + t,
			    c[i].noise ? (double)(t % 977) / 3 : 1, 0);
		assert_int_equal(head_reader_open(&r, head_reader_fd(h), -1,
		    &err), 0);
		assert_int_equal(head_reader_series(&r, up, &s, &err), 1);
		l = (const void *)(r.base + (uint64_t)s.chunks * HEAD_UNIT);
		if (!c[i].noise)
			assert_int_equal(l->n, c[i].n);
		head_reader_begin(&r);
		cap = (struct head_capture){ l->chunk[l->n - 1].word,
		    s.chunks, l->n };
		assert_int_equal(head_reader_chunk(&r, &cap, 0, &v, &err), 0);
		if (!c[i].noise)
			assert_int_equal(v.n_samples, c[i].first);
		else
			assert_true(v.n_samples <= c[i].first);
		head_reader_close(&r);
		head_free(h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_resend),
		cmocka_unit_test(test_log_failure),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_replay_delete),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_cut_rule),
		cmocka_unit_test(test_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
