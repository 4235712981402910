/* SPDX-License-Identifier: ISC */

/*
 * Reader of WAL segments; the format is drawn in wal_format.h. A record in
 * one uncompressed fragment is handed out where it lies; others are put
 * together, and decompressed, in buffers that are kept.
 */

#include "common/tsdb/wal_reader.h"

#include <string.h>

#include "common/base/bytes.h"
#include "common/base/compress.h"
#include "common/base/hash.h"
#include "common/tsdb/wal_format.h"

void
wal_reader_init(struct wal_reader *r)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->parts, WAL_RECORD_BYTES_MAX);
	buf_init(&r->plain, 0);
}

void
wal_reader_clear(struct wal_reader *r)
{
	buf_clear(&r->parts);
	buf_clear(&r->plain);
}

void
wal_reader_open(struct wal_reader *r, const uint8_t *data, size_t len)
{
	r->data = data;
	r->len = len;
	r->off = r->record_start = r->fault_start = r->resume = 0;
	r->fault_torn = r->skipping = false;
}

static size_t
page_end(size_t off)
{
	return off - off % WAL_PAGE_BYTES + WAL_PAGE_BYTES;
}

/* The end of the page that off lies in, or of the data. */
static size_t
page_data_end(const struct wal_reader *r, size_t off)
{
	size_t end = page_end(off);

	return end < r->len ? end : r->len;
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* A fault at the current offset; resume: where reading may go on. */
#define FAULT(r, to, err, ...) ((r)->resume = (to),			\
	    err_set((err), ERR_BAD_DATA, __VA_ARGS__))

static int
torn(struct wal_reader *r, struct err *err)
{
	r->fault_torn = true;
	return FAULT(r, r->len, err, "last record is torn");
}

/* Is there a whole, undamaged fragment, or the end of the page, at off? */
static bool
is_sound(const struct wal_reader *r, size_t off)
{
	size_t end = page_data_end(r, off), n;
	const uint8_t *p = r->data + off;

	if (off >= end)
		return true;
	if (*p == 0)
		return all_zero(p, end - off);
	if (end - off < WAL_FRAGMENT_HEADER_BYTES)
		return false;
	n = load_be16(p + 1);
	return n > 0 && n <= end - off - WAL_FRAGMENT_HEADER_BYTES &&
	    hash_crc32c(0, p + WAL_FRAGMENT_HEADER_BYTES, n) ==
	    load_be32(p + 3);
}

/* Behind a damaged fragment at off that says it is n bytes long. */
static size_t
behind_damage(const struct wal_reader *r, size_t off, size_t n)
{
	size_t end = page_data_end(r, off);
	size_t next = off + WAL_FRAGMENT_HEADER_BYTES + n;

	return next <= end && is_sound(r, next) ? next : end;
}

/*
 * May a fragment of this type, at `at` and ending before `next`, follow? A
 * good beginning in the wrong place is read again after the fault.
 */
static int
check_order(struct wal_reader *r, unsigned type, bool in_record, size_t at,
    size_t next, struct err *err)
{
	switch (type) {
	case WAL_FULL:
		if (in_record)
			return FAULT(r, at, err, "unexpected full record");
		return 0;
	case WAL_FIRST:
		if (in_record)
			return FAULT(r, at, err,
			    "unexpected first record, dropping buffer");
		return 0;
	case WAL_MIDDLE:
		if (!in_record)
			return FAULT(r, next, err,
			    "unexpected middle record, dropping buffer");
		return 0;
	case WAL_LAST:
		if (!in_record)
			return FAULT(r, next, err,
			    "unexpected last record, dropping buffer");
		return 0;
	default:
		return FAULT(r, next, err, "unexpected record type %u", type);
	}
}

/*
 * The fragment at r->off, checked, which becomes *out; r->off moves behind
 * it. 0 also for the end of a page: then out->p is NULL.
 */
static int
next_fragment(struct wal_reader *r, struct str *out, uint8_t *head,
    struct err *err)
{
	const uint8_t *p = r->data + r->off;
	size_t end = page_data_end(r, r->off), left = end - r->off, n;
	uint32_t crc, want;

