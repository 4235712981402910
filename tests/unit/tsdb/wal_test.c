/* SPDX-License-Identifier: ISC */

/*
 * WAL segments: what the framer writes the reader reads, the bytes are the
 * format's, and every truncation and bit flip is noticed or harmless.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/tsdb/wal_format.h"
#include "common/tsdb/wal_framer.h"
#include "common/tsdb/wal_reader.h"

#define RECORDS_MAX	400

struct rng { uint64_t s; };

static uint64_t
rnd(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

struct records {
	struct str	r[RECORDS_MAX];
	size_t		n;
};

/* Compressible and not, short and long. */
static struct str
gen_record(struct rng *g, size_t max)
{
	size_t n = rnd(g) % (rnd(g) % 8 == 0 ? max : 200);
	char *p = malloc(n + 1);
	bool random = rnd(g) & 1;

	for (size_t i = 0; i < n; i++)
		p[i] = random ? (char)rnd(g) : (char)(i / 50 + 1);
	return str_from(p, n);
}

static struct str
gen_filled(struct rng *g, size_t max)
{
	struct str s = gen_record(g, max);

	while (s.n == 0) {
		free((void *)(uintptr_t)s.p);
		s = gen_record(g, max);
	}
	return s;
}

static void
free_records(struct records *rs)
{
	for (size_t i = 0; i < rs->n; i++)
		free((void *)(uintptr_t)rs->r[i].p);
}

static const enum compress_codec codecs[] = { COMPRESS_NONE, COMPRESS_SNAPPY,
    COMPRESS_ZSTD, COMPRESS_LZ4 };

/* Frames rs in batches into segments[], which the caller frees. */
static size_t
frame(struct rng *g, const struct records *rs, enum compress_codec codec,
    size_t segment_bytes, struct buf *segments, size_t max)
{
	struct wal_framer f;
	struct err err = ERR_INIT;
	size_t n = 0;

	wal_framer_init(&f, codec, segment_bytes);
	buf_init(&segments[0], 0);
	for (size_t i = 0; i < rs->n;) {
		size_t batch = 1 + rnd(g) % 7;

		wal_framer_begin(&f, segments[n].n);
		for (; batch > 0 && i < rs->n; batch--, i++)
			assert_int_equal(wal_framer_add(&f, rs->r[i], &err), 0);
		for (size_t k = 0; k < f.n_runs; k++) {
			if (k > 0) {
				assert_int_equal(segments[n].n % WAL_PAGE_BYTES, 0);
				assert_true(++n < max);
				buf_init(&segments[n], 0);
			}
			buf_add_str(&segments[n], wal_framer_run(&f, k));
		}
		assert_int_equal(f.pos, segments[n].n);
	}
	wal_framer_clear(&f);
	return n + 1;
}

static void
test_round_trip(void **state)
{
	struct rng g = { 88172645463325252ULL };
	struct wal_reader r;
	struct err err = ERR_INIT;
	struct str rec;

	(void)state;
	wal_reader_init(&r);
	for (int round = 0; round < 60; round++) {
		struct buf segments[200];
		struct records rs = { .n = rnd(&g) % RECORDS_MAX };
		size_t segment_bytes = (1 + rnd(&g) % 5) * WAL_PAGE_BYTES;
		size_t n, at = 0;

		for (size_t i = 0; i < rs.n; i++)
			rs.r[i] = gen_record(&g, 3 * WAL_PAGE_BYTES);
		n = frame(&g, &rs, codecs[round % 4], segment_bytes, segments,
		    200);
		for (size_t s = 0; s < n; s++) {
			size_t first = at;

			wal_reader_open(&r, (uint8_t *)segments[s].p,
			    segments[s].n);
			while (wal_reader_next(&r, &rec, &err) == 1) {
				assert_true(at < rs.n);
				assert_true(str_eq(rec, rs.r[at]));
				at++;
			}
			assert_int_equal(err.kind, ERR_NONE);
			/* Larger only for one record that is. */
			if (segments[s].n > segment_bytes + WAL_PAGE_BYTES)
				assert_int_equal(at, first + 1);
			buf_clear(&segments[s]);
		}
		assert_int_equal(at, rs.n);
		free_records(&rs);
	}
	wal_reader_clear(&r);
}

