/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_LSET_H
#define BRAZIER_COMMON_PROMQL_LSET_H

/*
 * Label sets inside an evaluation: sorted arrays of (name id, value id).
 * Within one query equal ids mean equal texts and the reverse, so that sets
 * are compared without looking at texts.
 *
 * Most queries only ever see labels of the source and use its symbols as
 * ids (raw mode). A query that makes labels of its own (label_replace,
 * count_values, absent …) interns: every symbol that comes in is translated
 * once to an id of the query, and new texts get ids of the same kind.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/promql/source.h"

struct lset {
	const struct label_sym	*l;	/* lives as long as the query */
	uint32_t		 n;
};

#define LSET_EMPTY ((struct lset){ NULL, 0 })

/* --- symbols --- */

struct symtab;

/* From the arena, for one query of src. interned: see above. */
struct symtab *symtab_new(struct arena *a, struct source *src, bool interned);
void	 symtab_clear(struct symtab *t);
struct str symtab_text(const struct symtab *t, uint32_t id);
/* The id of a text; interned mode only. false when memory is out. */
bool	 symtab_intern(struct symtab *t, struct str text, uint32_t *id);
/* Labels of a source series as ids of the query; l NULL (n > 0): memory. */
struct lset symtab_import(struct symtab *t, const struct label_sym *l,
	    uint32_t n);

/* --- names that an operator looks for --- */

#define LNAMES_CACHE	32

/*
 * A fixed list of label names; lnames_slot says which of them an id is.
 * Remembers the ids it has seen, so that texts are compared once a name.
 */
struct lnames {
	struct symtab	*syms;
	struct str	*names;
	size_t		 n;
	struct {
		uint32_t	id;
		int32_t		slot;	/* index + 1; 0 = entry empty */
		bool		used;
	} cache[LNAMES_CACHE];
};

/* Copies the array of names (not the texts) into the arena. -1: memory. */
int	 lnames_init(struct lnames *ln, struct arena *a, struct symtab *syms,
	    const struct str *names, size_t n);
int	 lnames_lookup(struct lnames *ln, uint32_t id);

/* Index in names of this label name, or -1. */
static inline int
lnames_slot(struct lnames *ln, uint32_t id)
{
	uint32_t i = (id ^ id >> 5) % LNAMES_CACHE;

	if (ln->cache[i].used && ln->cache[i].id == id)
		return ln->cache[i].slot;
	return lnames_lookup(ln, id);
}

/* --- sets --- */

uint64_t lset_hash(struct lset ls);
bool	 lset_eq(struct lset a, struct lset b);
/* By texts, as labels.Compare. */
int	 lset_cmp(const struct symtab *t, struct lset a, struct lset b);
/* The value of slot 0 of ln; false when absent. */
bool	 lset_find(struct lset ls, struct lnames *ln, uint32_t *value);
/* Text of a value; empty when absent. */
struct str lset_get(const struct symtab *t, struct lset ls, struct str name);
/* Labels in (keep) or not in ln; shares the array when it can. */
struct lset lset_filter(struct arena *a, struct lset ls, struct lnames *ln,
	    bool keep);
/*
 * Sets (n > 0) or deletes (empty value) one label; interned mode only.
 * l NULL (n > 0) when memory is out.
 */
struct lset lset_with(struct arena *a, struct symtab *t, struct lset ls,
	    struct str name, struct str value);
/* {a="b"} as labels.Labels.String. */
void	 lset_format(const struct symtab *t, struct lset ls, struct buf *out);
/* The reference's Labels.Hash: over the texts. */
uint64_t lset_text_hash(const struct symtab *t, struct lset ls,
	    struct buf *scratch);

/* --- sets to numbers --- */

/* Gives each distinct set the next number, from 0. */
struct lset_index {
	struct lset	*sets;		/* by number */
	uint64_t	*hashes;
	uint32_t	*slots;		/* number + 1 */
	size_t		 n, cap;
	size_t		 mask;
	struct arena	*account;	/* whose limit its bytes count against */
	size_t		 accounted;
};

void	 lset_index_init(struct lset_index *x, struct arena *account);
void	 lset_index_clear(struct lset_index *x);
/*
 * The number of ls, a new one (*is_new) if it was not known. -1 when memory
 * is out. ls is kept by reference.
 */
int64_t	 lset_index_add(struct lset_index *x, struct lset ls, bool *is_new);
/* -1 when unknown. */
int64_t	 lset_index_get(const struct lset_index *x, struct lset ls);

#endif