	*out = (struct str){ NULL, 0 };
	*head = *p;
	if ((*head & WAL_FRAGMENT_MASK) == WAL_PAGE_END) {
		if (!all_zero(p, left))
			return FAULT(r, end, err,
			    "unexpected non-zero byte in padded page");
		r->off = end;
		return 0;
	}
	if (left < WAL_FRAGMENT_HEADER_BYTES) {
		if (end != page_end(r->off))
			return torn(r, err);
		return FAULT(r, end, err, "unexpected non-zero byte in padded page");
	}
	n = load_be16(p + 1);
	if (n > page_end(r->off) - r->off - WAL_FRAGMENT_HEADER_BYTES)
		return FAULT(r, end, err, "invalid record size %zu", n);
	if (n > left - WAL_FRAGMENT_HEADER_BYTES)
		return torn(r, err);
	want = load_be32(p + 3);
	crc = hash_crc32c(0, p + WAL_FRAGMENT_HEADER_BYTES, n);
	if (crc != want)
		return FAULT(r, behind_damage(r, r->off, n), err,
		    "unexpected checksum %x, expected %x", crc, want);
	*out = str_from((const char *)p + WAL_FRAGMENT_HEADER_BYTES, n);
	r->off += WAL_FRAGMENT_HEADER_BYTES + n;
	return 0;
}

static int
decompress(struct wal_reader *r, unsigned flags, struct str in,
    struct str *out, struct err *err)
{
	switch (flags) {
	case 0:
		r->codec = COMPRESS_NONE;
		*out = in;
		return 0;
	case WAL_FLAG_SNAPPY:
		r->codec = COMPRESS_SNAPPY;
		break;
	case WAL_FLAG_ZSTD:
		r->codec = COMPRESS_ZSTD;
		break;
	case WAL_FLAG_LZ4:
		r->codec = COMPRESS_LZ4;
		if (in.n == 0 || (uint8_t)in.p[0] != WAL_LZ4_MARK)
			return FAULT(r, r->off, err, "lz4: corrupt input");
		in.p++;
		in.n--;
		break;
	default:
		return FAULT(r, r->off, err, "unknown record flags %#x", flags);
	}
	buf_reset(&r->plain);
	if (decompress_add(r->codec, in, WAL_RECORD_BYTES_MAX, &r->plain,
	    err) == -1) {
		r->resume = r->off;
		if (err->kind == ERR_LIMIT)
			err->kind = ERR_BAD_DATA;
		return -1;
	}
	*out = buf_str(&r->plain);
	return 0;
}

static int
read_record(struct wal_reader *r, struct str *rec, struct err *err)
{
	bool in_record = false;
	unsigned flags = 0, type;
	struct str part;
	uint8_t head;

	buf_reset(&r->parts);
	while (r->off < r->len) {
		size_t at = r->off;

		r->fault_start = in_record ? r->record_start : at;
		if (next_fragment(r, &part, &head, err) == -1)
			return -1;
		if (part.p == NULL)
			continue;
		type = head & WAL_FRAGMENT_MASK;
		if (r->skipping && (type == WAL_MIDDLE || type == WAL_LAST))
			continue;
		r->skipping = false;
		if (!in_record)
			r->record_start = at;
		if (check_order(r, type, in_record, at, r->off, err) == -1)
			return -1;
		if (in_record && (head & WAL_FLAG_MASK) != flags)
			return FAULT(r, r->off, err,
			    "record flags differ between fragments");
		flags = head & WAL_FLAG_MASK;
		if (type == WAL_FULL)
			return decompress(r, flags, part, rec, err) == -1 ? -1 : 1;
		buf_add_str(&r->parts, part);
		if (buf_failed(&r->parts))
			return FAULT(r, r->off, err, "record too large");
		if (type == WAL_LAST)
			return decompress(r, flags, buf_str(&r->parts), rec,
			    err) == -1 ? -1 : 1;
		in_record = true;
	}
	r->fault_start = r->record_start;
	return in_record ? torn(r, err) : 0;
}

int
wal_reader_next(struct wal_reader *r, struct str *rec_out, struct err *err)
{
	r->fault_torn = false;
	return read_record(r, rec_out, err);
}

bool
wal_reader_resync(struct wal_reader *r)
{
	r->off = r->resume;
	r->skipping = true;
	return r->off < r->len;
}
