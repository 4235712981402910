/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_JSON_H
#define BRAZIER_COMMON_BASE_JSON_H

/* JSON out. (JSON in is jansson's.) The caller writes the brackets. */

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/str.h"

/*
 * A quoted string. Control bytes and invalid UTF-8 (as U+FFFD) escaped as
 * Go's encoder does; html also writes <, >, & as \u003c …
 */
void	 json_add_str(struct buf *b, struct str s, bool html);

/* "key": — with the quotes and the colon; keys are our own, not escaped. */
void	 json_add_key(struct buf *b, const char *key);

/* Milliseconds as the API prints them: 1435781451.781, 1435781451.100, 5. */
void	 json_add_time_ms(struct buf *b, int64_t ms);

#endif
