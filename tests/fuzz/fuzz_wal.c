/* SPDX-License-Identifier: ISC */

/*
 * WAL segments and records. As a segment: arbitrary bytes are read to their
 * end, faults move forward, and every record is decoded. As records: cut
 * into pieces, framed with a codec and page position of the input's choice
 * and read again, they are the same.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/tsdb/record.h"
#include "common/tsdb/wal_format.h"
#include "common/tsdb/wal_framer.h"
#include "common/tsdb/wal_reader.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Samples that were read are written and read to the same. */
static void
samples_again(const struct record_sample *s, size_t n)
{
	struct record_sample again[64];
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	record_put_samples(&b, s, n);
	record_reader_init(&r);
	record_open(&r, b.p, b.n);
	if (record_next_samples(&r, again, 64, &err) != (int)n ||
	    memcmp(again, s, n * sizeof(*s)) != 0)
		abort();
	record_reader_clear(&r);
	buf_clear(&b);
}

static int
next_entry(struct record_reader *r, struct err *err)
{
	struct record_sample samples[64];
	struct record_histogram h;
	struct record_series s;
	struct record_tombstone t;
	struct record_exemplar e;
	struct record_mmap_marker m;
	struct record_metadata md;
	int n;

	switch (r->type) {
	case RECORD_SERIES:
		return record_next_series(r, &s, err);
	case RECORD_SAMPLES:
	case RECORD_SAMPLES_V2:
		n = record_next_samples(r, samples, 64, err);
		if (n > 0)
			samples_again(samples, (size_t)n);
		return n;
	case RECORD_TOMBSTONES:
		return record_next_tombstone(r, &t, err);
	case RECORD_EXEMPLARS:
		return record_next_exemplar(r, &e, err);
	case RECORD_MMAP_MARKERS:
		return record_next_mmap_marker(r, &m, err);
	case RECORD_METADATA:
		return record_next_metadata(r, &md, err);
	case RECORD_MIN_VALID_TIME:
	case RECORD_UNKNOWN:
		return 0;
	default:
		return record_next_histogram(r, &h, err);
	}
}

static void
decode(struct record_reader *r, const void *data, size_t n)
{
	struct err err = ERR_INIT;

	record_open(r, data, n);
	while (next_entry(r, &err) > 0)
		;
}

static void
as_segment(const uint8_t *data, size_t n)
{
	struct record_reader records;
	struct wal_reader r;
	struct err err = ERR_INIT;
	struct str rec;
	size_t last = 0;
	int rc;

	record_reader_init(&records);
	wal_reader_init(&r);
	wal_reader_open(&r, data, n);
	while ((rc = wal_reader_next(&r, &rec, &err)) != 0) {
		if (rc == 1) {
			if (r.off <= last)
				abort();
			last = r.off;
			decode(&records, rec.p, rec.n);
		} else if (!wal_reader_resync(&r))
			break;
	}
	wal_reader_clear(&r);
	record_reader_clear(&records);
}

/* The next record of the input: two bytes of length, repeated data. */
static int
next_piece(const uint8_t **data, size_t *n, struct buf *out)
{
	size_t len, repeat;

	if (*n < 3)
		return 0;
	len = (*data)[0];
	repeat = (size_t)(*data)[1] * (*data)[2] % 2000;
	*data += 3;
	*n -= 3;
	if (len > *n)
		len = *n;
	buf_reset(out);
	for (size_t i = 0; i <= repeat; i++)
		buf_add(out, *data, len);
	*data += len;
	*n -= len;
	return 1;
}

static void
as_records(const uint8_t *data, size_t n)
{
	static const enum compress_codec codecs[] = { COMPRESS_NONE,
	    COMPRESS_SNAPPY, COMPRESS_ZSTD, COMPRESS_LZ4 };
	const uint8_t *p = data + 1;
	size_t left = n - 1;
	struct wal_framer f;
	struct wal_reader r;
	struct buf piece;
	struct err err = ERR_INIT;
	struct str rec;

	buf_init(&piece, 0);
	wal_reader_init(&r);
	wal_framer_init(&f, codecs[data[0] & 3], 4 * WAL_PAGE_BYTES);
	wal_framer_begin(&f, 0);
	while (next_piece(&p, &left, &piece))
		if (wal_framer_add(&f, buf_str(&piece), &err) == -1)
			abort();
	p = data + 1;
	left = n - 1;
	for (size_t i = 0; i < f.n_runs; i++) {
		struct str run = wal_framer_run(&f, i);

		wal_reader_open(&r, (const uint8_t *)run.p, run.n);
		while (wal_reader_next(&r, &rec, &err) == 1)
			if (!next_piece(&p, &left, &piece) ||
			    !str_eq(rec, buf_str(&piece)))
				abort();
		if (err.kind != ERR_NONE)
			abort();
	}
	if (next_piece(&p, &left, &piece))
		abort();
	wal_framer_clear(&f);
	wal_reader_clear(&r);
	buf_clear(&piece);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct record_reader r;

	if (n == 0)
		return 0;
	if (data[0] & 0x80)
		as_records(data, n);
	else if (data[0] & 0x40) {
		record_reader_init(&r);
		decode(&r, data + 1, n - 1);
		record_reader_clear(&r);
	} else
		as_segment(data + 1, n - 1);
	return 0;
}
