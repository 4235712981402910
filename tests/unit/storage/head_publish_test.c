/* SPDX-License-Identifier: ISC */

/*
 * Another process reads while this one writes, in a small arena whose
 * blocks are reused all the time: every picture must be a whole commit, with
 * the right values. And: random damage of an arena never crashes a reader.
 */

#include "tests/unit/storage/head_twin.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <unistd.h>

#include "common/labels/matcher.h"

#define N_SERIES	60
#define RUN_NS		1500000000LL
#define T0		1700000000000LL

/* Sample k of series s. */
static double
value_of(uint32_t s, size_t k)
{
	return k % 7 == 0 ? s * 1000.0 : (double)k * 1.37 + s;
}

static uint32_t
make_series(struct head *h, uint32_t i)
{
	char text[16];
	struct label l[2] = { { STR_LIT("__name__"), STR_LIT("m") },
	    { STR_LIT("i"), { text, 0 } } };
	struct err err = ERR_INIT;
	bool created;

	l[1].value.n = (size_t)snprintf(text, sizeof(text), "%u", i);
	return head_series(h, labels_of(l, 2), &created, &err);
}

/* Every so many batches one more series comes, with one sample for good. */
#define COMES_EVERY	16

static uint32_t
make_newcomer(struct head *h, size_t k)
{
	char text[16];
	struct label l[2] = { { STR_LIT("__name__"), STR_LIT("new") },
	    { STR_LIT("k"), { text, 0 } } };
	struct err err = ERR_INIT;
	bool created;

	l[1].value.n = (size_t)snprintf(text, sizeof(text), "%zu", k);
	return head_series(h, labels_of(l, 2), &created, &err);
}

static bool
is_newcomer(const struct head_reader *r, uint32_t slot)
{
	struct head_series_view s;
	struct err err = ERR_INIT;

	return head_reader_series(r, slot, &s, &err) == 1 &&
	    str_eq_c(head_symbol_text(r, s.label[0].value), "new");
}

/*
 * One look: all series have the same number of samples, and the right ones,
 * and exactly the newcomers of those batches are there. The count, or -1.
 */
static int64_t
look(struct head_reader *r, struct read_back *b)
{
	struct arena a;
	struct postings all;
	struct head_capture *cap;
	struct err err = ERR_INIT;
	int64_t n = -2, newcomers = 0;

	arena_init(&a, 0);
	head_reader_begin(r);
	if (head_reader_select(r, &a, NULL, 0, &all, &cap, &err) == -1)
		goto fail;
	for (size_t i = 0; i < all.n; i++) {
		b->n = 0;
		if (read_series(r, &cap[i], NULL, b, &err) == -1)
			goto fail;
		if (is_newcomer(r, all.id[i])) {
			newcomers += b->n > 0;
			continue;
		}
		if (n == -2)
			n = (int64_t)b->n;
		if (n != (int64_t)b->n) {
			(void)err_set(&err, ERR_INTERNAL,
			    "series %zu has %zu samples, others %lld", i,
			    b->n, (long long)n);
			goto fail;
		}
		for (size_t k = 0; k < b->n; k++) {
			if (b->t[k] != T0 + (int64_t)k * 1000 ||
			    b->v[k] != value_of((uint32_t)i, k)) {
				(void)err_set(&err, ERR_INTERNAL,
				    "series %zu sample %zu is wrong", i, k);
				goto fail;
			}
		}
	}
	if (newcomers != (n + COMES_EVERY - 1) / COMES_EVERY && n > 0) {
		(void)err_set(&err, ERR_INTERNAL, "%lld newcomers after %lld "
		    "batches", (long long)newcomers, (long long)n);
		goto fail;
	}
	head_reader_end(r);
	arena_clear(&a);
	return n == -2 ? 0 : n;
fail:
	(void)fprintf(stderr, "reader: %s\n", err.text);
	head_reader_end(r);
	arena_clear(&a);
	return -1;
}

static int
reader_process(int arena_fd, int page_fd, int stop_fd)
{
	struct head_reader r;
	struct read_back b = { 0 };
	struct err err = ERR_INIT;
	int64_t last = 0, looks = 0, steps = 0;
	char c;

	if (head_reader_open(&r, arena_fd, page_fd, &err) == -1)
		return 2;
	while (read(stop_fd, &c, 1) == -1) {
		int64_t n = look(&r, &b);

		if (n < last)	/* time does not go back either */
			return 1;
		steps += n > last;
		last = n;
		looks++;
	}
	(void)fprintf(stderr, "reader: %lld looks, %lld commits seen\n",
	    (long long)looks, (long long)steps);
	return looks > 10 && steps > 5 ? 0 : 3;
}

