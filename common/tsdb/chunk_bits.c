/* SPDX-License-Identifier: ISC */

/* Bit streams; see chunk_bits.h. */

#include "common/tsdb/chunk_bits.h"

uint64_t
bits_get(struct bits *b, unsigned n)
{
	uint64_t v = 0;

	if (b->failed || b->n_bits - b->at < n) {
		b->failed = true;
		return 0;
	}
	while (n > 0) {
		unsigned off = b->at & 7, take = 8 - off;

		if (take > n)
			take = n;
		unsigned byte = b->p[b->at >> 3];
		v = v << take | (byte >> (8 - off - take) & ((1u << take) - 1));
		b->at += take;
		n -= take;
	}
	return v;
}

static const uint8_t varbit_sizes[] = { 0, 3, 6, 9, 12, 18, 25, 56, 64 };

static unsigned
varbit_size(struct bits *b)
{
	unsigned ones = 0;

	while (ones < 8 && bits_get(b, 1) == 1)
		ones++;
	return varbit_sizes[ones];
}

uint64_t
varbit_uint(struct bits *b)
{
	unsigned n = varbit_size(b);

	return n == 0 ? 0 : bits_get(b, n);
}

/* n-bit numbers reach from -(2^(n-1)-1) to 2^(n-1). */
int64_t
varbit_int(struct bits *b)
{
	unsigned n = varbit_size(b);
	uint64_t v = n == 0 ? 0 : bits_get(b, n);

	if (n != 0 && n != 64 && v > (uint64_t)1 << (n - 1))
		v -= (uint64_t)1 << n;
	return (int64_t)v;
}

void
xor_get_window(struct bits *b, struct xorval *x, bool fresh)
{
	if (fresh) {
		unsigned lead = (unsigned)bits_get(b, 5);
		unsigned n = (unsigned)bits_get(b, 6);

		if (n == 0)
			n = 64;
		if (lead + n > 64) {
			b->failed = true;
			return;
		}
		x->leading = (uint8_t)lead;
		x->trailing = (uint8_t)(64 - lead - n);
	}
	if (x->leading + x->trailing >= 64) {
		b->failed = true;
		return;
	}
	x->v ^= bits_get(b, 64u - x->leading - x->trailing) << x->trailing;
}

void
xor_get(struct bits *b, struct xorval *x)
{
	if (bits_get(b, 1) == 0)
		return;
	xor_get_window(b, x, bits_get(b, 1) == 1);
}

uint64_t
bits_uvarint(struct bits *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint64_t c = bits_get(b, 8);

		if (b->failed || (shift == 63 && c > 1))
			break;
		v |= (c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
	b->failed = true;
	return 0;
}

int64_t
bits_varint(struct bits *b)
{
	uint64_t v = bits_uvarint(b);

	return (int64_t)(v >> 1 ^ -(v & 1));
}

/* --- writing --- */

void
put_bits(struct bitw *w, uint64_t v, unsigned n)
{
	while (n > 0) {
		if (w->left == 0) {
			buf_add_byte(w->out, 0);
			w->left = 8;
		}
		if (buf_failed(w->out))
			return;
		unsigned take = n < w->left ? n : w->left;
		unsigned part = (unsigned)(v >> (n - take)) &
		    ((1u << take) - 1);

		w->out->p[w->out->n - 1] = (char)((uint8_t)
		    w->out->p[w->out->n - 1] | part << (w->left - take));
		w->left -= take;
		n -= take;
	}
}

static void
put_varbit(struct bitw *w, uint64_t v, unsigned k)
{
	/* k ones, a zero unless there are eight, then the number */
	if (k < 8)
		put_bits(w, ((1u << k) - 1) << 1, k + 1);
	else
		put_bits(w, 0xff, 8);
	if (varbit_sizes[k] != 0)
		put_bits(w, v, varbit_sizes[k]);
}

void
put_varbit_uint(struct bitw *w, uint64_t v)
{
	unsigned k = 0;

	while (k < 8 && (varbit_sizes[k] == 0 ? v != 0 :
	    v >> varbit_sizes[k] != 0))
		k++;
	put_varbit(w, v, k);
}

void
put_varbit_int(struct bitw *w, int64_t v)
{
	unsigned k = 0;

	for (; k < 8; k++) {
		unsigned n = varbit_sizes[k];

		if (n == 0 ? v == 0 : v >= -(((int64_t)1 << (n - 1)) - 1) &&
		    v <= (int64_t)1 << (n - 1))
			break;
	}
	put_varbit(w, (uint64_t)v, k);
}

bool
xor_window(struct xorval *x, uint64_t d)
{
	unsigned lead = (unsigned)__builtin_clzll(d);
	unsigned trail = (unsigned)__builtin_ctzll(d);

	if (lead > 31)
		lead = 31;
	if (x->leading != 0xff && lead >= x->leading && trail >= x->trailing)
		return false;
	x->leading = (uint8_t)lead;
	x->trailing = (uint8_t)trail;
	return true;
}

void
put_xor_window(struct bitw *w, const struct xorval *x, uint64_t d, bool fresh)
{
	unsigned n = 64u - x->leading - x->trailing;

	if (fresh) {
		put_bits(w, x->leading, 5);
		put_bits(w, n & 63, 6);
	}
	put_bits(w, d >> x->trailing, n);
}

void
put_xor(struct bitw *w, struct xorval *x, double value)
{
	uint64_t v = double_bits(value), d = v ^ x->v;

	x->v = v;
	if (d == 0) {
		put_bits(w, 0, 1);
		return;
	}
	bool fresh = xor_window(x, d);
	put_bits(w, fresh ? 3 : 2, 2);
	put_xor_window(w, x, d, fresh);
}

void
put_uvarint(struct bitw *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		put_bits(w, (v & 0x7f) | 0x80, 8);
	put_bits(w, v, 8);
}

void
put_varint(struct bitw *w, int64_t v)
{
	put_uvarint(w, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

/* --- start timestamps --- */

int64_t
st_get(struct bits *b, struct st_state *s, size_t i, int64_t t,
    int64_t prev_t)
{
	if (i == 0) {
		if (s->first_known)
			s->st = (int64_t)((uint64_t)t -
			    (uint64_t)bits_varint(b));
		return s->st;
	}
	if (s->change_on == 0 || i < s->change_on)
		return s->st;
	uint64_t d = (uint64_t)varbit_int(b);
	if (i != s->change_on)
		d += (uint64_t)s->diff;
	s->diff = (int64_t)d;
	s->st = (int64_t)((uint64_t)prev_t - d);
	return s->st;
}

void
st_put(struct bitw *w, struct st_state *s, size_t i, int64_t t,
    int64_t prev_t, int64_t st, size_t header_at)
{
	uint8_t *header = (uint8_t *)w->out->p + header_at;

	if (i == 0) {
		if (st != 0) {
			*header |= 0x80;
			put_varint(w, t - st);
		}
	} else if (s->change_on != 0) {
		put_varbit_int(w, prev_t - st - s->diff);
		s->diff = prev_t - st;
	} else if (st != s->st || i == ST_CHANGE_ON_MAX) {
		s->change_on = (uint8_t)i;
		*header |= (uint8_t)i;
		s->diff = prev_t - st;
		put_varbit_int(w, s->diff);
	}
	s->st = st;
}
