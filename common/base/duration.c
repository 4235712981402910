/* SPDX-License-Identifier: ISC */
/*
 * Durations as Prometheus (model.ParseDuration) and Go (time.ParseDuration)
 * write them, and sizes in units of 1024.
 */
#include "common/base/duration.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/float_text.h"

#define MS_MAX	(INT64_MAX / 1000000)	/* the reference counts in ns */

static const struct {
	const char	*name;
	int64_t		 ms;
	bool		 exact;	/* printed only when it divides evenly */
} units[] = {
	{ "y", 365LL * 24 * 3600 * 1000, true },
	{ "w", 7LL * 24 * 3600 * 1000, true },
	{ "d", 24LL * 3600 * 1000, false },
	{ "h", 3600LL * 1000, false },
	{ "m", 60LL * 1000, false },
	{ "s", 1000, false },
	{ "ms", 1, false }
};
#define N_UNITS	(sizeof(units) / sizeof(units[0]))

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
duration_bad(struct str text, struct err *err)
{
	return err_set(err, ERR_BAD_DATA,
	    "not a valid duration string: \"%.*s\"", STR_ARG(text));
}

int
duration_parse(struct str text, int64_t *ms_out, struct err *err)
{
	size_t i = 0, u = 0, k, start;
	struct str unit;
	int64_t total = 0, part;
	uint64_t n;

	if (text.n == 0)
		return err_set(err, ERR_BAD_DATA, "empty duration string");
	if (text.n == 1 && text.p[0] == '0') {
		*ms_out = 0;
		return 0;
	}
	while (i < text.n) {
		bool over = false;

		start = i;
		for (n = 0; i < text.n && is_digit(text.p[i]); i++)
			over |= __builtin_mul_overflow(n, 10, &n) ||
			    __builtin_add_overflow(n,
			    (uint64_t)(text.p[i] - '0'), &n);
		/* More than 64 bits are no number at all. */
		if (i == start || over)
			return duration_bad(text, err);
		start = i;
		while (i < text.n && !is_digit(text.p[i]))
			i++;
		unit = str_from(text.p + start, i - start);
		for (k = 0; k < N_UNITS && !str_eq_c(unit, units[k].name); k++)
			;
		if (k == N_UNITS && unit.n != 0)
			return err_set(err, ERR_BAD_DATA,
			    "unknown unit \"%.*s\" in duration \"%.*s\"",
			    STR_ARG(unit), STR_ARG(text));
		if (k == N_UNITS || k < u)
			return duration_bad(text, err);
		u = k;
		if (__builtin_mul_overflow(n, units[u].ms, &part) ||
		    __builtin_add_overflow(total, part, &total) ||
		    total > MS_MAX)
			return err_set(err, ERR_BAD_DATA,
			    "duration out of range");
		u++;
	}
	*ms_out = total;
	return 0;
}

void
duration_format(int64_t ms, char out[32])
{
	uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	size_t u, n = 0;

	if (ms == 0) {
		memcpy(out, "0s", 3);
		return;
	}
	if (ms < 0)
		out[n++] = '-';
	for (u = 0; u < N_UNITS; u++) {
		uint64_t unit = (uint64_t)units[u].ms;

		if (units[u].exact && left % unit != 0)
			continue;
		if (left / unit > 0) {
			n += (size_t)snprintf(out + n, 32 - n, "%llu%s",
			    (unsigned long long)(left / unit), units[u].name);
			left %= unit;
		}
	}
	out[n] = '\0';
}

static const struct {
	const char	*name;
	double		 ns;
} go_units[] = {
	{ "ns", 1 }, { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "\xce\xbcs", 1e3 },
	{ "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 }
};

static int
go_bad(const char *what, struct str text, struct err *err)
{
	return err_set(err, ERR_BAD_DATA, "time: %s \"%.*s\"", what,
	    STR_ARG(text));
}

int
duration_parse_go(struct str text, int64_t *ns_out, struct err *err)
{
	size_t i = 0, start, u;
	double total = 0, v;
	bool neg = false;

	if (text.n > 0 && (text.p[0] == '-' || text.p[0] == '+'))
		neg = text.p[i++] == '-';
	if (text.n - i == 1 && text.p[i] == '0') {
		*ns_out = 0;
		return 0;
	}
	if (i == text.n)
		return go_bad("invalid duration", text, err);
	while (i < text.n) {
		start = i;
		while (i < text.n && (is_digit(text.p[i]) || text.p[i] == '.'))
			i++;
		if (i == start || !float_parse(text.p + start, i - start, &v))
			return go_bad("invalid duration", text, err);
		start = i;
		while (i < text.n && !is_digit(text.p[i]) && text.p[i] != '.')
			i++;
		if (i == start)
			return go_bad("missing unit in duration", text, err);
		for (u = 0; u < sizeof(go_units) / sizeof(go_units[0]); u++)
			if (str_eq_c(str_from(text.p + start, i - start),
			    go_units[u].name))
				break;
		if (u == sizeof(go_units) / sizeof(go_units[0]))
			return err_set(err, ERR_BAD_DATA, "time: unknown unit "
			    "\"%.*s\" in duration \"%.*s\"", (int)(i - start),
			    text.p + start, STR_ARG(text));
		total += v * go_units[u].ns;
	}
	if (total >= 9223372036854775807.0)
		return go_bad("invalid duration", text, err);
	*ns_out = neg ? -(int64_t)total : (int64_t)total;
	return 0;
}

/* n / 10^digits without trailing zeros. */
static size_t
go_fraction(uint64_t n, int digits, char *out)
{
	char text[48];
	uint64_t unit = 1;
	size_t len;
	int i;

	for (i = 0; i < digits; i++)
		unit *= 10;
	len = (size_t)snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)(n / unit));
	if (n % unit != 0) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    ".%0*llu", digits, (unsigned long long)(n % unit));
		while (text[len - 1] == '0')
			len--;
	}
	memcpy(out, text, len);
	return len;
}

