/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_TESTS_BLOCK_BUILD_H
#define BRAZIER_TESTS_BLOCK_BUILD_H

/*
 * A naive writer of small blocks in memory, index version 1 or 2, for tests
 * and fuzzers. It notes where checksums lie, so that bytes can be changed
 * and the checksums made right again.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/tsdb/chunk_xor.h"

#define BUILD_SERIES_MAX	64
#define BUILD_LABELS_MAX	4
#define BUILD_CHUNKS_MAX	4
#define BUILD_CRCS_MAX		512
#define BUILD_SYMBOLS_MAX	512

struct build_chunk {
	int64_t		mint, maxt;
	uint64_t	ref;
};

struct build_series {
	const char	*label[BUILD_LABELS_MAX][2];	/* by name */
	size_t		 n_labels;
	struct build_chunk chunk[BUILD_CHUNKS_MAX];
	size_t		 n_chunks;
	uint32_t	 id;
};

/* crc over [begin, end), stored at end, in one of the three files. */
struct build_crc {
	int	file;
	size_t	begin, end;
};

struct build {
	struct buf	 file[3];	/* index, chunks, tombstones */
	struct build_series series[BUILD_SERIES_MAX];	/* sorted by labels */
	size_t		 n_series;
	const char	*symbol[BUILD_SYMBOLS_MAX];
	uint32_t	 symbol_ref[BUILD_SYMBOLS_MAX];
	size_t		 n_symbols;
	struct build_crc crc[BUILD_CRCS_MAX];
	size_t		 n_crcs;
	int		 version;
};

static inline void
build_init(struct build *b, int version)
{
	static const uint8_t chunks[] = { 0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0 };
	static const uint8_t tombs[] = { 0x01, 0x30, 0xBA, 0x30, 1 };

	memset(b, 0, sizeof(*b));
	b->version = version;
	buf_add(&b->file[1], chunks, sizeof(chunks));
	buf_add(&b->file[2], tombs, sizeof(tombs));
}

static inline void
build_clear(struct build *b)
{
	for (int i = 0; i < 3; i++)
		buf_clear(&b->file[i]);
}

static inline void
build_add_crc(struct build *b, int file, size_t begin)
{
	struct buf *f = &b->file[file];

	b->crc[b->n_crcs++] = (struct build_crc){ file, begin, f->n };
	buf_add_be32(f, hash_crc32c(0, f->p + begin, f->n - begin));
}

/* Makes all checksums right again. */
static inline void
build_fix(struct build *b)
{
	for (size_t i = 0; i < b->n_crcs; i++) {
		struct build_crc *c = &b->crc[i];
		char *p = b->file[c->file].p;

		store_be32(p + c->end, hash_crc32c(0, p + c->begin,
		    c->end - c->begin));
	}
}

/* n samples from t0 on, step apart, values v0, v0 + 1, … as one chunk. */
static inline void
build_chunk(struct build *b, struct build_series *s, int64_t t0, int64_t step,
    size_t n, double v0)
{
	uint8_t data[4096] = { 0 };
	struct chunk_xor x;
	size_t i, begin;

	chunk_xor_init(&x);
	for (i = 0; i < n; i++)
		chunk_xor_append(&x, data, sizeof(data),
		    t0 + (int64_t)i * step, v0 + (double)i);
	chunk_xor_seal(&x, data);
	s->chunk[s->n_chunks++] = (struct build_chunk){ t0,
	    t0 + (int64_t)(n - 1) * step, b->file[1].n };
	buf_add_uvarint(&b->file[1], chunk_xor_len_bytes(&x));
	begin = b->file[1].n;
	buf_add_byte(&b->file[1], 1);
	buf_add(&b->file[1], data, chunk_xor_len_bytes(&x));
	build_add_crc(b, 1, begin);
}

static inline void
build_tombstone(struct build *b, uint64_t ref, int64_t mint, int64_t maxt)
{
	buf_add_uvarint(&b->file[2], ref);
	buf_add_varint(&b->file[2], mint);
	buf_add_varint(&b->file[2], maxt);
}

static inline int
build_cmp(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static inline void
build_add_str(struct buf *f, const char *s)
{
	buf_add_uvarint(f, strlen(s));
	buf_add_c(f, s);
}

/* A section: length, content (from begin on), crc. */
static inline size_t
build_begin(struct build *b)
{
	while (b->file[0].n % 4 != 0)
		buf_add_byte(&b->file[0], 0);
	buf_add_be32(&b->file[0], 0);
	return b->file[0].n;
}

static inline void
build_end(struct build *b, size_t begin)
{
	store_be32(b->file[0].p + begin - 4,
	    (uint32_t)(b->file[0].n - begin));
	build_add_crc(b, 0, begin);
}

static inline void
build_symbols(struct build *b)
{
	struct buf *f = &b->file[0];
	size_t i, k, n = 0, begin;

	b->symbol[n++] = "";
	for (i = 0; i < b->n_series; i++)
		for (k = 0; k < b->series[i].n_labels * 2; k++)
			b->symbol[n++] =
			    b->series[i].label[k / 2][k % 2];
	qsort(b->symbol, n, sizeof(b->symbol[0]), build_cmp);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(b->symbol[i], b->symbol[i - 1]) != 0)
			b->symbol[b->n_symbols++] = b->symbol[i];
	begin = build_begin(b);
	buf_add_be32(f, (uint32_t)b->n_symbols);
	for (i = 0; i < b->n_symbols; i++) {
		b->symbol_ref[i] = b->version == 1 ? (uint32_t)f->n :
		    (uint32_t)i;
		build_add_str(f, b->symbol[i]);
	}
	build_end(b, begin);
}

