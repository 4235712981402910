/* SPDX-License-Identifier: ISC */

/*
 * Blocks of the arena: size classes (every unit up to 8, then four a
 * doubling), a list of free blocks each, linked through their first word.
 * Fresh ones come from the top; when that reached the end, bigger free
 * blocks are used for smaller needs. Blocks are never joined: sizes repeat.
 */

#include "workers/storage/head_priv.h"

#include <string.h>

void
head_alloc_init(struct head_alloc *a, uint32_t first_unit, uint32_t end_unit)
{
	uint32_t units = 1, step = 1;
	int n = 0;

	memset(a, 0, sizeof(*a));
	a->top = first_unit;
	a->end = end_unit;
	while (n < HEAD_CLASSES && units <= HEAD_CLASS_MAX_UNITS) {
		a->class_units[n++] = units;
		if (units >= 8 && (units & (units - 1)) == 0)
			step = units / 4;
		units += step;
	}
	a->n_classes = n;
}

/* The smallest class that holds this many units; -1 when none does. */
static int
class_of(const struct head_alloc *a, uint32_t units)
{
	int log2, c;

	if (units <= 8)
		return units == 0 ? 0 : (int)units - 1;
	if (units > HEAD_CLASS_MAX_UNITS)
		return -1;
	/* Class 7 is 8 units; four classes follow for each doubling. */
	log2 = 31 - __builtin_clz(units - 1);
	c = 7 + (log2 - 3) * 4 +
	    (int)((units - 1 - ((uint32_t)1 << log2)) >> (log2 - 2)) + 1;
	return c < a->n_classes ? c : -1;
}

uint32_t
head_alloc_size(const struct head_alloc *a, uint32_t units)
{
	int c = class_of(a, units);

	return c == -1 ? units : a->class_units[c];
}

static head_off
pop(struct head *h, int c)
{
	struct head_alloc *a = &h->alloc;
	head_off off = a->free_list[c];

	memcpy(&a->free_list[c], head_ptr(h, off), sizeof(head_off));
	a->free_units -= a->class_units[c];
	return off;
}

/* The rest of a bigger block, in classes from the largest that fits. */
static void
give_back(struct head *h, head_off off, uint32_t units)
{
	struct head_alloc *a = &h->alloc;

	for (int c = a->n_classes - 1; c >= 0 && units > 0; c--) {
		while (a->class_units[c] <= units) {
			memcpy(head_ptr(h, off), &a->free_list[c],
			    sizeof(head_off));
			a->free_list[c] = off;
			a->free_units += a->class_units[c];
			off += a->class_units[c];
			units -= a->class_units[c];
		}
	}
}

head_off
head_alloc(struct head *h, uint32_t units)
{
	struct head_alloc *a = &h->alloc;
	int c = class_of(a, units);
	uint32_t size;
	head_off off = 0;

	if (c == -1)
		return 0;
	size = a->class_units[c];
	if (a->free_list[c] != 0)
		off = pop(h, c);
	else if (a->end - a->top >= size) {
		off = a->top;
		a->top += size;
		__atomic_store_n(&h->super->top_units, a->top,
		    __ATOMIC_RELAXED);
	} else {
		for (int big = c + 1; big < a->n_classes; big++) {
			if (a->free_list[big] == 0)
				continue;
			off = pop(h, big);
			give_back(h, off + size,
			    a->class_units[big] - size);
			break;
		}
	}
	if (off == 0)
		return 0;
	a->used_units += size;
	__atomic_store_n(&h->super->used_bytes, a->used_units * HEAD_UNIT,
	    __ATOMIC_RELAXED);
	return off;
}

head_off
head_zalloc(struct head *h, uint32_t units)
{
	uint32_t top = h->alloc.top;
	head_off off = head_alloc(h, units);

	/* Fresh memory is zero already, and touching it is not free. */
	if (off != 0 && off < top)
		memset(head_ptr(h, off), 0,
		    (size_t)head_alloc_size(&h->alloc, units) * HEAD_UNIT);
	return off;
}

void
head_alloc_free(struct head *h, head_off off, uint32_t units)
{
	struct head_alloc *a = &h->alloc;
	int c = class_of(a, units);

	if (off == 0 || c == -1)
		return;
	memcpy(head_ptr(h, off), &a->free_list[c], sizeof(head_off));
	a->free_list[c] = off;
	a->free_units += a->class_units[c];
	a->used_units -= a->class_units[c];
}

uint64_t
head_alloc_room(const struct head *h)
{
	return (uint64_t)(h->alloc.end - h->alloc.top) +
	    h->alloc.free_units / 2;
}
