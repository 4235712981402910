/* SPDX-License-Identifier: ISC */

/* The table of series refs that replay knows; see the header. */

#include "workers/storage/replay_refs.h"

#include <stdlib.h>

#define SLOTS_MIN	1024

void
replay_refs_clear(struct replay_refs *r)
{
	free(r->slot);
	*r = (struct replay_refs)REPLAY_REFS_INIT;
}

static void
place(struct replay_refs *r, uint64_t ref, uint64_t handle)
{
	size_t i = replay_refs_home(r, ref);

	while (r->slot[i].ref != 0 && r->slot[i].ref != ref)
		i = (i + 1) & r->mask;
	if (r->slot[i].ref == 0)
		r->n++;
	r->slot[i] = (struct replay_ref){ ref, handle };
}

static int
grow(struct replay_refs *r)
{
	size_t slots = r->mask == 0 ? SLOTS_MIN : (r->mask + 1) * 2;
	struct replay_refs old = *r;

	if ((r->slot = calloc(slots, sizeof(*r->slot))) == NULL) {
		r->slot = old.slot;
		return -1;
	}
	r->mask = slots - 1;
	r->n = 0;
	for (size_t i = 0; old.mask != 0 && i <= old.mask; i++)
		if (old.slot[i].ref != 0)
			place(r, old.slot[i].ref, old.slot[i].handle);
	free(old.slot);
	return 0;
}

int
replay_refs_put(struct replay_refs *r, uint64_t ref, uint64_t handle)
{
	if (ref == 0) {
		r->has_zero = true;
		r->zero_handle = handle;
		return 0;
	}
	/* Never more than two thirds full. */
	if ((r->n + 1) * 3 > r->mask * 2 && grow(r) == -1)
		return -1;
	place(r, ref, handle);
	return 0;
}
