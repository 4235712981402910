/* SPDX-License-Identifier: ISC */

/*
 * XOR chunk encoder and decoder; the format is drawn in the header.
 *
 * Encoding knows the exact length of a sample before it touches the chunk.
 * Nearly all samples are built in one word and written with one OR of eight
 * bytes; the rest part by part. Rewriting the bits in front of the write
 * position with what they were is harmless to a concurrent reader: every
 * byte it can see holds the published bits before, during and after.
 *
 * Decoding loads eight bytes at the bit position once a sample: at least 57
 * bits of them are valid, which holds nearly every sample; the rare rest
 * loads again. The loop runs without length checks while a whole worst-case
 * sample lies inside the data, then goes on over a zero-padded copy of the
 * last bytes and notices a read beyond the end by its position.
 */

#include "common/tsdb/chunk_xor.h"

#include <string.h>

#include "common/base/bytes.h"

#define NO_WINDOW	0xff
#define VARINT_MAX	10

/*
 * A sample begins inside the data and reads at most 145 bits, by loads of
 * nine bytes: 27 bytes from its first one are enough.
 */
#define SAMPLE_READ	32

#if defined(__GNUC__) && !defined(__clang__) && !defined(BRAZIER_SANITIZED)
#define HOT_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define HOT_CLONES
#endif

/* n low bits of v, n 0..64. */
struct bits {
	uint64_t	v;
	unsigned	n;
};

/* --- encoding --- */

/* ORs the n (0..64) low bits of v, no others set, at bit position pos. */
static void
or_bits(uint8_t *data, size_t cap_bytes, uint32_t pos, uint64_t v, unsigned n)
{
	unsigned off = pos & 7, over = off + n > 64 ? off + n - 64 : 0;
	uint8_t *p = data + (pos >> 3);

	if (n == 0)
		return;
	if ((pos >> 3) + 9 <= cap_bytes) {
		store_be64(p, load_be64(p) | (over > 0 ? v >> over :
		    v << (64 - off - n)));
		if (over > 0)
			p[8] |= (uint8_t)(v << (8 - over));
		return;
	}
	/* Near the end of the memory: only the bytes they lie in. */
	while (n > 0) {
		unsigned take = 8 - off < n ? 8 - off : n;
		uint8_t part = (uint8_t)(v >> (n - take)) &
		    (uint8_t)((1u << take) - 1);

		*p++ |= (uint8_t)(part << (8 - off - take));
		off = 0;
		n -= take;
	}
}

static unsigned
put_uvarint(uint8_t out[VARINT_MAX], uint64_t v)
{
	unsigned n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)v | 0x80;
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

static bool
fits(const struct chunk_xor *x, size_t cap_bytes, size_t more_bits)
{
	return (x->n_bits + more_bits + 7) / 8 <= cap_bytes &&
	    x->n_samples < CHUNK_XOR_SAMPLES_MAX;
}

/*
 * The value part: control bits and, apart because they can be 64, the
 * significant bits. Leaves the new window in *leading and *trailing.
 */
static struct bits
value_bits(const struct chunk_xor *x, uint64_t xor, struct bits *sig,
    uint8_t *leading, uint8_t *trailing)
{
	unsigned lead, trail, n;

	*leading = x->leading;
	*trailing = x->trailing;
	if (xor == 0) {
		*sig = (struct bits){ 0, 0 };
		return (struct bits){ 0, 1 };
	}
	lead = (unsigned)__builtin_clzll(xor);
	trail = (unsigned)__builtin_ctzll(xor);
	if (lead > 31)
		lead = 31;
	/* NO_WINDOW is above any lead. */
	if (lead >= x->leading && trail >= x->trailing) {
		*sig = (struct bits){ xor >> x->trailing,
		    64u - x->leading - x->trailing };
		return (struct bits){ 2, 2 };
	}
	n = 64 - lead - trail;
	*leading = (uint8_t)lead;
	*trailing = (uint8_t)trail;
	*sig = (struct bits){ xor >> trail, n };
	return (struct bits){ 3u << 11 | lead << 6 | (n & 63), 13 };
}

/* n-bit delta of deltas: -(2^(n-1)-1) .. 2^(n-1). */
static inline bool
dod_in(int64_t dod, unsigned n)
{
	int64_t half = (int64_t)1 << (n - 1);

	return dod >= -(half - 1) && dod <= half;
}

/* The timestamp part but for the 64 bits that follow prefix 1111. */
static inline struct bits
dod_bits(int64_t dod)
{
	uint64_t u = (uint64_t)dod;

	if (dod == 0)
		return (struct bits){ 0, 1 };
	if (dod_in(dod, 14))
		return (struct bits){ 2u << 14 | (u & 0x3fff), 16 };
	if (dod_in(dod, 17))
		return (struct bits){ 6u << 17 | (u & 0x1ffff), 20 };
	if (dod_in(dod, 20))
		return (struct bits){ 14u << 20 | (u & 0xfffff), 24 };
	return (struct bits){ 15, 4 };
}

