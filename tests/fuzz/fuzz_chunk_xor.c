/* SPDX-License-Identifier: ISC */

/*
 * XOR chunks: arbitrary bytes decode without harm, and what decodes encodes
 * and decodes again to the same; arbitrary samples make the round trip, and
 * so does each prefix that a reader may be shown.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/tsdb/chunk_xor.h"

#define SAMPLES_MAX	512
#define CAP		(SAMPLES_MAX * CHUNK_XOR_SAMPLE_BYTES_MAX)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
round_trip(const int64_t *t, const double *v, size_t n)
{
	uint8_t *chunk = calloc(1, CAP);
	int64_t t2[SAMPLES_MAX];
	double v2[SAMPLES_MAX];
	struct chunk_xor x;

	chunk_xor_init(&x);
	for (size_t i = 0; i < n; i++) {
		size_t before = chunk_xor_len_bytes(&x);

		if (!chunk_xor_append(&x, chunk, CAP, t[i], v[i]) ||
		    chunk_xor_len_bytes(&x) - before >
		    CHUNK_XOR_SAMPLE_BYTES_MAX)
			abort();
	}
	for (size_t k = n; k > 0; k /= 2) {
		if (chunk_xor_decode(chunk, chunk_xor_len_bytes(&x), k, t2,
		    v2) == -1 || memcmp(t, t2, k * sizeof(*t)) != 0 ||
		    memcmp(v, v2, k * sizeof(*v)) != 0)
			abort();
	}
	free(chunk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int64_t t[SAMPLES_MAX];
	double v[SAMPLES_MAX];
	struct chunk_xor x;
	size_t count = chunk_xor_count(data, n) % (SAMPLES_MAX + 1);

	if (chunk_xor_decode(data, n, count, t, v) == 0) {
		round_trip(t, v, count);
		if (chunk_xor_resume(&x, data, n, count) == -1)
			abort();
	}
	/* The same bytes as samples: steps and values of chosen widths. */
	for (count = 0; n >= 10 && count < SAMPLES_MAX; count++) {
		uint64_t step = load_be64(data) >> (data[8] & 63);
		uint64_t bits = load_be64(data + 1) >> (data[9] & 63);

		t[count] = (int64_t)(step + (count == 0 ? 0 :
		    (uint64_t)t[count - 1]));
		v[count] = double_from_bits(data[9] & 64 ? bits :
		    bits ^ (count == 0 ? 0 : double_bits(v[count - 1])));
		data += 10;
		n -= 10;
	}
	round_trip(t, v, count);
	return 0;
}