static inline uint32_t
build_symbol(const struct build *b, const char *s)
{
	size_t i;

	for (i = 0; strcmp(b->symbol[i], s) != 0; i++)
		;
	return b->symbol_ref[i];
}

static inline void
build_series_entry(struct build *b, struct build_series *s)
{
	struct buf *f = &b->file[0], body;
	size_t i, begin;

	buf_init(&body, 0);
	buf_add_uvarint(&body, s->n_labels);
	for (i = 0; i < s->n_labels; i++) {
		buf_add_uvarint(&body, build_symbol(b, s->label[i][0]));
		buf_add_uvarint(&body, build_symbol(b, s->label[i][1]));
	}
	buf_add_uvarint(&body, s->n_chunks);
	for (i = 0; i < s->n_chunks; i++) {
		struct build_chunk *c = &s->chunk[i];

		if (i == 0)
			buf_add_varint(&body, c->mint);
		else
			buf_add_uvarint(&body, (uint64_t)(c->mint -
			    s->chunk[i - 1].maxt));
		buf_add_uvarint(&body, (uint64_t)(c->maxt - c->mint));
		if (i == 0)
			buf_add_uvarint(&body, c->ref);
		else
			buf_add_varint(&body, (int64_t)(c->ref -
			    s->chunk[i - 1].ref));
	}
	while (b->version != 1 && f->n % 16 != 0)
		buf_add_byte(f, 0);
	s->id = (uint32_t)(b->version == 1 ? f->n : f->n / 16);
	buf_add_uvarint(f, body.n);
	begin = f->n;
	buf_add_str(f, buf_str(&body));
	build_add_crc(b, 0, begin);
	buf_clear(&body);
}

/* The series with the pair (all, for two empty texts); 0 offset if none. */
static inline uint64_t
build_list(struct build *b, const char *name, const char *value)
{
	uint32_t ids[BUILD_SERIES_MAX], n = 0;
	size_t i, k, begin;

	for (i = 0; i < b->n_series; i++) {
		bool has = name[0] == '\0';

		for (k = 0; k < b->series[i].n_labels; k++)
			has |= strcmp(b->series[i].label[k][0], name) == 0 &&
			    strcmp(b->series[i].label[k][1], value) == 0;
		if (has)
			ids[n++] = b->series[i].id;
	}
	if (n == 0)
		return 0;
	begin = build_begin(b);
	buf_add_be32(&b->file[0], n);
	for (i = 0; i < n; i++)
		buf_add_be32(&b->file[0], ids[i]);
	build_end(b, begin);
	return begin - 4;
}

/* Lists and their table: all pairs of symbols that have series. */
static inline void
build_postings(struct build *b, uint64_t *lists_off, uint64_t *table_off)
{
	struct buf *f = &b->file[0], table;
	size_t i, k, begin;
	uint32_t n = 0;

	*lists_off = f->n;
	buf_init(&table, 0);
	for (i = 0; i < b->n_symbols; i++)
		for (k = 0; k < b->n_symbols; k++) {
			/* version 1: in another order */
			size_t v = b->version == 1 ?
			    b->n_symbols - 1 - k : k;
			uint64_t off;

			if ((b->symbol[i][0] == '\0') !=
			    (b->symbol[v][0] == '\0'))
				continue;
			off = build_list(b, b->symbol[i], b->symbol[v]);
			if (off == 0)
				continue;
			buf_add_uvarint(&table, 2);
			build_add_str(&table, b->symbol[i]);
			build_add_str(&table, b->symbol[v]);
			buf_add_uvarint(&table, off);
			n++;
		}
	begin = build_begin(b);
	*table_off = begin - 4;
	buf_add_be32(f, n);
	buf_add_str(f, buf_str(&table));
	build_end(b, begin);
	buf_clear(&table);
}

/* Series and tombstones have been added: finishes the three files. */
static inline void
build_finish(struct build *b)
{
	uint8_t header[] = { 0xBA, 0xAA, 0xD7, 0x00, (uint8_t)b->version };
	struct buf *f = &b->file[0];
	uint64_t toc[6] = { 0 };
	size_t i, begin;

	build_add_crc(b, 2, 5);
	buf_add(f, header, sizeof(header));
	toc[0] = (f->n + 3) / 4 * 4;
	build_symbols(b);
	toc[1] = f->n;
	for (i = 0; i < b->n_series; i++)
		build_series_entry(b, &b->series[i]);
	build_postings(b, &toc[4], &toc[5]);
	begin = f->n;
	for (i = 0; i < 6; i++)
		buf_add_be64(f, toc[i]);
	build_add_crc(b, 0, begin);
}

#endif
