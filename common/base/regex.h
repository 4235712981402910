/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_REGEX_H
#define BRAZIER_COMMON_BASE_REGEX_H

/*
 * Go's regexp dialect over RE2: linear time, no back-references. One small
 * C++ file behind this header. A compiled regex is immutable and can be
 * shared.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct regex;

enum regex_flags {
	/*
	 * The pattern is compiled as ^(?:…)$, with REGEX_DOTALL as ^(?s:…)$.
	 * As in the reference, `a)|(b` slips out of the parentheses.
	 */
	REGEX_ANCHORED = 1,
	REGEX_DOTALL = 2,	/* . matches newline */
	/* Matches the whole text only; the pattern is compiled as it is. */
	REGEX_WHOLE = 4
};

/*
 * NULL and an ERR_BAD_DATA worded as Go's ("error parsing regexp: missing
 * closing ): `…`"). Memory for one pattern is bounded (8 MiB).
 */
struct regex *regex_new(struct str pattern, int flags, struct err *err);
void	 regex_free(struct regex *re);

bool	 regex_matches(const struct regex *re, struct str text);

/*
 * Matches and expands Go's $1, ${1}, $name, ${name}, $$ of `template` into
 * out. false when the text does not match (out untouched).
 */
bool	 regex_expand(const struct regex *re, struct str text,
	    struct str template_, struct buf *out);

/*
 * Replaces every match with the expanded template, as Go's
 * ReplaceAllString.
 */
void	 regex_replace_all(const struct regex *re, struct str text,
	    struct str template_, struct buf *out);

int	 regex_n_groups(const struct regex *re);

#ifdef __cplusplus
}
#endif

#endif
