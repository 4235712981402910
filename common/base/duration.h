/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_DURATION_H
#define BRAZIER_COMMON_BASE_DURATION_H

/* Texts of durations and sizes, in the reference's two dialects. */

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

/*
 * Prometheus durations: units y w d h m s ms, largest first, each once, no
 * fraction, no sign; "0" alone is allowed. Result in ms.
 * Errors as the reference: `empty duration string`, `not a valid duration
 * string: "x"`, `duration out of range`.
 */
int	 duration_parse(struct str text, int64_t *ms_out, struct err *err);

/* "1d", "1h30m", "0s", "1m1ms": as the reference prints it; 32 bytes. */
void	 duration_format(int64_t ms, char out[32]);

/* Go's time.ParseDuration ("1.5ms", "1h2m", "-2s"); result in ns. */
int	 duration_parse_go(struct str text, int64_t *ns_out, struct err *err);
/* Go's Duration.String ("1.2s", "2m0s", "1h0m0s", "350ms", "15µs"). */
void	 duration_format_go(int64_t ns, char out[40]);

/*
 * "512MB", "1.5GB", "10KiB1B": sums of number+unit, 1024-based; a bare 0 is
 * allowed. Texts as the reference ("units: unknown unit …").
 */
int	 bytes_parse(struct str text, int64_t *bytes_out, struct err *err);
/* "512MiB", "0B", "1GiB512MiB": as the reference prints sizes; 64 bytes. */
void	 bytes_format(int64_t bytes, char out[64]);

#endif