void
duration_format_go(int64_t ns, char out[40])
{
	uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, s;
	size_t n = 0;

	if (ns == 0) {
		memcpy(out, "0s", 3);
		return;
	}
	if (ns < 0)
		out[n++] = '-';
	if (left < 1000000000) {
		if (left < 1000)
			n += go_fraction(left, 0, out + n);
		else if (left < 1000000)
			n += go_fraction(left, 3, out + n);
		else
			n += go_fraction(left, 6, out + n);
		memcpy(out + n, left < 1000 ? "ns" : left < 1000000 ?
		    "\xc2\xb5s" : "ms", left < 1000 || left >= 1000000 ? 3 : 4);
		return;
	}
	s = left / 1000000000;
	if (s >= 3600)
		n += (size_t)snprintf(out + n, 40 - n, "%lluh",
		    (unsigned long long)(s / 3600));
	if (s >= 60)
		n += (size_t)snprintf(out + n, 40 - n, "%llum",
		    (unsigned long long)(s % 3600 / 60));
	n += go_fraction(left % 60000000000ULL, 9, out + n);
	memcpy(out + n, "s", 2);
}

static const struct {
	const char	*name;
	int		 shift;
} byte_units[] = {
	{ "EiB", 60 }, { "EB", 60 }, { "PiB", 50 }, { "PB", 50 },
	{ "TiB", 40 }, { "TB", 40 }, { "GiB", 30 }, { "GB", 30 },
	{ "MiB", 20 }, { "MB", 20 }, { "KiB", 10 }, { "KB", 10 }, { "B", 0 }
};
#define N_BYTE_UNITS	(sizeof(byte_units) / sizeof(byte_units[0]))

int
bytes_parse(struct str text, int64_t *bytes_out, struct err *err)
{
	size_t i = 0, start, u;
	double total = 0, v;
	bool neg = false;

	if (text.n > 0 && (text.p[0] == '-' || text.p[0] == '+'))
		neg = text.p[i++] == '-';
	if (text.n - i == 1 && text.p[i] == '0') {
		*bytes_out = 0;
		return 0;
	}
	if (i == text.n)
		return err_set(err, ERR_BAD_DATA, "units: invalid %.*s",
		    STR_ARG(text));
	while (i < text.n) {
		start = i;
		while (i < text.n && (is_digit(text.p[i]) || text.p[i] == '.'))
			i++;
		if (i == start || !float_parse(text.p + start, i - start, &v))
			return err_set(err, ERR_BAD_DATA, "units: invalid %.*s",
			    STR_ARG(text));
		start = i;
		while (i < text.n && !is_digit(text.p[i]) && text.p[i] != '.')
			i++;
		for (u = 0; u < N_BYTE_UNITS; u++)
			if (str_eq_c(str_from(text.p + start, i - start),
			    byte_units[u].name))
				break;
		if (u == N_BYTE_UNITS)
			return err_set(err, ERR_BAD_DATA,
			    "units: unknown unit %.*s in %.*s",
			    (int)(i - start), text.p + start, STR_ARG(text));
		total += ldexp(v, byte_units[u].shift);
	}
	if (total >= 9223372036854775807.0)
		return err_set(err, ERR_BAD_DATA, "units: invalid %.*s",
		    STR_ARG(text));
	*bytes_out = neg ? -(int64_t)total : (int64_t)total;
	return 0;
}

void
bytes_format(int64_t bytes, char out[64])
{
	uint64_t left = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
	size_t u, n = 0;

	if (bytes == 0) {
		memcpy(out, "0B", 3);
		return;
	}
	if (bytes < 0)
		out[n++] = '-';
	for (u = 0; u < N_BYTE_UNITS; u++) {
		uint64_t unit = 1ULL << byte_units[u].shift;

		/* only the IEC names, and plain B */
		if (byte_units[u].shift != 0 && byte_units[u].name[1] != 'i')
			continue;
		if (left / unit > 0) {
			n += (size_t)snprintf(out + n, 64 - n, "%llu%s",
			    (unsigned long long)(left / unit),
			    byte_units[u].name);
			left %= unit;
		}
	}
	out[n] = '\0';
}
