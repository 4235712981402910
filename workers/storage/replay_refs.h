/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_REFS_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_REFS_H

/*
 * Series refs of a WAL to the handles of replay's caller. Refs count up from
 * 1, and sample records name them in order: most of them are an index into
 * an array. Those that are too far above the number of series (old heads
 * with much churn, or damage) live in a hash table.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replay_ref {
	uint64_t	ref;
	uint64_t	stored;		/* 0 = empty slot */
};

struct replay_refs {
	/* handle + 2, so that 0 is none; handles wrap. */
	uint64_t		*dense;
	size_t			 n_dense;
	size_t			 n;		/* refs in all */

	struct replay_ref	*slot;
	size_t			 n_hashed;
	size_t			 mask;		/* slots - 1; 0 while empty */
};

#define REPLAY_REFS_INIT { NULL, 0, 0, NULL, 0, 0 }

void	 replay_refs_clear(struct replay_refs *r);
/*
 * Sets or replaces; handle is anything but UINT64_MAX - 1. -1 when memory is
 * out.
 */
int	 replay_refs_put(struct replay_refs *r, uint64_t ref,
	    uint64_t handle);

static inline size_t
replay_refs_home(const struct replay_refs *r, uint64_t ref)
{
	return (size_t)(ref * 0x9e3779b97f4a7c15ULL >> 24) & r->mask;
}

/* Ahead of a get, by some refs. Inlined, or gcc drops the call. */
static inline __attribute__((always_inline)) void
replay_refs_prefetch(const struct replay_refs *r, uint64_t ref)
{
	if (ref >= r->n_dense && r->mask != 0)
		__builtin_prefetch(&r->slot[replay_refs_home(r, ref)]);
}

/* False when the ref was never put. */
static inline bool
replay_refs_get(const struct replay_refs *r, uint64_t ref,
    uint64_t *handle_out)
{
	size_t i;

	if (ref < r->n_dense && r->dense[ref] != 0) {
		*handle_out = r->dense[ref] - 2;
		return true;
	}
	if (r->mask == 0)
		return false;
	i = replay_refs_home(r, ref);
	while (r->slot[i].stored != 0 && r->slot[i].ref != ref)
		i = (i + 1) & r->mask;
	*handle_out = r->slot[i].stored - 2;
	return r->slot[i].stored != 0;
}

#endif