static void
test_bytes(void **state)
{
	struct wal_framer f;
	struct err err = ERR_INIT;
	struct str run;
	const uint8_t *p;
	char big[WAL_PAGE_BYTES];

	(void)state;
	memset(big, 7, sizeof(big));
	wal_framer_init(&f, COMPRESS_NONE, 4 * WAL_PAGE_BYTES);
	wal_framer_begin(&f, 0);
	assert_int_equal(wal_framer_add(&f, STR_LIT("abc"), &err), 0);
	assert_int_equal(wal_framer_add(&f, str_from(big, sizeof(big)), &err), 0);
	assert_int_equal(wal_framer_pad(&f, &err), 0);
	assert_int_equal(f.n_runs, 1);
	run = wal_framer_run(&f, 0);
	assert_int_equal(run.n, 2 * WAL_PAGE_BYTES);
	p = (const uint8_t *)run.p;
	assert_memory_equal(p, "\x01\x00\x03", 3);
	assert_int_equal(load_be32(p + 3), hash_crc32c(0, "abc", 3));
	assert_memory_equal(p + 7, "abc\x02", 4);
	assert_int_equal(load_be16(p + 11), WAL_PAGE_BYTES - 17);
	p += WAL_PAGE_BYTES;
	assert_int_equal(p[0], WAL_LAST);
	assert_int_equal(load_be16(p + 1), 17);
	assert_int_equal(p[7 + 17], 0);

	/* A full segment: the next record begins another. */
	wal_framer_begin(&f, 4 * WAL_PAGE_BYTES);
	assert_int_equal(wal_framer_add(&f, STR_LIT("x"), &err), 0);
	assert_int_equal(f.n_runs, 2);
	assert_int_equal(wal_framer_run(&f, 0).n, 0);
	assert_int_equal(wal_framer_run(&f, 1).n, 8);
	wal_framer_clear(&f);
}

static void
test_lz4_is_skipped_by_others(void **state)
{
	char rec[1000] = { 1 };
	struct wal_framer f;
	struct err err = ERR_INIT;
	const uint8_t *p;

	(void)state;
	wal_framer_init(&f, COMPRESS_LZ4, 4 * WAL_PAGE_BYTES);
	wal_framer_begin(&f, 0);
	assert_int_equal(wal_framer_add(&f, str_from(rec, sizeof(rec)), &err), 0);
	p = (const uint8_t *)f.out.p;
	assert_int_equal(p[0], WAL_FULL | WAL_FLAG_LZ4);
	assert_int_equal(p[7], 0xff);
	wal_framer_clear(&f);
}

/*
 * Reads a damaged copy of a segment: what comes must be records of rs, in
 * order (empty ones may come between). Returns the faults.
 */
static int
read_damaged(struct wal_reader *r, const uint8_t *data, size_t len,
    const struct records *rs, size_t *n_read)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct err err = ERR_INIT;
	int rc, faults = 0;
	struct str rec;
	size_t at = 0;

	*n_read = 0;
	memcpy(copy, data, len);
	wal_reader_open(r, copy, len);
	while ((rc = wal_reader_next(r, &rec, &err)) != 0) {
		if (rc == -1) {
			faults++;
			assert_int_equal(err.kind, ERR_BAD_DATA);
			assert_true(r->fault_start < len);
			if (!wal_reader_resync(r))
				break;
			continue;
		}
		if (rec.n == 0)
			continue;
		while (at < rs->n && !str_eq(rs->r[at], rec))
			at++;
		assert_true(at < rs->n);
		at++;
		(*n_read)++;
	}
	free(copy);
	return faults;
}

