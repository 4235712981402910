/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_ARENA_H
#define BRAZIER_COMMON_BASE_ARENA_H

/*
 * Memory by lifetime: many small allocations, freed whole. One arena a
 * request, a scrape, an evaluation. It counts bytes and refuses beyond its
 * limit, which is how a query's byte account works.
 *
 * Not for memory that comes and goes within the lifetime: use malloc and
 * arena_account for that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena_block;

struct arena {
	struct arena_block	*blocks;	/* newest first */
	char			*p;		/* free part of the newest */
	char			*end;
	size_t			 used_bytes;	/* blocks + accounted */
	size_t			 peak_bytes;
	size_t			 limit_bytes;	/* 0 = none */
	size_t			 next_block;	/* size of the next block */
	bool			 failed;	/* a request was refused */
};

void	 arena_init(struct arena *a, size_t limit_bytes);
/* Frees everything; the arena can be used again. */
void	 arena_clear(struct arena *a);
/* As arena_clear, but keeps one block for the next use. */
void	 arena_reset(struct arena *a);

/*
 * n bytes aligned to 16, not cleared. NULL (and a->failed) beyond the limit
 * or when memory is out. n may be 0.
 */
void	*arena_alloc(struct arena *a, size_t n);
void	*arena_zalloc(struct arena *a, size_t n);
/* n * size with overflow check. */
void	*arena_array(struct arena *a, size_t n, size_t size);
/* Copy with a terminating NUL. p is NULL after a failure. */
struct str arena_str(struct arena *a, struct str s);
char	*arena_printf(struct arena *a, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/*
 * Counts n bytes that live elsewhere (malloc'ed) against the limit; false
 * and nothing counted when that would go beyond it. arena_release gives
 * them back.
 */
bool	 arena_account(struct arena *a, size_t n);
void	 arena_release(struct arena *a, size_t n);

#endif
