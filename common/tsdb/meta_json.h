/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_META_JSON_H
#define BRAZIER_COMMON_TSDB_META_JSON_H

/*
 * A block's meta.json: what it is, covers and was made of. Unknown members
 * are left alone. Source: spec tsdb.tsv, meta.json.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

#define ULID_CHARS	26

/* 26 characters of Crockford's base 32 in upper case, and a NUL. */
struct ulid_text {
	char	s[ULID_CHARS + 1];
};

struct block_parent {
	struct ulid_text	ulid;
	int64_t			mint_ms;	/* inclusive */
	int64_t			maxt_ms;	/* exclusive */
};

enum block_hint {
	BLOCK_FROM_OUT_OF_ORDER		= 1 << 0,
	BLOCK_FROM_STALE_SERIES		= 1 << 1,
	BLOCK_FROM_SELECTED_SERIES	= 1 << 2
};

struct block_meta {
	struct ulid_text	 ulid;
	int64_t			 mint_ms;	/* inclusive */
	int64_t			 maxt_ms;	/* exclusive */
	uint64_t		 n_samples;
	uint64_t		 n_float_samples;
	uint64_t		 n_histogram_samples;
	uint64_t		 n_series;
	uint64_t		 n_chunks;
	uint64_t		 n_tombstones;
	int			 level;
	struct ulid_text	*sources;	/* owned */
	size_t			 n_sources;
	struct block_parent	*parents;	/* owned */
	size_t			 n_parents;
	bool			 deletable;
	bool			 failed;
	unsigned		 hints;		/* enum block_hint */
};

/* The name of a block's directory: strictly a ULID. */
bool	 ulid_is_valid(struct str s);

/*
 * Parses the file's text. ERR_INTERNAL when it is no JSON of this shape
 * ("unexpected meta file version 2"), ERR_NOMEM. To be cleared after 0.
 */
int	 block_meta_parse(struct block_meta *m, struct str text,
	    struct err *err);
void	 block_meta_clear(struct block_meta *m);

#endif
