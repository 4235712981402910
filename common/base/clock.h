/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_CLOCK_H
#define BRAZIER_COMMON_BASE_CLOCK_H

/*
 * Time. Samples carry int64_t milliseconds since the Unix epoch (…_ms);
 * intervals and deadlines are measured with mono_time, a struct so that the
 * two cannot be mixed up.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct { int64_t ns; } mono_time;

mono_time mono_now(void);
int64_t	 wall_now_ms(void);
int64_t	 wall_now_ns(void);

static inline int64_t
mono_sub_ns(mono_time a, mono_time b)
{
	return a.ns - b.ns;
}

static inline mono_time
mono_add_ms(mono_time t, int64_t ms)
{
	return (mono_time){ t.ns + ms * 1000000 };
}

static inline int
mono_before(mono_time a, mono_time b)
{
	return a.ns < b.ns;
}

/* "2026-03-01T09:30:05.123Z"; needs 25 bytes. */
void	 wall_format_ms(int64_t ms, char out[25]);

/*
 * RFC3339 with nanoseconds as Go prints it ("…05.123456789Z", trailing
 * zeros of the fraction cut, no fraction when 0); needs 36 bytes.
 */
void	 wall_format_rfc3339_ns(int64_t ns, char out[36]);

#endif
