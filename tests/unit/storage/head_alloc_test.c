/* SPDX-License-Identifier: ISC */

/*
 * The arena's allocator under random use: blocks do not overlap, keep what
 * is written in them, and what is free can be had again in other sizes.
 */

#include "tests/unit/storage/head_twin.h"

#include <sys/stat.h>

#include "workers/storage/head_priv.h"

#define BLOCKS	3000

struct block {
	head_off	off;
	uint32_t	units, size;
	uint8_t		mark;
};

static void
check_block(struct head *h, const struct block *b)
{
	const uint8_t *p = head_ptr(h, b->off);

	for (size_t i = 0; i < (size_t)b->size * HEAD_UNIT; i++)
		assert_int_equal(p[i], b->mark);
}

static void
test_random(void **state)
{
	struct head_options o = { .ceiling_bytes = 4 << 20 };
	static struct block block[BLOCKS];
	struct rnd r = { rnd_seed() };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);
	size_t n = 0, refused = 0;
	uint64_t room = head_alloc_room(h), used = h->alloc.used_units;

	(void)state;
	memset(block, 0, sizeof(block));
	for (int i = 0; i < 200000; i++) {
		struct block *b = &block[rnd(&r, BLOCKS)];
		uint32_t units = 1 + rnd(&r, rnd(&r, 20) == 0 ? 3000 :
		    rnd(&r, 4) == 0 ? 300 : 20);

		if (i % 1000 == 0)
			head_trim(h);
		if (b->off != 0) {
			if (i % 8 == 0)
				check_block(h, b);
			head_alloc_free(h, b->off, b->units);
			b->off = 0;
			n--;
			continue;
		}
		b->units = units;
		b->size = head_alloc_size(&h->alloc, units);
		assert_true(b->size >= units);
		b->mark = (uint8_t)i;
		b->off = head_alloc(h, units);
		if (b->off == 0) {
			refused++;
			continue;
		}
		n++;
		assert_true((uint64_t)b->off * HEAD_UNIT >=
		    sizeof(struct head_super));
		assert_true(b->off + b->size <= h->alloc.end);
		memset(head_ptr(h, b->off), b->mark,
		    (size_t)b->size * HEAD_UNIT);
	}
	assert_true(n > 0);
	for (size_t i = 0; i < BLOCKS; i++) {
		if (block[i].off == 0)
			continue;
		check_block(h, &block[i]);
		head_alloc_free(h, block[i].off, block[i].units);
	}
	assert_int_equal(h->alloc.used_units, used);
	assert_true(head_alloc_room(h) + 2 * 4096 >= room);
	printf("%zu refused\n", refused);

	/* All of it in the smallest blocks, in zeroed ones. */
	for (n = 0; head_zalloc(h, 4) != 0; n++)
		;
	assert_true(n * 4 + 2 * 4096 >= room);
	head_free(h);
}

/* Growing together: what the smaller size leaves serves the bigger one. */
static void
test_lockstep(void **state)
{
	struct head_options o = { .ceiling_bytes = 16 << 20 };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);
	static const uint32_t sizes[] = { 4, 6, 8, 12, 16, 24, 32, 48, 64 };
	enum { N = 8000 };
	static head_off off[N];
	uint32_t top = h->alloc.top;

	(void)state;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		for (int i = 0; i < N; i++) {
			head_off to = head_alloc(h, sizes[k]);

			assert_int_not_equal(to, 0);
			if (k > 0)
				head_alloc_free(h, off[i], sizes[k - 1]);
			off[i] = to;
		}
	}
	/* 64 units each now; at most a fifth more was ever touched. */
	assert_true(h->alloc.top - top < N * 64 * 6 / 5);
	head_free(h);
}

/* What stays free for a turn takes no memory, and is zero when it is used. */
static void
test_trim(void **state)
{
	struct head_options o = { .ceiling_bytes = 64 << 20 };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);
	enum { N = 80000 };	/* of 448 bytes: 34 MiB */
	static head_off off[N];
	uint64_t full, after, room;
	struct stat st;

	(void)state;
	for (int i = 0; i < N; i++) {
		off[i] = head_alloc(h, 28);
		assert_int_not_equal(off[i], 0);
		memset(head_ptr(h, off[i]), 0xee, 28 * HEAD_UNIT);
	}
	full = head_touched_bytes(h);
	room = head_alloc_room(h);
	for (int i = 0; i < N; i++)
		head_alloc_free(h, off[i], 28);
	head_trim(h);
	assert_int_equal(head_touched_bytes(h), full);
	for (int i = 0; i < 2; i++)
		head_trim(h);
	after = head_touched_bytes(h);
	assert_true(after + (32 << 20) <= full);
	assert_int_equal(fstat(h->fd, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 <= after + (1 << 20));

	for (int i = 0; i < N; i++) {
		const uint8_t *p;

		off[i] = head_zalloc(h, 28);
		assert_int_not_equal(off[i], 0);
		p = head_ptr(h, off[i]);
		for (size_t k = 0; k < 28 * HEAD_UNIT; k++)
			assert_int_equal(p[k], 0);
	}
	assert_int_equal(head_touched_bytes(h), full);
	assert_int_equal(head_alloc_room(h), room);
	head_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_lockstep),
		cmocka_unit_test(test_trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
