/* SPDX-License-Identifier: ISC */
/* Memory by lifetime: a chain of growing blocks, freed whole. */
#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN		16u
#define ARENA_FIRST_BLOCK	((size_t)4096)
#define ARENA_LARGEST_BLOCK	((size_t)1 << 20)

struct arena_block {
	struct arena_block	*next;
	size_t			 size;	/* with this header */
};

#define ARENA_HEADER \
	((sizeof(struct arena_block) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1))

void
arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){
	    .limit_bytes = limit_bytes, .next_block = ARENA_FIRST_BLOCK };
}

void
arena_clear(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	arena_init(a, a->limit_bytes);
}

void
arena_reset(struct arena *a)
{
	struct arena_block *keep = a->blocks, *b, *next;

	if (keep == NULL) {
		arena_clear(a);
		return;
	}
	for (b = keep->next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	keep->next = NULL;
	a->p = (char *)keep + ARENA_HEADER;
	a->end = (char *)keep + keep->size;
	a->used_bytes = a->peak_bytes = keep->size;
	a->failed = false;
}

bool
arena_account(struct arena *a, size_t n)
{
	size_t used;

	if (__builtin_add_overflow(a->used_bytes, n, &used) ||
	    (a->limit_bytes != 0 && used > a->limit_bytes)) {
		a->failed = true;
		return false;
	}
	a->used_bytes = used;
	if (used > a->peak_bytes)
		a->peak_bytes = used;
	return true;
}

void
arena_release(struct arena *a, size_t n)
{
	a->used_bytes = n > a->used_bytes ? 0 : a->used_bytes - n;
}

static bool
arena_grow(struct arena *a, size_t need)
{
	struct arena_block *b;
	size_t size = a->next_block;

	if (need > SIZE_MAX - ARENA_HEADER) {
		a->failed = true;
		return false;
	}
	need += ARENA_HEADER;
	if (size < need)
		size = need;
	/* near the limit a small block still may do */
	if (a->limit_bytes != 0 && size > need &&
	    (a->used_bytes > a->limit_bytes ||
	    size > a->limit_bytes - a->used_bytes))
		size = need;
	if (!arena_account(a, size))
		return false;
	if ((b = malloc(size)) == NULL) {
		arena_release(a, size);
		a->failed = true;
		return false;
	}
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	a->p = (char *)b + ARENA_HEADER;
	a->end = (char *)b + size;
	if (a->next_block < ARENA_LARGEST_BLOCK)
		a->next_block *= 2;
	return true;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p;

	if (n > SIZE_MAX - ARENA_ALIGN) {
		a->failed = true;
		return NULL;
	}
	n = (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (a->p == NULL || (size_t)(a->end - a->p) < n) {
		if (!arena_grow(a, n))
			return NULL;
	}
	p = a->p;
	a->p += n;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	if (p != NULL)
		memset(p, 0, n);
	return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, total);
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *p;

	if (s.n == SIZE_MAX || (p = arena_alloc(a, s.n + 1)) == NULL)
		return (struct str){ NULL, 0 };
	if (s.n != 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){ p, s.n };
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = arena_alloc(a, (size_t)n + 1)) == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
