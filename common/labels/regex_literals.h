/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_LABELS_REGEX_LITERALS_H
#define BRAZIER_COMMON_LABELS_REGEX_LITERALS_H

/*
 * What can be known of a fully anchored regex without running it: `a|b|c`
 * and `foo(bar|baz)` are finite sets, `abc.*` has a prefix. Used by matchers
 * and relabel rules; a pattern must have been accepted by regex_new() first.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/str.h"

/* A pattern that expands to more strings is not taken as a set. */
#define REGEX_LITERALS_MAX	4096

struct regex_literals {
	/*
	 * exact: the pattern matches these strings and no other. Else every
	 * match begins with one of them; n == 0: nothing is known.
	 * Sorted by bytes, each once; memory of the arena.
	 */
	struct str	*s;
	size_t		 n;
	bool		 exact;
};

/* Never fails: what is not understood (or too big) gives n == 0. */
struct regex_literals regex_literals_find(struct arena *a, struct str pattern);

/* Longest common prefix of all; empty when nothing is known. */
struct str regex_literals_prefix(const struct regex_literals *lits);

/* Binary search. */
bool	 str_set_has(const struct str *sorted, size_t n, struct str s);

#endif
