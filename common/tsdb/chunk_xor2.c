/* SPDX-License-Identifier: ISC */

/*
 * XOR2 chunks. A stale marker never becomes the value that the next one is
 * compared with.
 */

#include "common/tsdb/chunk_xor2.h"

#include "common/base/bytes.h"
#include "common/tsdb/chunk_bits.h"

#define HEADER_BYTES	3

/* The value after a time that is not the expected one. */
static uint64_t
get_value(struct bits *b, struct xorval *x)
{
	if (bits_get(b, 1) == 0)
		return x->v;
	if (bits_get(b, 1) == 0)
		xor_get_window(b, x, false);
	else if (bits_get(b, 1) == 0)
		xor_get_window(b, x, true);
	else
		return STALE_NAN_BITS;
	return x->v;
}

static int64_t
get_dod(struct bits *b, unsigned n)
{
	uint64_t v = bits_get(b, n);

	if (n < 64 && v >= (uint64_t)1 << (n - 1))
		v -= (uint64_t)1 << n;
	return (int64_t)v;
}

static uint64_t
get_joint(struct bits *b, struct xorval *x, uint64_t *delta)
{
	unsigned ones = 0;

	while (ones < 5 && bits_get(b, 1) == 1)
		ones++;
	switch (ones) {
	case 0:
		return x->v;
	case 1:
		xor_get_window(b, x, bits_get(b, 1) == 1);
		return x->v;
	case 2:
		*delta += (uint64_t)get_dod(b, 13);
		return get_value(b, x);
	case 3:
		*delta += (uint64_t)get_dod(b, 20);
		return get_value(b, x);
	case 4:
		*delta += (uint64_t)get_dod(b, 64);
		return get_value(b, x);
	default:
		return STALE_NAN_BITS;
	}
}

int
chunk_xor2_decode(const uint8_t *data, size_t len_bytes, size_t n_samples,
    int64_t *t_ms, int64_t *st_ms, double *v)
{
	struct st_state st = { .st = 0 };
	struct xorval x = { .v = 0 };
	uint64_t t = 0, delta = 0;

	if (len_bytes < HEADER_BYTES)
		return n_samples == 0 ? 0 : -1;
	struct bits b = { data + HEADER_BYTES, (len_bytes - HEADER_BYTES) * 8,
	    0, false };
	st.first_known = data[2] & 0x80;
	st.change_on = data[2] & 0x7f;
	for (size_t i = 0; i < n_samples; i++) {
		uint64_t prev = t, value;

		if (i == 0) {
			t = (uint64_t)bits_varint(&b);
			value = bits_get(&b, 64);
			if (value != STALE_NAN_BITS)
				x.v = value;
		} else {
			if (i == 1) {
				delta = bits_uvarint(&b);
				value = get_value(&b, &x);
			} else
				value = get_joint(&b, &x, &delta);
			t += delta;
		}
		int64_t s = st_get(&b, &st, i, (int64_t)t, (int64_t)prev);
		if (b.failed)
			return -1;
		t_ms[i] = (int64_t)t;
		v[i] = double_from_bits(value);
		if (st_ms != NULL)
			st_ms[i] = s;
	}
	return 0;
}

static void
put_value(struct bitw *w, struct xorval *x, uint64_t v)
{
	uint64_t d = v ^ x->v;

	if (v == STALE_NAN_BITS) {
		put_bits(w, 7, 3);
		return;
	}
	if (d == 0) {
		put_bits(w, 0, 1);
		return;
	}
	bool fresh = xor_window(x, d);
	put_bits(w, fresh ? 6 : 2, fresh ? 3 : 2);
	put_xor_window(w, x, d, fresh);
	x->v = v;
}

static void
put_joint(struct bitw *w, struct xorval *x, int64_t dod, uint64_t v)
{
	uint64_t d = v ^ x->v;

	if (dod == 0 && v == STALE_NAN_BITS) {
		put_bits(w, 31, 5);
		return;
	}
	if (dod == 0 && d == 0) {
		put_bits(w, 0, 1);
		return;
	}
	if (dod == 0) {
		bool fresh = xor_window(x, d);

		put_bits(w, 2, 2);
		put_bits(w, fresh, 1);
		put_xor_window(w, x, d, fresh);
		x->v = v;
		return;
	}
	if (dod >= -4096 && dod <= 4095) {
		put_bits(w, 6, 3);
		put_bits(w, (uint64_t)dod & 0x1fff, 13);
	} else if (dod >= -524288 && dod <= 524287) {
		put_bits(w, 14, 4);
		put_bits(w, (uint64_t)dod & 0xfffff, 20);
	} else {
		put_bits(w, 30, 5);
		put_bits(w, (uint64_t)dod, 64);
	}
	put_value(w, x, v);
}

void
chunk_xor2_encode(const int64_t *t_ms, const int64_t *st_ms, const double *v,
    size_t n, struct buf *out)
{
	struct st_state st = { .st = 0 };
	struct xorval x = { 0, 0xff, 0 };
	struct bitw w = { out, 0 };
	size_t start = out->n;
	uint64_t delta = 0;

	buf_add_be16(out, (uint16_t)n);
	buf_add_byte(out, 0);
	for (size_t i = 0; i < n && !buf_failed(out); i++) {
		uint64_t bits = double_bits(v[i]);

		if (i == 0) {
			put_varint(&w, t_ms[0]);
			put_bits(&w, bits, 64);
			if (bits != STALE_NAN_BITS)
				x.v = bits;
		} else {
			uint64_t d = (uint64_t)t_ms[i] - (uint64_t)t_ms[i - 1];

			if (i == 1) {
				put_uvarint(&w, d);
				put_value(&w, &x, bits);
			} else
				put_joint(&w, &x, (int64_t)(d - delta), bits);
			delta = d;
		}
		if (buf_failed(out))
			return;
		st_put(&w, &st, i, t_ms[i], i == 0 ? 0 : t_ms[i - 1],
		    st_ms[i], start + 2);
	}
}
