/* SPDX-License-Identifier: ISC */

/*
 * Blocks of the arena in size classes.
 *
 *	up to 1 KiB	slabs of one 4 KiB page: blocks of one class in it. For
 *			each number of blocks a page can hold there is one class,
 *			the largest that so many times goes into it
 *	above		four classes a doubling:
 *	up to 16 KiB	slabs of 64 KiB, aligned to that
 *	above		on their own, a list of free ones for each class
 *
 * A slab without used blocks goes back to a pool from which any class takes
 * its next one. That matters: chunks of series that are scraped together
 * grow together, so whole slabs of the smaller class become free.
 *
 * A slab's free blocks are linked through their first word; what is known of
 * a slab is private to this process. Slabs with free blocks are in a list of
 * their class. Fresh memory comes from the top; when that reached the end,
 * or when much is free in big things, these are broken into pages. Pages are
 * never joined.
 *
 * Pages that stay free are given back to the kernel (head_trim): the chunks
 * of 100,000 series that were made together become full together, and half
 * of the arena is free then for a good while.
 */

#include "workers/storage/head_priv.h"

#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"

#define PAGE_UNITS	256u	/* 4 KiB */
#define BIG_UNITS	4096u	/* 64 KiB */
#define PAGE_BLOCK_MAX	HEAD_PAGE_BLOCK_MAX
#define BIG_BLOCK_MAX	1024u
#define BIG_FREE_UNITS	(1u << 15)	/* 512 KiB, and a part of what is used */
#define TRIM_PAGES_MAX	8192u	/* in one turn: 32 MiB */
#define TRIM_KEEP_PAGES	64u	/* and a 64th of what is used */

/* By the number of its first page. */
struct head_slab {
	uint32_t	next, prev;	/* of the class's list; 0 = none */
	head_off	free;		/* its free blocks */
	uint16_t	used;		/* blocks */
	uint16_t	fresh;		/* blocks behind were never used */
};

void
head_alloc_init(struct head_alloc *a, uint32_t first_unit, uint32_t end_unit)
{
	uint32_t units, step;
	int n = 0;

	memset(a, 0, sizeof(*a));
	a->top = (first_unit + PAGE_UNITS - 1) / PAGE_UNITS * PAGE_UNITS;
	a->end = end_unit;
	for (units = 1; units <= PAGE_BLOCK_MAX; units++) {
		a->small_class[units] = (uint8_t)n;
		if (PAGE_UNITS / units != PAGE_UNITS / (units + 1))
			a->class_units[n++] = units;
	}
	a->n_small = n;
	for (units = PAGE_BLOCK_MAX, step = units / 4; n < HEAD_CLASSES &&
	    units + step <= HEAD_CLASS_MAX_UNITS;) {
		units += step;
		a->class_units[n++] = units;
		if ((units & (units - 1)) == 0)
			step = units / 4;
	}
	a->n_classes = n;
	a->slab = xcalloc((size_t)end_unit / PAGE_UNITS + 1,
	    sizeof(*a->slab));
}

void
head_alloc_clear(struct head_alloc *a)
{
	free(a->slab);
	free(a->page);
	free(a->empty);
	free(a->big);
	a->slab = NULL;
	a->page = a->empty = a->big = NULL;
}

/* The smallest class that holds this many units; -1 when none does. */
static int
class_of(const struct head_alloc *a, uint32_t units)
{
	int log2, c;

	if (units <= PAGE_BLOCK_MAX)
		return a->small_class[units == 0 ? 1 : units];
	if (units > HEAD_CLASS_MAX_UNITS)
		return -1;
	/* Four classes follow PAGE_BLOCK_MAX, 2^6, and each doubling of it. */
	log2 = 31 - __builtin_clz(units - 1);
	c = a->n_small + (log2 - 6) * 4 +
	    (int)((units - 1 - ((uint32_t)1 << log2)) >> (log2 - 2));
	return c < a->n_classes ? c : -1;
}

uint32_t
head_alloc_size(const struct head_alloc *a, uint32_t units)
{
	int c = class_of(a, units);

	return c == -1 ? units : a->class_units[c];
}

/* --- pages and big slabs --- */

/* Both give memory back to a pool; what the pool cannot note is lost. */
static void
page_free(struct head_alloc *a, head_off off)
{
	if (vec_grow(&a->page, &a->page_cap, a->n_pages + 1,
	    sizeof(*a->page)) == 0) {
		a->page[a->n_pages++] = off;
		a->free_units += PAGE_UNITS;
	}
}

