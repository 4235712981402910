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

struct matcher {
	enum matcher_type	 type;
	struct str		 name;	/* owned */
	struct str		 value;	/* owned */
	struct regex		*re;	/* regex types only */
	/*
	 * What the pattern allows to skip the regex engine: when set_n > 0
	 * the regex is exactly one of these literals (owned).
	 */
	struct str		*set;
	size_t			 set_n;
	struct str		 prefix;	/* literal every match starts with */
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
