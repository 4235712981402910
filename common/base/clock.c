/* SPDX-License-Identifier: ISC */
/* Reading and printing clocks. */
#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

mono_time
mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_time){ (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec };
}

int64_t
wall_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
wall_now_ms(void)
{
	return wall_now_ns() / 1000000;
}

/* Seconds rounded down and the rest, for times before 1970 too. */
static void
split(int64_t v, int64_t unit, time_t *s, int64_t *rest)
{
	*rest = v % unit;
	*s = v / unit;
	if (*rest < 0) {
		*rest += unit;
		(*s)--;
	}
}

void
wall_format_ms(int64_t ms, char out[25])
{
	char text[64];
	struct tm tm;
	int64_t rest;
	time_t s;

	split(ms, 1000, &s, &rest);
	if (gmtime_r(&s, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, (int)rest);
	memcpy(out, text, 24);
	out[24] = '\0';
}

void
wall_format_rfc3339_ns(int64_t ns, char out[36])
{
	char text[80], frac[16];
	struct tm tm;
	int64_t rest;
	time_t s;
	int n;

	split(ns, 1000000000, &s, &rest);
	if (gmtime_r(&s, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	frac[0] = '\0';
	if (rest != 0) {
		n = snprintf(frac, sizeof(frac), ".%09d", (int)rest);
		while (frac[n - 1] == '0')
			frac[--n] = '\0';
	}
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d%sZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, frac);
	memcpy(out, text, 35);
	out[35] = '\0';
}