static void
big_free(struct head_alloc *a, head_off off)
{
	if (vec_grow(&a->big, &a->big_cap, a->n_big + 1,
	    sizeof(*a->big)) == 0) {
		a->big[a->n_big++] = off;
		a->free_units += BIG_UNITS;
	}
}

static void
set_top(struct head *h, uint32_t top)
{
	h->alloc.top = top;
	__atomic_store_n(&h->super->top_units, top, __ATOMIC_RELAXED);
}

/* A free block above the slabs' sizes, of class c or larger; 0: none. */
static head_off
direct_pop(struct head *h, int c, uint32_t *units_out)
{
	struct head_alloc *a = &h->alloc;

	for (; c < a->n_classes; c++) {
		head_off off = a->free_list[c];

		if (off == 0)
			continue;
		memcpy(&a->free_list[c], head_ptr(h, off), sizeof(off));
		a->free_units -= a->class_units[c];
		*units_out = a->class_units[c];
		return off;
	}
	return 0;
}

/* A free big thing becomes pages. */
static void
pages_break(struct head *h)
{
	struct head_alloc *a = &h->alloc;
	uint32_t units = BIG_UNITS;
	head_off off;

	if (a->n_big > 0) {
		off = a->big[--a->n_big];
		a->free_units -= BIG_UNITS;
	} else
		off = direct_pop(h, 0, &units);
	for (; off != 0 && units >= PAGE_UNITS;
	    units -= PAGE_UNITS, off += PAGE_UNITS)
		page_free(a, off);
}

static head_off
page_alloc(struct head *h)
{
	struct head_alloc *a = &h->alloc;
	head_off off;

	if (a->n_pages == 0 && a->n_empty > 0) {
		a->free_units -= PAGE_UNITS;
		return a->empty[--a->n_empty];
	}
	/* Lists that have grown leave much behind that no list needs. */
	if (a->n_pages == 0 && a->free_units > BIG_FREE_UNITS +
	    a->used_units / 128)
		pages_break(h);
	if (a->n_pages == 0 && a->end - a->top >= PAGE_UNITS) {
		off = a->top;
		set_top(h, a->top + PAGE_UNITS);
		return off;
	}
	if (a->n_pages == 0)
		pages_break(h);
	if (a->n_pages == 0)
		return 0;
	a->free_units -= PAGE_UNITS;
	if (--a->n_pages < a->n_pages_low)
		a->n_pages_low = a->n_pages;
	return a->page[a->n_pages];
}

static head_off
big_alloc(struct head *h)
{
	struct head_alloc *a = &h->alloc;
	uint64_t from = ((uint64_t)a->top + BIG_UNITS - 1) / BIG_UNITS *
	    BIG_UNITS;

	if (a->n_big > 0) {
		a->free_units -= BIG_UNITS;
		return a->big[--a->n_big];
	}
	if (from + BIG_UNITS > a->end)
		return 0;
	for (uint32_t gap = a->top; gap < from; gap += PAGE_UNITS)
		page_free(a, gap);
	set_top(h, (uint32_t)from + BIG_UNITS);
	return (head_off)from;
}

/* --- slabs --- */

static void
slab_link(struct head_alloc *a, int c, uint32_t number)
{
	struct head_slab *s = &a->slab[number];

	s->prev = 0;
	s->next = a->partial[c];
	if (s->next != 0)
		a->slab[s->next].prev = number;
	a->partial[c] = number;
}

static void
slab_unlink(struct head_alloc *a, int c, uint32_t number)
{
	struct head_slab *s = &a->slab[number];

	if (s->prev != 0)
		a->slab[s->prev].next = s->next;
	else
		a->partial[c] = s->next;
	if (s->next != 0)
		a->slab[s->next].prev = s->prev;
}

static head_off
slab_alloc(struct head *h, int c)
{
	struct head_alloc *a = &h->alloc;
	uint32_t size = a->class_units[c], number = a->partial[c];
	uint32_t whole = size <= PAGE_BLOCK_MAX ? PAGE_UNITS : BIG_UNITS;
	struct head_slab *s;
	head_off off;

	if (number == 0) {
		off = whole == PAGE_UNITS ? page_alloc(h) : big_alloc(h);
		if (off == 0)
			return 0;
		number = off / PAGE_UNITS;
		a->slab[number] = (struct head_slab){ 0 };
		slab_link(a, c, number);
	}
	s = &a->slab[number];
	if (s->free != 0) {
		off = s->free;
		memcpy(&s->free, head_ptr(h, off), sizeof(off));
	} else
		off = number * PAGE_UNITS + s->fresh++ * size;
	s->used++;
	if (s->free == 0 && (s->fresh + 1u) * size > whole)
		slab_unlink(a, c, number);
	return off;
}

