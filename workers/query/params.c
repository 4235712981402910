/* SPDX-License-Identifier: ISC */
/*
 * Times, durations and numbers of API parameters. The arithmetic of float
 * times is the reference's, rounding included, so that a time that a client
 * sends selects the same millisecond here and there.
 */
#include "workers/query/params.h"

#include <math.h>
#include <stdio.h>

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/quote.h"

struct str
params_get(const struct params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (str_eq_c(p->items[i].name, name))
			return p->items[i].value;
	}
	return STR_EMPTY;
}

int
param_invalid(struct err *err, const char *name)
{
	return err_wrap(err, "invalid parameter \"%s\"", name);
}

/* `before "quoted" after` */
static int
bad_value(struct err *err, const char *before, struct str s,
    const char *after)
{
	struct buf b;

	buf_init(&b, 0);
	quote_add(&b, str_from(s.p, s.n < 256 ? s.n : 256));
	(void)err_set(err, ERR_BAD_DATA, "%s %.*s%s", before,
	    STR_ARG(buf_str(&b)), after);
	buf_clear(&b);
	return -1;
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Seconds and the nanoseconds behind them, floored to ms and clamped. */
static int64_t
seconds_to_ms(double whole, int64_t ns)
{
	if (!(whole > -9.2e15))
		return PARAM_TIME_MIN_MS;
	if (whole > 9.2e15)
		return PARAM_TIME_MAX_MS;
	int64_t ms = (int64_t)whole * 1000 + floor_div(ns, 1000000);

	return ms < PARAM_TIME_MIN_MS ? PARAM_TIME_MIN_MS :
	    ms > PARAM_TIME_MAX_MS ? PARAM_TIME_MAX_MS : ms;
}

static bool
digits(const char **p, const char *end, int n, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		if (*p == end || **p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (*(*p)++ - '0');
	}
	return true;
}

static bool
lit(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t
days_of(int64_t y, int m, int d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

static int
days_in(int y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };

	if (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
		return 29;
	return days[m - 1];
}

/* "Z", "+02:00"; seconds east of UTC. */
static bool
zone(const char **p, const char *end, int *offset_out)
{
	int h, m, sign;

	*offset_out = 0;
	if (lit(p, end, 'Z'))
		return true;
	if (*p == end || (**p != '+' && **p != '-'))
		return false;
	sign = *(*p)++ == '-' ? -1 : 1;
	if (!digits(p, end, 2, &h) || !lit(p, end, ':') ||
	    !digits(p, end, 2, &m) || h > 24 || m > 59)
		return false;
	*offset_out = sign * (h * 3600 + m * 60);
	return true;
}

/* Fractions of a second of any length; digits beyond ns count for nothing. */
static bool
fraction(const char **p, const char *end, int64_t *ns_out)
{
	int64_t scale = 100000000;
	const char *from;

	*ns_out = 0;
	if (!lit(p, end, '.') && !lit(p, end, ','))
		return true;
	for (from = *p; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		*ns_out += (**p - '0') * scale;
		scale /= 10;
	}
	return *p > from;
}

static bool
rfc3339_parse(struct str s, int64_t *ms_out)
{
	const char *p = s.p, *end = s.p + s.n;
	int y, mo, d, h, mi, sec, offset;
	int64_t ns;

	if (!digits(&p, end, 4, &y) || !lit(&p, end, '-') ||
	    !digits(&p, end, 2, &mo) || !lit(&p, end, '-') ||
	    !digits(&p, end, 2, &d) || !lit(&p, end, 'T') ||
	    !digits(&p, end, 2, &h) || !lit(&p, end, ':') ||
	    !digits(&p, end, 2, &mi) || !lit(&p, end, ':') ||
	    !digits(&p, end, 2, &sec) || !fraction(&p, end, &ns) ||
	    !zone(&p, end, &offset) || p != end)
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > days_in(y, mo) || h > 23 ||
	    mi > 59 || sec > 59)
		return false;
	*ms_out = (days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec -
	    offset) * 1000 + ns / 1000000;
	return true;
}

int
param_time_parse(struct str s, int64_t *ms_out, struct err *err)
{
	double v;

	if (float_parse(s.p, s.n, &v) && !isnan(v)) {
		double whole, frac = modf(v, &whole);

		frac = round(frac * 1000) / 1000;
		*ms_out = seconds_to_ms(whole, (int64_t)(frac * 1e9));
		return 0;
	}
	if (rfc3339_parse(s, ms_out))
		return 0;
	if (str_eq_c(s, "-292273086-05-16T16:47:06Z"))
		*ms_out = PARAM_TIME_MIN_MS;
	else if (str_eq_c(s, "292277025-08-18T07:12:54.999999999Z"))
		*ms_out = PARAM_TIME_MAX_MS;
	else
		return bad_value(err, "cannot parse", s,
		    " to a valid timestamp");
	return 0;
}

int
params_time(const struct params *p, const char *name, int64_t fallback_ms,
    int64_t *ms_out, struct err *err)
{
	struct str s = params_get(p, name);

	*ms_out = fallback_ms;
	if (s.n == 0 || param_time_parse(s, ms_out, err) == 0)
		return 0;
	(void)err_wrap(err, "invalid time value for '%s'", name);
	return param_invalid(err, name);
}

int
params_time_required(const struct params *p, const char *name,
    int64_t *ms_out, struct err *err)
{
	if (param_time_parse(params_get(p, name), ms_out, err) == -1)
		return param_invalid(err, name);
	return 0;
}

int
param_duration_parse(struct str s, int64_t *ns_out, struct err *err)
{
	struct err ignored = ERR_INIT;
	int64_t ms;
	double v;

	if (float_parse(s.p, s.n, &v)) {
		v *= 1e9;
		/* what the reference's processors make of it */
		if (isnan(v)) {
			*ns_out = INT64_MIN;
			return 0;
		}
		if (!(v < 9223372036854775808.0 && v >= -9223372036854775808.0))
			return bad_value(err, "cannot parse", s,
			    " to a valid duration. It overflows int64");
		*ns_out = (int64_t)v;
		return 0;
	}
	if (duration_parse(s, &ms, &ignored) == 0 &&
	    ms <= INT64_MAX / 1000000) {
		*ns_out = ms * 1000000;
		return 0;
	}
	return bad_value(err, "cannot parse", s, " to a valid duration");
}

int
params_duration(const struct params *p, const char *name, int64_t *ns_out,
    struct err *err)
{
	if (param_duration_parse(params_get(p, name), ns_out, err) == -1)
		return param_invalid(err, name);
	return 0;
}

int
param_int_parse(struct str s, int64_t *out, struct err *err)
{
	size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
	bool minus = i == 1 && s.p[0] == '-', overflow = false;
	int64_t v = 0;

	if (i == s.n)
		return bad_value(err, "strconv.Atoi: parsing", s,
		    ": invalid syntax");
	for (; i < s.n; i++) {
		int d = s.p[i] - '0';

		if (d < 0 || d > 9)
			return bad_value(err, "strconv.Atoi: parsing", s,
			    ": invalid syntax");
		overflow = overflow || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, minus ? -d : d, &v);
	}
	if (overflow)
		return bad_value(err, "strconv.Atoi: parsing", s,
		    ": value out of range");
	*out = v;
	return 0;
}

int
params_limit(const struct params *p, uint64_t *out, struct err *err)
{
	struct str s = params_get(p, "limit");
	int64_t v;

	*out = 0;
	if (s.n == 0)
		return 0;
	if (param_int_parse(s, &v, err) == -1)
		return param_invalid(err, "limit");
	if (v < 0) {
		(void)err_set(err, ERR_BAD_DATA, "limit must be non-negative");
		return param_invalid(err, "limit");
	}
	*out = (uint64_t)v;
	return 0;
}