static bool
append_first(struct chunk_xor *x, uint8_t *data, size_t cap_bytes,
    int64_t t_ms, uint64_t v)
{
	uint8_t varint[VARINT_MAX];
	unsigned n = put_uvarint(varint,
	    (uint64_t)t_ms << 1 ^ (uint64_t)(t_ms >> 63));

	if (!fits(x, cap_bytes, n * 8 + 64))
		return false;
	memcpy(data + CHUNK_XOR_HEADER_BYTES, varint, n);
	store_be64(data + CHUNK_XOR_HEADER_BYTES + n, v);
	x->n_bits += n * 8 + 64;
	return true;
}

static bool
append_second(struct chunk_xor *x, uint8_t *data, size_t cap_bytes,
    uint64_t delta, uint64_t xor)
{
	uint8_t varint[VARINT_MAX];
	unsigned n = put_uvarint(varint, delta);
	struct bits sig, ctl;
	uint8_t leading, trailing;

	ctl = value_bits(x, xor, &sig, &leading, &trailing);
	if (!fits(x, cap_bytes, n * 8 + ctl.n + sig.n))
		return false;
	/* The first sample ends on a byte. */
	memcpy(data + x->n_bits / 8, varint, n);
	or_bits(data, cap_bytes, x->n_bits + n * 8, ctl.v, ctl.n);
	or_bits(data, cap_bytes, x->n_bits + n * 8 + ctl.n, sig.v, sig.n);
	x->n_bits += n * 8 + ctl.n + sig.n;
	x->leading = leading;
	x->trailing = trailing;
	return true;
}

/*
 * The sample of nearly every call: a timestamp part of at most 24 bits and
 * all of it within eight bytes. False, and nothing done, for any other.
 */
static inline bool
append_short(struct chunk_xor *x, uint8_t *data, size_t cap_bytes,
    int64_t dod, uint64_t xor)
{
	uint32_t pos = x->n_bits;
	unsigned room = 64 - (pos & 7), n = 0;
	uint64_t word = 0;
	uint8_t *p = data + (pos >> 3);

	if ((pos >> 3) + 8 > cap_bytes ||
	    x->n_samples >= CHUNK_XOR_SAMPLES_MAX)
		return false;
	if (dod != 0) {
		struct bits ts = dod_bits(dod);

		if (ts.n < 16)
			return false;
		word = ts.v;
		n = ts.n;
	} else
		n = 1;
	if (xor == 0) {
		word <<= 1;
		n++;
	} else {
		unsigned lead = (unsigned)__builtin_clzll(xor);
		unsigned trail = (unsigned)__builtin_ctzll(xor), sig;

		lead = lead > 31 ? 31 : lead;
		if (lead >= x->leading && trail >= x->trailing) {
			sig = 64u - x->leading - x->trailing;
			if (n + 2 + sig > room)
				return false;
			word = (word << 2 | 2) << sig | xor >> x->trailing;
			n += 2 + sig;
		} else {
			sig = 64u - lead - trail;
			if (n + 13 + sig > room)
				return false;
			word = (word << 13 | 3u << 11 | lead << 6 | sig) << sig |
			    xor >> trail;
			n += 13 + sig;
			x->leading = (uint8_t)lead;
			x->trailing = (uint8_t)trail;
		}
	}
	store_be64(p, load_be64(p) | word << (room - n));
	x->n_bits = pos + n;
	return true;
}

/* Any sample behind the second. */
static bool
append_long(struct chunk_xor *x, uint8_t *data, size_t cap_bytes, int64_t dod,
    uint64_t xor)
{
	struct bits ts = dod_bits(dod), sig, ctl;
	unsigned dod_n = ts.n == 4 ? 64 : 0, n;
	uint32_t pos = x->n_bits;
	uint8_t leading, trailing;

	ctl = value_bits(x, xor, &sig, &leading, &trailing);
	n = ts.n + dod_n + ctl.n + sig.n;
	if (!fits(x, cap_bytes, n))
		return false;
	or_bits(data, cap_bytes, pos, ts.v, ts.n);
	or_bits(data, cap_bytes, pos + ts.n, (uint64_t)dod, dod_n);
	or_bits(data, cap_bytes, pos + ts.n + dod_n, ctl.v, ctl.n);
	or_bits(data, cap_bytes, pos + ts.n + dod_n + ctl.n, sig.v,
	    sig.n);
	x->n_bits += n;
	x->leading = leading;
	x->trailing = trailing;
	return true;
}

void
chunk_xor_init(struct chunk_xor *x)
{
	*x = (struct chunk_xor){
		.n_bits = CHUNK_XOR_HEADER_BYTES * 8,
		.leading = NO_WINDOW,
	};
}