static void
test_damage(void **state)
{
	struct rng g = { 4101842887655102017ULL };
	struct wal_reader r;

	(void)state;
	wal_reader_init(&r);
	for (int round = 0; round < 8; round++) {
		enum compress_codec codec = codecs[round % 4];
		struct buf seg;
		struct records rs = { .n = 40 };
		size_t n_read, step = 0;

		for (size_t i = 0; i < rs.n; i++)
			rs.r[i] = gen_filled(&g, 9000);
		frame(&g, &rs, codec, 16 * WAL_PAGE_BYTES, &seg, 1);
		for (size_t cut = 0; cut < seg.n; cut += 1 + step++ % 50)
			(void)read_damaged(&r, (uint8_t *)seg.p, cut, &rs,
			    &n_read);
		for (size_t bit = 0; bit < seg.n * 8; bit += 1 + step++ % 99) {
			int faults;

			seg.p[bit / 8] ^= (char)(1 << bit % 8);
			/* The flags are under no checksum. */
			if (codec == COMPRESS_NONE || bit % 8 < 3 ||
			    bit % 8 > 5) {
				faults = read_damaged(&r, (uint8_t *)seg.p,
				    seg.n, &rs, &n_read);
				assert_true(faults > 0 || n_read == rs.n);
				assert_true(n_read + 40 >= rs.n);
			}
			seg.p[bit / 8] ^= (char)(1 << bit % 8);
		}
		buf_clear(&seg);
		free_records(&rs);
	}
	wal_reader_clear(&r);
}

/* One damaged record costs that record, whatever lies around it. */
static void
test_only_the_damaged_is_lost(void **state)
{
	struct rng g = { 2463534242ULL };
	struct wal_reader r;
	size_t off = 0, n_read;

	(void)state;
	wal_reader_init(&r);
	for (int round = 0; round < 40; round++) {
		struct records rs = { .n = 100 };
		struct buf seg;

		for (size_t i = 0; i < rs.n; i++)
			rs.r[i] = gen_filled(&g, 300);
		frame(&g, &rs, COMPRESS_NONE, 16 * WAL_PAGE_BYTES, &seg, 1);
		/* A byte of the 50th record's data. */
		off = 0;
		for (size_t i = 0; i < 50; i++) {
			size_t n = load_be16(seg.p + off + 1);

			off += WAL_FRAGMENT_HEADER_BYTES + n;
			if (off % WAL_PAGE_BYTES > WAL_PAGE_BYTES - 7)
				off += WAL_PAGE_BYTES - off % WAL_PAGE_BYTES;
		}
		seg.p[off + WAL_FRAGMENT_HEADER_BYTES] ^= 1;
		assert_int_equal(read_damaged(&r, (uint8_t *)seg.p, seg.n, &rs,
		    &n_read), 1);
		assert_int_equal(n_read, 99);
		buf_clear(&seg);
		free_records(&rs);
	}
	wal_reader_clear(&r);
}

static void
test_faults_are_named(void **state)
{
	static const struct { const char *data; size_t n; const char *text; } c[] = {
		{ "\x02\x00\x00\x00\x00\x00\x00", 7, "last record is torn" },
		{ "\x01\x00\x01", 3, "last record is torn" },
		{ "\x01\x00\x01\x00\x00\x00\x00""a", 8,
		    "unexpected checksum c1d04330, expected 0" },
		{ "\x03\x00\x00\x00\x00\x00\x00", 7,
		    "unexpected middle record, dropping buffer" },
		{ "\x04\x00\x00\x00\x00\x00\x00", 7,
		    "unexpected last record, dropping buffer" },
		{ "\x05\x00\x00\x00\x00\x00\x00", 7,
		    "unexpected record type 5" },
		{ "\x01\xff\xff\x00\x00\x00\x00", 7,
		    "invalid record size 65535" },
		{ "\x00\x01", 2, "unexpected non-zero byte in padded page" },
		{ "\x81\x00\x00\x00\x00\x00\x00", 7,
		    "unknown record flags 0x80" },
	};
	struct wal_reader r;
	struct str rec;

	(void)state;
	wal_reader_init(&r);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct err err = ERR_INIT;

		wal_reader_open(&r, (const uint8_t *)c[i].data, c[i].n);
		assert_int_equal(wal_reader_next(&r, &rec, &err), -1);
		assert_string_equal(err.text, c[i].text);
		assert_int_equal(r.fault_torn, i < 2);
	}
	wal_reader_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_lz4_is_skipped_by_others),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_only_the_damaged_is_lost),
		cmocka_unit_test(test_faults_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
