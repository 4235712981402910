/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_UTF8_H
#define BRAZIER_COMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

/* Go's utf8.ValidString: no surrogates, no overlong forms, ≤ U+10FFFF. */
bool	 utf8_valid(struct str s);

/* Decodes one rune; *rune = 0xFFFD and 1 for a bad byte; 0 at the end. */
size_t	 utf8_decode(const char *p, size_t n, uint32_t *rune_out);

/* 1 to 4 bytes into out. */
size_t	 utf8_encode(uint32_t rune, char out[4]);

/* Runes, a bad byte counting as one. */
size_t	 utf8_count(struct str s);

#endif