bool
chunk_xor_append(struct chunk_xor *x, uint8_t *data, size_t cap_bytes,
    int64_t t_ms, double v)
{
	uint64_t bits = double_bits(v);
	uint64_t delta = (uint64_t)t_ms - (uint64_t)x->t_ms;
	uint64_t xor = bits ^ x->v_bits;

	if (x->n_samples >= 2) {
		int64_t dod = (int64_t)(delta - x->delta_ms);

		if (!append_short(x, data, cap_bytes, dod, xor) &&
		    !append_long(x, data, cap_bytes, dod, xor))
			return false;
	} else if (x->n_samples == 1) {
		if (!append_second(x, data, cap_bytes, delta, xor))
			return false;
	} else {
		if (!append_first(x, data, cap_bytes, t_ms, bits))
			return false;
		delta = 0;
	}
	x->t_ms = t_ms;
	x->v_bits = bits;
	x->delta_ms = delta;
	x->n_samples++;
	return true;
}

void
chunk_xor_seal(const struct chunk_xor *x, uint8_t *data)
{
	store_be16(data, x->n_samples);
}

uint32_t
chunk_xor_count(const uint8_t *data, size_t len_bytes)
{
	return len_bytes < CHUNK_XOR_HEADER_BYTES ? 0 : load_be16(data);
}

/* --- decoding --- */

struct reader {
	size_t		i;		/* samples decoded */
	size_t		pos;		/* bit position in the current bytes */
	int64_t		t;
	uint64_t	v;
	uint64_t	delta;
	unsigned	sig;		/* window: its bits, and those behind */
	unsigned	trailing;
	bool		corrupt;
};

/* 64 bits at bit position pos; reads nine bytes. */
static inline uint64_t
load_bits(const uint8_t *p, size_t pos)
{
	unsigned off = pos & 7;
	uint64_t w = load_be64(p + (pos >> 3));

	if (off == 0)
		return w;
	return w << off | p[(pos >> 3) + 8] >> (8 - off);
}

/* The n-bit two's complement in the low bits of u, top value positive. */
static inline uint64_t
dod_extend(uint64_t u, unsigned n)
{
	return u > (uint64_t)1 << (n - 1) ? u - ((uint64_t)1 << n) : u;
}

/*
 * Samples r->i .. n-1 that begin at or before bit position limit; p is
 * readable for SAMPLE_READ bytes from there. In each: w holds the bits from
 * `used` on, at least 57 - used of them valid.
 */
static inline __attribute__((always_inline)) void
decode_run(struct reader *r, const uint8_t *p, size_t limit, size_t n,
    int64_t *restrict t_out, double *restrict v_out)
{
	size_t i = r->i, pos = r->pos;
	int64_t t = r->t;
	uint64_t v = r->v, delta = r->delta;
	unsigned sig = r->sig, trailing = r->trailing;

	for (; i < n && pos <= limit; i++) {
		uint64_t w = load_be64(p + (pos >> 3)) << (pos & 7);
		unsigned used, lead;

		if (__builtin_expect(!(w >> 63), 1)) {
			w <<= 1;
			used = 1;
		} else if (w >> 62 == 2) {
			delta += dod_extend(w << 2 >> 50, 14);
			w <<= 16;
			used = 16;
		} else if (w >> 61 == 6) {
			delta += dod_extend(w << 3 >> 47, 17);
			w <<= 20;
			used = 20;
		} else if (w >> 60 == 14) {
			delta += dod_extend(w << 4 >> 44, 20);
			w <<= 24;
			used = 24;
		} else {
			delta += load_bits(p, pos + 4);
			pos += 68;
			w = load_be64(p + (pos >> 3)) << (pos & 7);
			used = 0;
		}
		t = (int64_t)((uint64_t)t + delta);
		t_out[i] = t;

		if (!(w >> 63)) {
			pos += used + 1;
			v_out[i] = double_from_bits(v);
			continue;
		}
		if (!(w >> 62 & 1)) {
			used += 2;
			w <<= 2;
		} else {
			lead = (unsigned)(w << 2 >> 59);
			sig = (unsigned)(w << 7 >> 58);
			sig = sig == 0 ? 64 : sig;
			if (__builtin_expect(lead + sig > 64, 0)) {
				r->corrupt = true;
				return;
			}
			trailing = 64 - lead - sig;
			used += 13;
			w <<= 13;
		}
		if (__builtin_expect(used + sig > 57, 0))
			w = load_bits(p, pos + used);
		v ^= w >> (64 - sig) << trailing;
		v_out[i] = double_from_bits(v);
		pos += used + sig;
	}
	r->i = i;
	r->pos = pos;
	r->t = t;
	r->v = v;
	r->delta = delta;
	r->sig = sig;
	r->trailing = trailing;
}

