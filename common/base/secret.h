/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_SECRET_H
#define BRAZIER_COMMON_BASE_SECRET_H

/*
 * A value that must not be shown: printed as <secret>, wiped on free, never
 * an argument of a log call or struct err.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct secret { char *p; size_t n; };

#define SECRET_SHOWN	"<secret>"

/* Copies; -1 when memory is out. Wipes what was there. */
int	 secret_set(struct secret *s, struct str value);
void	 secret_clear(struct secret *s);
static inline bool
secret_is_set(const struct secret *s)
{
	return s->p != NULL;
}
/* The bytes themselves, for the one place that dials. */
struct str secret_reveal(const struct secret *s);

#endif
