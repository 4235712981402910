/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_TESTS_UNIT_STORAGE_HEAD_TWIN_H
#define BRAZIER_TESTS_UNIT_STORAGE_HEAD_TWIN_H

/*
 * What the tests of the head share: a seeded random source, label sets of a
 * small world, and reading a series back through head_reader.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/tsdb/chunk_xor.h"
#include "common/tsdb/head_files.h"
#include "common/tsdb/head_reader.h"
#include "workers/storage/head.h"

struct rnd { uint64_t s; };

static inline uint32_t
rnd(struct rnd *r, uint32_t below)
{
	r->s = r->s * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((r->s >> 33) % below);
}

static inline uint64_t
rnd_seed(void)
{
	const char *env = getenv("SEED");
	uint64_t seed = env != NULL ? strtoull(env, NULL, 10) :
	    (uint64_t)wall_now_ns() % 1000000007;

	printf("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

struct read_back {
	int64_t	*t;
	double	*v;
	size_t	 n, cap;
};

/* All samples of one captured series, appended to out; -1: an error. */
static inline int
read_series(const struct head_reader *r, const struct head_capture *cap,
    struct head_files *files, struct read_back *out, struct err *err)
{
	struct head_chunk_view v;
	struct head_file_chunk k;

	for (uint32_t i = 0; i < cap->n; i++) {
		const uint8_t *data;
		size_t len;

		if (head_reader_chunk(r, cap, i, &v, err) == -1)
			return -1;
		if (v.n_samples == 0)
			continue;
		data = v.data;
		len = v.len_bytes;
		if (v.in_file) {
			if (files == NULL || head_files_chunk(files, v.file,
			    v.file_off, &k, err) == -1)
				return -1;
			data = k.data;
			len = k.len_bytes;
		}
		if (out->n + v.n_samples > out->cap) {
			out->cap = (out->n + v.n_samples) * 2;
			out->t = realloc(out->t, out->cap * 8);
			out->v = realloc(out->v, out->cap * 8);
		}
		if (chunk_xor_decode(data, len, v.n_samples,
		    out->t + out->n, out->v + out->n) == -1)
			return err_set(err, ERR_INTERNAL, "bad chunk");
		out->n += v.n_samples;
	}
	return 0;
}

static inline void
read_back_clear(struct read_back *b)
{
	free(b->t);
	free(b->v);
	memset(b, 0, sizeof(*b));
}

static inline struct labels
labels_of(struct label *l, size_t n)
{
	return (struct labels){ l, n };
}

#endif
