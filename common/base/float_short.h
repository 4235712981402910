/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_FLOAT_SHORT_H
#define BRAZIER_COMMON_BASE_FLOAT_SHORT_H

/*
 * Shortest decimal text of the floats that metrics mostly are: with a
 * fraction, neither huge nor tiny. The digits are those of to_chars and of
 * Go: the shortest that read back as the same float, of these the nearest.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What out must hold; bytes behind the text may be overwritten. */
#define FLOAT_SHORT_MAX	64
#define UINT_TEXT_MAX	24

/*
 * As 'f' with the shortest digits, for fractions in 2^-20 <= |v| < 2^52.
 * Returns the length; 0 for any other v.
 */
size_t	 float_short_f(double v, char *out);

/* Decimal digits of an integer, at most 20; out holds UINT_TEXT_MAX. */
size_t	 uint_text(uint64_t u, char *out);

#ifdef __cplusplus
}
#endif

#endif