static void
test_publish(void **state)
{
	struct head_options o = { .ceiling_bytes = 32 << 20 };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);
	struct head_sample s[N_SERIES + 1];
	struct head_result res;
	uint32_t n;
	int page[2], stop[2], status;
	pid_t pid[2];
	int64_t end;
	size_t k = 0;

	(void)state;
	assert_non_null(h);
	assert_int_equal(pipe2(stop, 04000 /* O_NONBLOCK */), 0);
	for (int i = 0; i < 2; i++) {
		page[i] = head_reader_page_new(&err);
		assert_int_not_equal(page[i], -1);
		assert_non_null(head_reader_add(h, page[i], (uint32_t)i,
		    &err));
		pid[i] = fork();
		assert_int_not_equal(pid[i], -1);
		if (pid[i] == 0) {
			(void)close(stop[1]);
			_exit(reader_process(head_reader_fd(h), page[i],
			    stop[0]));
		}
	}
	for (uint32_t i = 0; i < N_SERIES; i++)
		s[i] = (struct head_sample){ .slot = make_series(h, i) };
	for (end = mono_now().ns + RUN_NS; mono_now().ns < end &&
	    k < 20000; k++) {
		for (uint32_t i = 0; i < N_SERIES; i++) {
			s[i].t_ms = T0 + (int64_t)k * 1000;
			s[i].v = value_of(i, k);
		}
		n = N_SERIES;
		if (k % COMES_EVERY == 0)
			s[n++] = (struct head_sample){
			    .slot = make_newcomer(h, k),
			    .t_ms = T0 + (int64_t)k * 1000, .v = 1 };
		assert_int_equal(head_append(h, s, n, 0, &res, &err), 0);
		assert_int_equal(res.stored, n);
		head_reclaim(h, mono_now().ns);
		/* A commit must not be faster than a look, all in all. */
		if (k % 4 == 0)
			(void)usleep(200 + (useconds_t)(k / 4));
	}
	(void)close(stop[1]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
		(void)close(page[i]);
	}
	(void)close(stop[0]);
	head_free(h);
}

/* --- damage --- */

static void
use_everything(const void *base, uint64_t size)
{
	static const char *const values[] = { "m", "7", "1.*", ".+", "" };
	struct head_reader r;
	struct head_figures f;
	struct read_back b = { 0 };
	struct err err = ERR_INIT;
	struct matcher m[2];
	const struct matcher *p[2] = { &m[0], &m[1] };

	if (head_reader_init(&r, base, size, NULL, &err) == -1)
		return;
	head_reader_figures(&r, &f);
	for (int i = 0; i < 20; i++) {
		struct arena a;
		struct postings slots;
		struct head_capture *cap;

		assert_int_equal(matcher_init(&m[0], (enum matcher_type)
		    (i % 4), str_c(i % 2 ? "i" : "__name__"),
		    str_c(values[i / 4]), &err), 0);
		assert_int_equal(matcher_init(&m[1], MATCH_EQUAL,
		    str_c("__name__"), str_c("m"), &err), 0);
		arena_init(&a, 8 << 20);
		head_reader_begin(&r);
		if (head_match(&r, &a, p, (size_t)(1 + i % 2), &slots,
		    &err) == 0 &&
		    head_reader_capture(&r, &a, slots, &cap, &err) == 0) {
			for (size_t k = 0; k < slots.n && k < 200; k++) {
				b.n = 0;
				(void)read_series(&r, &cap[k], NULL, &b,
				    &err);
			}
		}
		head_reader_end(&r);
		arena_clear(&a);
		matcher_clear(&m[0]);
		matcher_clear(&m[1]);
	}
	read_back_clear(&b);
}

static void
test_damage(void **state)
{
	struct head_options o = { .ceiling_bytes = 4 << 20 };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);
	struct rnd r = { rnd_seed() };
	struct head_sample s[N_SERIES];
	struct head_result res;
	struct head_reader reader;
	uint64_t size, used;
	uint8_t *copy;

	(void)state;
	assert_non_null(h);
	for (uint32_t i = 0; i < N_SERIES; i++)
		s[i] = (struct head_sample){ .slot = make_series(h, i) };
	for (size_t k = 0; k < 300; k++) {
		for (uint32_t i = 0; i < N_SERIES; i++) {
			s[i].t_ms = T0 + (int64_t)k * 1000;
			s[i].v = value_of(i, k);
		}
		assert_int_equal(head_append(h, s, N_SERIES, 0, &res, &err),
		    0);
	}
	assert_int_equal(head_reader_open(&reader, head_reader_fd(h), -1,
	    &err), 0);
	/* The heap copy ends where the arena's used part does. */
	used = (uint64_t)reader.super->top_units * HEAD_UNIT;
	size = used;
	copy = malloc(size);
	assert_non_null(copy);
	for (int i = 0; i < 300; i++) {
		int n = 1 + (int)rnd(&r, i % 3 == 0 ? 2000 : 20);

		memcpy(copy, reader.base, size);
		((struct head_super *)copy)->size_bytes = size;
		for (int k = 0; k < n; k++) {
			uint64_t at = rnd(&r, 4) == 0 ?
			    64 + rnd(&r, 2200) :
			    sizeof(struct head_super) + rnd(&r, (uint32_t)
			    (size - sizeof(struct head_super)));

			if (rnd(&r, 2) == 0)
				copy[at] ^= (uint8_t)(1u << rnd(&r, 8));
			else
				copy[at] = (uint8_t)rnd(&r, 256);
		}
		use_everything(copy, size);
	}
	free(copy);
	head_reader_close(&reader);
	head_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
