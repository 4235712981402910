/* SPDX-License-Identifier: ISC */

/* See time_text.h. */

#include "supervisor/ctl/time_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/float_text.h"

/* "Z", "+02:00": seconds east of Greenwich. */
static int
parse_zone(const char *text, double *out)
{
	int hours, minutes, used = 0;

	if (strcmp(text, "Z") == 0) {
		*out = 0;
		return 0;
	}
	if ((*text != '+' && *text != '-') ||
	    sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 ||
	    text[1 + used] != '\0' || hours < 0 || hours > 23 || minutes < 0 ||
	    minutes > 59)
		return -1;
	*out = (hours * 60 + minutes) * 60.0 * (*text == '-' ? -1 : 1);
	return 0;
}

int
time_text_parse(const char *text, double *seconds_out, struct err *err)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *rest;
	double fraction = 0, zone;

	if (float_parse(text, strlen(text), seconds_out) && isfinite(*seconds_out))
		return 0;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest != NULL && *rest == '.') {
		size_t n = strspn(rest + 1, "0123456789") + 1;

		if (!float_parse(rest, n, &fraction))
			rest = NULL;
		else
			rest += n;
	}
	if (rest == NULL || parse_zone(rest, &zone) == -1)
		return err_set(err, ERR_BAD_DATA,
		    "cannot parse \"%s\" to a valid timestamp", text);
	*seconds_out = (double)timegm(&tm) + fraction - zone;
	return 0;
}
