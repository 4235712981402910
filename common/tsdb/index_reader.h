/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_INDEX_READER_H
#define BRAZIER_COMMON_TSDB_INDEX_READER_H

/*
 * The index of a block, versions 1 to 3, over mapped bytes.
 *
 *	header   | magic 0xBAAAD700 4 | version 1 |
 *	symbols  | length 4 | count 4 | (uvarint length, text)… | crc 4 |
 *	series   | (uvarint length, labels, chunks, crc 4)… |
 *	postings | (length 4 | count 4 | series id 4… | crc 4)… |
 *	table    | length 4 | count 4 | (2, name, value, offset)… | crc 4 |
 *	TOC      | 6 × offset 8 | crc 4 |
 *
 * Symbols are known by number (version 1: by offset), series by offset / 16
 * (version 1: by offset), lists of series by offset. The bytes are hostile:
 * each offset and count is checked, each checksum verified — that of symbols
 * and table when they are first used, those of lists and series whenever
 * they are read. What is built beside the file is one u32 for every 16th
 * symbol and every 32nd value, made at the first use.
 *
 * Functions with an err fail with ERR_INTERNAL for corrupt data, ERR_NOMEM,
 * or ERR_LIMIT when the arena refuses.
 *
 * Source: spec tsdb.tsv, index; prometheus tsdb/docs/format/index.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/tsdb/postings.h"

/* One label name of the postings table and where its values are. */
struct index_name {
	struct str	name;
	uint32_t	n_values;
	uint32_t	first_mark;	/* of the value marks */
};

struct index_reader {
	const uint8_t	*p;		/* borrowed */
	size_t		 n;
	unsigned	 version;
	uint64_t	 symbols_off, series_off, postings_off, table_off;

	bool		 have_symbols;
	const uint8_t	*symbols;	/* the texts */
	size_t		 symbols_len;
	uint32_t	 n_symbols;
	uint32_t	*symbol_marks;	/* offset of every 16th; owned */

	bool		 have_table;
	const uint8_t	*table;		/* the entries */
	size_t		 table_len;
	unsigned	 stride;	/* values a mark stands for */
	uint32_t	*value_marks;	/* offsets in table; owned */
	struct index_name *names;	/* sorted; owned */
	size_t		 n_names;
};

/* Checks header and TOC; p and n must live as long as the reader. */
int	 index_reader_open(struct index_reader *r, const void *p, size_t n,
	    struct err *err);
void	 index_reader_close(struct index_reader *r);

/* --- symbols --- */

/* To be called before the others; verifies the section once. */
int	 index_symbols_load(struct index_reader *r, struct err *err);
/* Empty for an unknown symbol. */
struct str index_symbol(const struct index_reader *r, uint32_t sym);
/* Version 2: the number of a text. false when there is none. */
bool	 index_symbol_find(const struct index_reader *r, struct str text,
	    uint32_t *sym_out);

/* --- label names, values, postings --- */

int	 index_table_load(struct index_reader *r, struct err *err);
/* NULL when no series has the label. ("" is the list of all series.) */
const struct index_name *index_name_find(const struct index_reader *r,
	    struct str name);

/* Walks the values of a name in their order. */
struct index_values {
	const struct index_reader	*r;
	const struct index_name		*name;
	uint32_t			 i;	/* the next value's number */
	size_t				 pos;	/* and place in the table */
};

void	 index_values_begin(const struct index_reader *r,
	    const struct index_name *name, struct index_values *it);
/* Goes to the first value >= text. */
int	 index_values_seek(struct index_values *it, struct str text,
	    struct err *err);
/* 1 and the value and its list's offset, 0 at the end, -1 corrupt. */
int	 index_values_next(struct index_values *it, struct str *value,
	    uint64_t *offset, struct err *err);
/* The list of one value: 1 and its offset, 0 when it is not there, -1. */
int	 index_value_find(const struct index_reader *r,
	    const struct index_name *name, struct str value,
	    uint64_t *offset, struct err *err);

/* The series ids at an offset, as an ascending array in the arena. */
int	 index_postings(const struct index_reader *r, struct arena *a,
	    uint64_t offset, struct postings *out, struct err *err);
/* All series ids are below this. */
uint32_t index_id_limit(const struct index_reader *r);

/* --- series --- */

struct index_chunk {
	uint64_t	ref;
	int64_t		mint_ms;	/* inclusive */
	int64_t		maxt_ms;	/* inclusive */
};

/* One series' entry: n_labels labels, then n_chunks chunks. */
struct index_series {
	struct cursor	 c;
	uint32_t	 n_labels;
	uint32_t	 n_chunks;	/* after index_series_chunks */
	struct index_chunk last;
	bool		 first;
};

int	 index_series_get(const struct index_reader *r, uint32_t id,
	    struct index_series *out, struct err *err);
/* To be called n_labels times. After a failure: symbols without text. */
static inline void
index_series_label(struct index_series *s, uint32_t *name, uint32_t *value)
{
	*name = (uint32_t)cursor_uvarint(&s->c);
	*value = (uint32_t)cursor_uvarint(&s->c);
}
/* Behind the labels: sets n_chunks. */
int	 index_series_chunks(struct index_series *s, struct err *err);
/* To be called n_chunks times; -1 when the entry ends too early. */
int	 index_series_chunk(struct index_series *s, struct index_chunk *out,
	    struct err *err);

#endif
