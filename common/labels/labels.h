/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_LABELS_LABELS_H
#define BRAZIER_COMMON_LABELS_LABELS_H

/*
 * Label sets as text: a sorted array of (name, value), names unique, no
 * empty values. Inside the data plane labels are symbol ids (common/tsdb);
 * this is what scraping, relabelling, configuration and rules work with.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/str.h"

#define LABEL_METRIC_NAME	"__name__"
#define LABEL_BUCKET		"le"
#define LABEL_QUANTILE		"quantile"
#define LABEL_JOB		"job"
#define LABEL_INSTANCE		"instance"
#define LABEL_ADDRESS		"__address__"

struct label {
	struct str	name;
	struct str	value;
};

/* Borrows its strings and, unless made by labels_copy, its array. */
struct labels {
	const struct label	*l;	/* sorted by name, bytes */
	size_t			 n;
};

/* NULL-pointer string when the label is absent. */
struct str labels_get(struct labels ls, struct str name);
bool	 labels_eq(struct labels a, struct labels b);
/* The reference's order of label sets (labels.Compare). */
int	 labels_cmp(struct labels a, struct labels b);
/*
 * xxh64 over each name and value behind its length (one byte, or 255 and
 * three little-endian ones): the hash of the reference's label sets as it is
 * built by default, from which a target's offset in its interval comes.
 */
uint64_t labels_hash(struct labels ls);
/* Deep copy into the arena; l is NULL (n > 0) after a failure. */
struct labels labels_copy(struct arena *a, struct labels ls);
/* {a="b", c="d"} — Go's Labels.String, names quoted when not legacy. */
void	 labels_format(struct labels ls, struct buf *out);
/* name{a="b"} as series are shown: Metric.String. */
void	 labels_format_metric(struct labels ls, struct buf *out);

/* [a-zA-Z_][a-zA-Z0-9_]* and with ':' for metric names. */
bool	 label_name_is_legacy(struct str s);
bool	 metric_name_is_legacy(struct str s);
/* Non-empty valid UTF-8. */
bool	 label_name_is_valid(struct str s);

/*
 * A set under construction: set and delete in any order, then
 * labels_builder_labels gives the sorted result. Strings are borrowed until
 * the builder is reset; the array belongs to the builder.
 */
struct labels_builder {
	struct label	*l;		/* inside: see labels_builder.c */
	size_t		 n, cap;
	size_t		 n_sorted;
	bool		 failed;	/* memory was out */
};

void	 labels_builder_init(struct labels_builder *b);
void	 labels_builder_clear(struct labels_builder *b);
/* Starts from base. */
void	 labels_builder_reset(struct labels_builder *b, struct labels base);
/* An empty value deletes. */
void	 labels_builder_set(struct labels_builder *b, struct str name,
	    struct str value);
void	 labels_builder_del(struct labels_builder *b, struct str name);
/* Empty when absent. */
struct str labels_builder_get(const struct labels_builder *b, struct str name);
/* Valid until the next change of the builder. */
struct labels labels_builder_labels(struct labels_builder *b);

#endif
