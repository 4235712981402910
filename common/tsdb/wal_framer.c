/* SPDX-License-Identifier: ISC */

/* Framing of WAL records; the format is drawn in wal_format.h. */

#include "common/tsdb/wal_framer.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/vec.h"
#include "common/tsdb/wal_format.h"

void
wal_framer_init(struct wal_framer *f, enum compress_codec codec,
    size_t segment_bytes)
{
	memset(f, 0, sizeof(*f));
	f->codec = codec;
	f->segment_bytes = segment_bytes;
	buf_init(&f->out, 0);
	buf_init(&f->packed, 0);
}

void
wal_framer_clear(struct wal_framer *f)
{
	buf_clear(&f->out);
	buf_clear(&f->packed);
	free(f->run);
	f->run = NULL;
	f->n_runs = f->runs_cap = 0;
}

void
wal_framer_begin(struct wal_framer *f, uint64_t pos)
{
	buf_reset(&f->out);
	f->n_runs = 0;
	f->pos = pos;
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

static int
start_run(struct wal_framer *f, struct err *err)
{
	if (vec_grow(&f->run, &f->runs_cap, f->n_runs + 1,
	    sizeof(*f->run)) == -1)
		return no_memory(err);
	f->run[f->n_runs++] = f->out.n;
	return 0;
}

static size_t
page_left(const struct wal_framer *f)
{
	return WAL_PAGE_BYTES - (size_t)(f->pos % WAL_PAGE_BYTES);
}

static int
add_zeros(struct wal_framer *f, size_t n, struct err *err)
{
	char *p = buf_reserve(&f->out, n);

	if (p == NULL)
		return no_memory(err);
	memset(p, 0, n);
	f->out.n += n;
	f->pos += n;
	return 0;
}

int
wal_framer_pad(struct wal_framer *f, struct err *err)
{
	if (f->n_runs == 0 && start_run(f, err) == -1)
		return -1;
	if (f->pos % WAL_PAGE_BYTES == 0)
		return 0;
	return add_zeros(f, page_left(f), err);
}

/* The stored form of a record: compressed when that is smaller. */
static int
pack(struct wal_framer *f, struct str rec, struct str *out, uint8_t *flag,
    struct err *err)
{
	*out = rec;
	*flag = 0;
	if (f->codec == COMPRESS_NONE || rec.n == 0)
		return 0;
	buf_reset(&f->packed);
	if (f->codec == COMPRESS_LZ4)
		buf_add_byte(&f->packed, WAL_LZ4_MARK);
	if (compress_add(f->codec, rec, &f->packed, err) == -1)
		return -1;
	if (f->packed.n >= rec.n)
		return 0;
	f->saved_bytes += rec.n - f->packed.n;
	*out = buf_str(&f->packed);
	*flag = f->codec == COMPRESS_SNAPPY ? WAL_FLAG_SNAPPY :
	    f->codec == COMPRESS_ZSTD ? WAL_FLAG_ZSTD : WAL_FLAG_LZ4;
	return 0;
}

/*
 * Room for stored bytes in the segment, without the fragment headers; as the
 * reference counts it, negative in a segment that is too large already.
 */
static int64_t
segment_left(const struct wal_framer *f)
{
	int64_t pages = (int64_t)(f->segment_bytes / WAL_PAGE_BYTES);
	int64_t done = (int64_t)(f->pos / WAL_PAGE_BYTES);

	return (int64_t)page_left(f) - WAL_FRAGMENT_HEADER_BYTES +
	    (pages - done - 1) * WAL_FRAGMENT_BYTES_MAX;
}

static enum wal_fragment
fragment_type(bool first, bool last)
{
	if (first)
		return last ? WAL_FULL : WAL_FIRST;
	return last ? WAL_LAST : WAL_MIDDLE;
}

static int
add_fragment(struct wal_framer *f, uint8_t head, struct str part,
    struct err *err)
{
	uint8_t *p = (uint8_t *)buf_reserve(&f->out,
	    WAL_FRAGMENT_HEADER_BYTES + part.n);

	if (p == NULL)
		return no_memory(err);
	p[0] = head;
	store_be16(p + 1, (uint16_t)part.n);
	store_be32(p + 3, hash_crc32c(0, part.p, part.n));
	if (part.n > 0)
		memcpy(p + WAL_FRAGMENT_HEADER_BYTES, part.p, part.n);
	f->out.n += WAL_FRAGMENT_HEADER_BYTES + part.n;
	f->pos += WAL_FRAGMENT_HEADER_BYTES + part.n;
	f->n_parts++;
	f->part_bytes += WAL_FRAGMENT_HEADER_BYTES + part.n;
	/* Too little for another one: the page ends here. */
	if (page_left(f) < WAL_FRAGMENT_HEADER_BYTES)
		return add_zeros(f, page_left(f), err);
	return 0;
}

int
wal_framer_add(struct wal_framer *f, struct str rec, struct err *err)
{
	struct str stored, part;
	bool first = true;
	uint8_t flag;

	if (f->n_runs == 0 && start_run(f, err) == -1)
		return -1;
	if (pack(f, rec, &stored, &flag, err) == -1)
		return -1;
	if (page_left(f) < WAL_FRAGMENT_HEADER_BYTES &&
	    add_zeros(f, page_left(f), err) == -1)
		return -1;
	if ((int64_t)stored.n > segment_left(f) && f->pos > 0) {
		if (wal_framer_pad(f, err) == -1 || start_run(f, err) == -1)
			return -1;
		f->pos = 0;
	}
	do {
		size_t n = page_left(f) - WAL_FRAGMENT_HEADER_BYTES;

		part = str_from(stored.p, stored.n < n ? stored.n : n);
		stored.p += part.n;
		stored.n -= part.n;
		if (add_fragment(f, (uint8_t)fragment_type(first,
		    stored.n == 0) | flag, part, err) == -1)
			return -1;
		first = false;
	} while (stored.n > 0);
	return 0;
}

struct str
wal_framer_run(const struct wal_framer *f, size_t i)
{
	size_t end = i + 1 < f->n_runs ? f->run[i + 1] : f->out.n;

	return str_from(f->out.p + f->run[i], end - f->run[i]);
}
