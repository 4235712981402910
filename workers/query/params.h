/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_PARAMS_H
#define BRAZIER_WORKERS_QUERY_PARAMS_H

/*
 * The values of API parameters, read and refused as the reference does.
 * Errors are ERR_BAD_DATA with the text of the envelope.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"

/* Default range of labels, series, label values; inclusive. */
#define PARAM_TIME_MIN_MS	((INT64_MIN / 1000 + 62135596801) * 1000)
#define PARAM_TIME_MAX_MS	((INT64_MAX / 1000 - 62135596801) * 1000 + 999)

struct param {
	struct str	name;
	struct str	value;
};

struct params {
	const struct param	*items;
	size_t			 n;
};

/* First value, empty when absent: as Go's FormValue. */
struct str params_get(const struct params *p, const char *name);

/*
 * Unix seconds (rounded to ms), RFC3339, or the reference's own extreme
 * times. `cannot parse "x" to a valid timestamp`.
 */
int	 param_time_parse(struct str s, int64_t *ms_out, struct err *err);

/*
 * A time parameter: `invalid parameter "start": invalid time value for
 * 'start': cannot parse …`; fallback_ms when absent.
 */
int	 params_time(const struct params *p, const char *name,
	    int64_t fallback_ms, int64_t *ms_out, struct err *err);
/* The same where it must be there: `invalid parameter "start": cannot …`. */
int	 params_time_required(const struct params *p, const char *name,
	    int64_t *ms_out, struct err *err);

/* Float seconds or a Prometheus duration, in ns. */
int	 param_duration_parse(struct str s, int64_t *ns_out, struct err *err);
/* `invalid parameter "step": cannot parse …`. */
int	 params_duration(const struct params *p, const char *name,
	    int64_t *ns_out, struct err *err);

/* 0 when absent: no limit. `invalid parameter "limit": …`. */
int	 params_limit(const struct params *p, uint64_t *out, struct err *err);

/* Go's strconv.Atoi with its error texts; -1 leaves *out unset. */
int	 param_int_parse(struct str s, int64_t *out, struct err *err);

/* `invalid parameter "name": ` before the text that is there; -1. */
int	 param_invalid(struct err *err, const char *name);

#endif
