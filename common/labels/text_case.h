/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_LABELS_TEXT_CASE_H
#define BRAZIER_COMMON_LABELS_TEXT_CASE_H

/*
 * Upper and lower case of UTF-8 text, rune by rune, without a locale: the
 * Latin, Greek, Cyrillic, Armenian and full-width letters. Bad bytes become
 * U+FFFD, as in Go's strings.ToLower and ToUpper of such text.
 */

#include "common/base/buf.h"
#include "common/base/str.h"

void	 text_add_lower(struct buf *out, struct str s);
void	 text_add_upper(struct buf *out, struct str s);

#endif
