/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_REFS_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_REFS_H

/*
 * Series refs of a WAL to the handles of replay's caller: a hash table in
 * which refs that follow each other lie side by side, since they stand side
 * by side in sample records too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replay_ref {
	uint64_t	ref;		/* 0 = empty */
	uint64_t	handle;
};

struct replay_refs {
	struct replay_ref	*slot;
	size_t			 n;
	size_t			 mask;	/* slots - 1; 0 while empty */
	bool			 has_zero;
	uint64_t		 zero_handle;	/* of ref 0, which no one uses */
};

#define REPLAY_REFS_INIT { NULL, 0, 0, false, 0 }

void	 replay_refs_clear(struct replay_refs *r);
/* Sets or replaces. -1 when memory is out. */
int	 replay_refs_put(struct replay_refs *r, uint64_t ref,
	    uint64_t handle);

static inline size_t
replay_refs_home(const struct replay_refs *r, uint64_t ref)
{
	uint64_t h = (ref >> 3) * 0x9e3779b97f4a7c15ULL;

	return (size_t)((h >> 29 & ~UINT64_C(7)) | (ref & 7)) & r->mask;
}

static inline bool
replay_refs_get(const struct replay_refs *r, uint64_t ref,
    uint64_t *handle_out)
{
	if (ref == 0 || r->mask == 0) {
		*handle_out = r->zero_handle;
		return ref == 0 && r->has_zero;
	}
	for (size_t i = replay_refs_home(r, ref);; i = (i + 1) & r->mask) {
		if (r->slot[i].ref == ref) {
			*handle_out = r->slot[i].handle;
			return true;
		}
		if (r->slot[i].ref == 0)
			return false;
	}
}

#endif
