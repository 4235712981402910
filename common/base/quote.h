/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_QUOTE_H
#define BRAZIER_COMMON_BASE_QUOTE_H

/* Text in double quotes as Go's strconv.Quote and %q write it. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/str.h"

/*
 * Appends "…" with \a \b \f \n \r \t \v \\ \" escaped, other control bytes
 * and invalid UTF-8 as \x00, runes that cannot be printed as \u0000 or
 * \U00000000.
 */
void	 quote_add(struct buf *out, struct str s);

/* One rune in single quotes, as Go's strconv.QuoteRune. */
void	 quote_add_rune(struct buf *out, uint32_t rune);

/* Go's unicode.IsPrint, unassigned code points counting as printable. */
bool	 quote_rune_is_print(uint32_t rune);

#endif
