/* SPDX-License-Identifier: ISC */

/* The table of series refs that replay knows; see the header. */

#include "workers/storage/replay_refs.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN	1024
/* The array may have this many entries for each ref, beyond the first. */
#define DENSE_SPREAD	8
#define DENSE_FREE	65536

void
replay_refs_clear(struct replay_refs *r)
{
	free(r->dense);
	free(r->slot);
	*r = (struct replay_refs)REPLAY_REFS_INIT;
}

/* 1 when the array has room for ref now, 0 when it is too far, or -1. */
static int
dense_reach(struct replay_refs *r, uint64_t ref)
{
	uint64_t limit = ((uint64_t)r->n + 1) * DENSE_SPREAD + DENSE_FREE;
	size_t n = r->n_dense * 2;
	uint64_t *p;

	if (ref < r->n_dense)
		return 1;
	if (ref >= limit)
		return 0;
	if (n <= ref)
		n = (size_t)ref + 1 + DENSE_FREE;
	if ((p = realloc(r->dense, n * sizeof(*p))) == NULL)
		return -1;
	memset(p + r->n_dense, 0, (n - r->n_dense) * sizeof(*p));
	r->dense = p;
	r->n_dense = n;
	return 1;
}

static void
place(struct replay_refs *r, uint64_t ref, uint64_t stored)
{
	size_t i = replay_refs_home(r, ref);

	while (r->slot[i].stored != 0 && r->slot[i].ref != ref)
		i = (i + 1) & r->mask;
	r->n_hashed += r->slot[i].stored == 0;
	r->slot[i] = (struct replay_ref){ ref, stored };
}

static int
grow(struct replay_refs *r)
{
	size_t slots = r->mask == 0 ? SLOTS_MIN : (r->mask + 1) * 2;
	struct replay_ref *old = r->slot;
	size_t n_old = r->mask == 0 ? 0 : r->mask + 1;

	if ((r->slot = calloc(slots, sizeof(*r->slot))) == NULL) {
		r->slot = old;
		return -1;
	}
	r->mask = slots - 1;
	r->n_hashed = 0;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].stored != 0)
			place(r, old[i].ref, old[i].stored);
	free(old);
	return 0;
}

int
replay_refs_put(struct replay_refs *r, uint64_t ref, uint64_t handle)
{
	uint64_t stored = handle + 2, was;
	bool known = replay_refs_get(r, ref, &was);

	switch (dense_reach(r, ref)) {
	case -1:
		return -1;
	case 1:
		/* An older entry in the hash table is hidden by this one. */
		r->dense[ref] = stored;
		r->n += !known;
		return 0;
	default:
		break;
	}
	/* Never more than two thirds full. */
	if ((r->n_hashed + 1) * 3 > r->mask * 2 && grow(r) == -1)
		return -1;
	place(r, ref, stored);
	r->n += !known;
	return 0;
}
