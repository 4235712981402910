/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_VEC_H
#define BRAZIER_COMMON_BASE_VEC_H

#include <stddef.h>

/*
 * Growth of a heap array {T *p; size_t n, cap;}: makes room for `need`
 * elements in all, doubling. `pp` is the address of the pointer. 0, or -1
 * when memory is out (the array stays as it was).
 *
 *	if (vec_grow(&t->items, &t->cap, t->n + 1, sizeof(*t->items)) == -1)
 */
int	 vec_grow(void *pp, size_t *cap, size_t need, size_t elem_bytes);

/* malloc, calloc and strdup for process bookkeeping: fatal_nomem. */
void	*xmalloc(size_t n);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *p, size_t n);
char	*xstrdup(const char *s);

#endif