/* Byte position behind a uvarint at `at`, 0 when there is none. */
static size_t
get_uvarint(const uint8_t *p, size_t len, size_t at, uint64_t *v)
{
	unsigned shift = 0;

	*v = 0;
	for (; at < len && shift < 70; shift += 7) {
		uint8_t b = p[at++];

		if (shift == 63 && b > 1)
			return 0;
		*v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return at;
	}
	return 0;
}

/* The first sample; leaves the reader on the delta of the second. */
static int
read_first(struct reader *r, const uint8_t *data, size_t len,
    int64_t *t_out, double *v_out)
{
	uint64_t u;
	size_t at = get_uvarint(data, len, CHUNK_XOR_HEADER_BYTES, &u);

	if (at == 0 || len - at < 8)
		return -1;
	r->t = (int64_t)(u >> 1 ^ -(u & 1));
	r->v = load_be64(data + at);
	r->pos = (at + 8) * 8;
	r->i = 1;
	t_out[0] = r->t;
	v_out[0] = double_from_bits(r->v);
	return 0;
}

/*
 * The second sample's delta is read here and its value by the common loop:
 * stepping back one bit onto a zero bit would need one, so the value is
 * decoded from a copy that puts the '0' of "no delta of deltas" in front.
 */
static int
read_second(struct reader *r, const uint8_t *data, size_t len,
    int64_t *t_out, double *v_out)
{
	size_t at = get_uvarint(data, len, r->pos / 8, &r->delta);
	uint8_t copy[SAMPLE_READ + 8] = { 0 };
	size_t n;

	if (at == 0)
		return -1;
	n = len - at < 16 ? len - at : 16;
	memcpy(copy + 1, data + at, n);
	r->pos = 7;
	decode_run(r, copy, 7, 2, t_out, v_out);
	if (r->corrupt || r->pos > (n + 1) * 8)
		return -1;
	r->pos += (at - 1) * 8;
	return 0;
}

HOT_CLONES static int
decode(struct reader *r, const uint8_t *data, size_t len, size_t n,
    int64_t *t_out, double *v_out)
{
	uint8_t tail[3 * SAMPLE_READ];
	size_t base, left;

	if (len >= SAMPLE_READ && r->pos <= (len - SAMPLE_READ) * 8) {
		decode_run(r, data, (len - SAMPLE_READ) * 8, n, t_out, v_out);
		if (r->corrupt)
			return -1;
	}
	if (r->i == n)
		return r->pos <= len * 8 ? 0 : -1;

	base = r->pos / 8;
	left = len - base;
	memset(tail, 0, sizeof(tail));
	memcpy(tail, data + base, left);
	r->pos -= base * 8;
	decode_run(r, tail, left * 8, n, t_out, v_out);
	if (r->corrupt || r->i != n || r->pos > left * 8)
		return -1;
	r->pos += base * 8;
	return 0;
}

static int
decode_all(struct reader *r, const uint8_t *data, size_t len, size_t n,
    int64_t *t_out, double *v_out)
{
	*r = (struct reader){ .sig = 64 };
	if (n == 0)
		return 0;
	if (len > UINT32_MAX / 8 || n > CHUNK_XOR_SAMPLES_MAX ||
	    read_first(r, data, len, t_out, v_out) == -1)
		return -1;
	if (n == 1)
		return 0;
	if (read_second(r, data, len, t_out, v_out) == -1)
		return -1;
	return n == 2 ? 0 : decode(r, data, len, n, t_out, v_out);
}

int
chunk_xor_decode(const uint8_t *data, size_t len_bytes, size_t n_samples,
    int64_t *t_ms, double *v)
{
	struct reader r;

	return decode_all(&r, data, len_bytes, n_samples, t_ms, v);
}

int
chunk_xor_resume(struct chunk_xor *x, const uint8_t *data, size_t len_bytes,
    size_t n_samples)
{
	int64_t t[64];
	double v[64];
	struct reader r;
	size_t left = n_samples, n = left < 2 ? left : 2;

	chunk_xor_init(x);
	if (decode_all(&r, data, len_bytes, n, t, v) == -1)
		return -1;
	for (left -= n; left > 0; left -= n) {
		n = left < 64 ? left : 64;
		r.i = 0;
		if (decode(&r, data, len_bytes, n, t, v) == -1)
			return -1;
	}
	if (n_samples == 0)
		return 0;
	x->t_ms = r.t;
	x->v_bits = r.v;
	x->delta_ms = r.delta;
	x->n_bits = (uint32_t)r.pos;
	x->n_samples = (uint16_t)n_samples;
	if (n_samples > 1) {
		/* Without any window yet: all 64 bits, as the reference. */
		x->leading = (uint8_t)(64 - r.sig - r.trailing);
		x->trailing = (uint8_t)r.trailing;
	}
	return 0;
}
