/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_FLOAT_TEXT_H
#define BRAZIER_COMMON_BASE_FLOAT_TEXT_H

/*
 * Float text as Go reads and prints it (strconv.ParseFloat, FormatFloat with
 * precision -1), over std::from_chars and std::to_chars. Safe in C: no
 * exception leaves.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Go's ParseFloat(s, 64): decimal and hex floats, "inf", "+Inf", "infinity",
 * "nan" in any case, underscores not accepted. Values out of range give
 * ±Inf and false. false = not a number in full.
 */
bool	 float_parse(const char *p, size_t n, double *out);

/* Longest output of any of the formats below, without NUL. */
#define FLOAT_TEXT_MAX	400

/*
 * Shortest text that reads back the same; return the length written to out
 * (not terminated). `f`: no exponent ever (Go 'f'). `g`: Go 'g' (exponent
 * when exp < -4 || exp >= 6, as strconv's shortest form and %v). `e`: Go 'e'.
 * NaN, +Inf and -Inf as "NaN", "+Inf", "-Inf".
 */
size_t	 float_format_f(double v, char *out);
size_t	 float_format_g(double v, char *out);
size_t	 float_format_e(double v, char *out);

/* The HTTP API's sample value: 'f', or 'e' if |v| < 1e-6 or >= 1e21. */
size_t	 float_format_json(double v, char *out);

#ifdef __cplusplus
}
#endif

#endif
