/* SPDX-License-Identifier: ISC */
/* Growth of heap arrays, and allocation that may not fail. */
#include "common/base/vec.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

int
vec_grow(void *pp, size_t *cap, size_t need, size_t elem_bytes)
{
	size_t n = *cap == 0 ? 8 : *cap, total;
	void *p;

	if (need <= *cap)
		return 0;
	while (n < need) {
		if (__builtin_mul_overflow(n, 2, &n))
			return -1;
	}
	if (__builtin_mul_overflow(n, elem_bytes, &total))
		return -1;
	memcpy(&p, pp, sizeof(p));
	if ((p = realloc(p, total)) == NULL)
		return -1;
	memcpy(pp, &p, sizeof(p));
	*cap = n;
	return 0;
}

void *
xmalloc(size_t n)
{
	return xrealloc(NULL, n);
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		fatal_nomem();
	return p;
}

void *
xrealloc(void *p, size_t n)
{
	if ((p = realloc(p, n == 0 ? 1 : n)) == NULL)
		fatal_nomem();
	return p;
}

char *
xstrdup(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		fatal_nomem();
	return p;
}