static void
slab_free(struct head *h, int c, head_off off)
{
	struct head_alloc *a = &h->alloc;
	uint32_t size = a->class_units[c];
	uint32_t whole = size <= PAGE_BLOCK_MAX ? PAGE_UNITS : BIG_UNITS;
	uint32_t number = off / whole * (whole / PAGE_UNITS);
	struct head_slab *s = &a->slab[number];
	bool was_full = s->free == 0 && (s->fresh + 1u) * size > whole;

	memcpy(head_ptr(h, off), &s->free, sizeof(off));
	s->free = off;
	if (was_full)
		slab_link(a, c, number);
	if (--s->used > 0)
		return;
	slab_unlink(a, c, number);
	if (whole == PAGE_UNITS)
		page_free(a, number * PAGE_UNITS);
	else
		big_free(a, number * PAGE_UNITS);
}

/* --- the rest of the world's view --- */

static head_off
direct_alloc(struct head *h, int c)
{
	struct head_alloc *a = &h->alloc;
	uint32_t size = a->class_units[c], units;
	head_off off;

	if (a->free_list[c] != 0)
		return direct_pop(h, c, &units);
	if (a->end - a->top >= size) {
		off = a->top;
		set_top(h, a->top + size);
		return off;
	}
	off = direct_pop(h, c, &units);
	for (uint32_t rest = size; off != 0 && rest + PAGE_UNITS <= units;
	    rest += PAGE_UNITS)
		page_free(a, off + rest);
	return off;
}

head_off
head_alloc(struct head *h, uint32_t units)
{
	struct head_alloc *a = &h->alloc;
	int c = class_of(a, units);
	head_off off;

	if (c == -1)
		return 0;
	off = a->class_units[c] <= BIG_BLOCK_MAX ? slab_alloc(h, c) :
	    direct_alloc(h, c);
	if (off == 0)
		return 0;
	a->used_units += a->class_units[c];
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
	a->used_units -= a->class_units[c];
	if (a->class_units[c] <= BIG_BLOCK_MAX) {
		slab_free(h, c, off);
		return;
	}
	memcpy(head_ptr(h, off), &a->free_list[c], sizeof(off));
	a->free_list[c] = off;
	a->free_units += a->class_units[c];
}

static int
by_offset(const void *a, const void *b)
{
	head_off x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Gives the memory of n pages back, run by run; how many it was. */
static size_t
pages_remove(struct head *h, const head_off *page, size_t n)
{
	size_t from = 0;

	while (from < n) {
		size_t to = from + 1;

		while (to < n && page[to] == page[to - 1] + PAGE_UNITS)
			to++;
		if (madvise(head_ptr(h, page[from]),
		    (to - from) * PAGE_UNITS * HEAD_UNIT, MADV_REMOVE) == -1)
			break;
		from = to;
	}
	return from;
}

void
head_trim(struct head *h)
{
	struct head_alloc *a = &h->alloc;
	uint64_t keep = TRIM_KEEP_PAGES + a->used_units / PAGE_UNITS / 64;
	size_t n = a->n_pages_low > keep ? a->n_pages_low - (size_t)keep : 0;

	/* The lowest of the stack were not used since the last turn. */
	a->n_pages_low = a->n_pages;
	if (n > TRIM_PAGES_MAX)
		n = TRIM_PAGES_MAX;
	if (n == 0 || vec_grow(&a->empty, &a->empty_cap, a->n_empty + n,
	    sizeof(*a->empty)) == -1)
		return;
	qsort(a->page, n, sizeof(*a->page), by_offset);
	n = pages_remove(h, a->page, n);
	memcpy(a->empty + a->n_empty, a->page, n * sizeof(*a->page));
	a->n_empty += n;
	a->n_pages -= n;
	memmove(a->page, a->page + n, a->n_pages * sizeof(*a->page));
	a->n_pages_low = a->n_pages;
}

uint64_t
head_alloc_room(const struct head *h)
{
	return (uint64_t)(h->alloc.end - h->alloc.top) + h->alloc.free_units;
}
