/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_LABELS_MATCHER_H
#define BRAZIER_COMMON_LABELS_MATCHER_H

/*
 * One condition on one label. A series without the label counts as having
 * it empty. Regexes are fully anchored and dot matches newline (3.x).
 */

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

enum matcher_type {
	MATCH_EQUAL,		/* =  */
	MATCH_NOT_EQUAL,	/* != */
	MATCH_REGEXP,		/* =~ */
	MATCH_NOT_REGEXP	/* !~ */
};

struct regex;

/* Patterns of everyday use that are decided without the regex engine. */
enum matcher_shape {
	MATCHER_SHAPE_REGEX,	/* ask set, prefix, then re */
	MATCHER_SHAPE_ANY,	/* .* */
	MATCHER_SHAPE_NON_EMPTY,/* .+ */
	MATCHER_SHAPE_PREFIX,	/* abc.* */
	MATCHER_SHAPE_SUFFIX,	/* .*abc */
	MATCHER_SHAPE_CONTAINS	/* .*abc.* */
};

struct matcher {
	enum matcher_type	 type;
	struct str		 name;	/* owned */
	struct str		 value;	/* owned */
	struct regex		*re;	/* regex types only */
	/*
	 * What the pattern allows to skip the regex engine: when set_n > 0
	 * the regex is exactly one of these literals (owned, sorted,
	 * each once).
	 */
	struct str		*set;
	size_t			 set_n;
	struct str		 prefix;	/* literal every match starts with */
	enum matcher_shape	 shape;
	struct str		 part;	/* literal of the shape, owned */
};

/* ERR_BAD_DATA for a bad regex, worded as Go's. Copies name and value. */
int	 matcher_init(struct matcher *m, enum matcher_type type,
	    struct str name, struct str value, struct err *err);
void	 matcher_clear(struct matcher *m);
bool	 matcher_matches(const struct matcher *m, struct str value);
/* matcher_matches(m, "") */
bool	 matcher_matches_empty(const struct matcher *m);
/* name="value" as the reference prints it. */
void	 matcher_format(const struct matcher *m, struct buf *out);
const char *matcher_type_text(enum matcher_type type);

#endif
