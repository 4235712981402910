/* SPDX-License-Identifier: ISC */
/* Little-endian integers and counted bytes: writing, and checked reading. */
#include "common/base/wire.h"

#include "common/base/bytes.h"

void
wire_put_u8(struct buf *b, uint8_t v)
{
	buf_add_byte(b, v);
}

void
wire_put_u32(struct buf *b, uint32_t v)
{
	buf_add(b, &v, sizeof(v));
}

void
wire_put_u64(struct buf *b, uint64_t v)
{
	buf_add(b, &v, sizeof(v));
}

void
wire_put_i64(struct buf *b, int64_t v)
{
	buf_add(b, &v, sizeof(v));
}

void
wire_put_f64(struct buf *b, double v)
{
	buf_add(b, &v, sizeof(v));
}

void
wire_put_bool(struct buf *b, bool v)
{
	buf_add_byte(b, v ? 1 : 0);
}

void
wire_put_str(struct buf *b, struct str s)
{
	if (s.n > UINT32_MAX) {
		b->failed = true;
		return;
	}
	wire_put_u32(b, (uint32_t)s.n);
	buf_add_str(b, s);
}

void
wire_reader_init(struct wire_reader *r, const void *p, size_t n)
{
	*r = (struct wire_reader){ p, (const uint8_t *)p + n, false };
}

static bool
wire_take(struct wire_reader *r, void *to, size_t n)
{
	if (r->failed || (size_t)(r->end - r->p) < n) {
		r->failed = true;
		memset(to, 0, n);
		return false;
	}
	memcpy(to, r->p, n);
	r->p += n;
	return true;
}

uint8_t
wire_get_u8(struct wire_reader *r)
{
	uint8_t v;

	wire_take(r, &v, sizeof(v));
	return v;
}

uint32_t
wire_get_u32(struct wire_reader *r)
{
	uint32_t v;

	wire_take(r, &v, sizeof(v));
	return v;
}

uint64_t
wire_get_u64(struct wire_reader *r)
{
	uint64_t v;

	wire_take(r, &v, sizeof(v));
	return v;
}

int64_t
wire_get_i64(struct wire_reader *r)
{
	return (int64_t)wire_get_u64(r);
}

double
wire_get_f64(struct wire_reader *r)
{
	return double_from_bits(wire_get_u64(r));
}

bool
wire_get_bool(struct wire_reader *r)
{
	uint8_t v = wire_get_u8(r);

	if (v > 1)
		r->failed = true;
	return v == 1;
}

struct str
wire_get_str(struct wire_reader *r)
{
	uint32_t n = wire_get_u32(r);
	struct str s;

	if (r->failed || (size_t)(r->end - r->p) < n) {
		r->failed = true;
		return STR_EMPTY;
	}
	s = str_from((const char *)r->p, n);
	r->p += n;
	return s;
}

uint32_t
wire_get_count(struct wire_reader *r, size_t min_bytes)
{
	uint32_t n = wire_get_u32(r);

	if (r->failed ||
	    (uint64_t)n * min_bytes > (uint64_t)(r->end - r->p)) {
		r->failed = true;
		return 0;
	}
	return n;
}

bool
wire_end(const struct wire_reader *r)
{
	return !r->failed && r->p == r->end;
}
