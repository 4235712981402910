/* SPDX-License-Identifier: ISC */
/* Values that are wiped when they go. */
#include "common/base/secret.h"

#include <stdlib.h>

int
secret_set(struct secret *s, struct str value)
{
	char *p = str_dup(value);

	if (p == NULL)
		return -1;
	secret_clear(s);
	s->p = p;
	s->n = value.n;
	return 0;
}

void
secret_clear(struct secret *s)
{
	if (s->p != NULL)
		explicit_bzero(s->p, s->n);
	free(s->p);
	*s = (struct secret){ 0 };
}

struct str
secret_reveal(const struct secret *s)
{
	return s->p == NULL ? STR_EMPTY : str_from(s->p, s->n);
}
