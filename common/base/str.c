/* SPDX-License-Identifier: ISC */
/* The few operations of struct str that are not inline. */
#include "common/base/str.h"

#include <stdlib.h>

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

char *
str_dup(struct str s)
{
	char *p = malloc(s.n + 1);

	if (p == NULL)
		return NULL;
	if (s.n != 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}
