/* SPDX-License-Identifier: ISC */

/*
 * The arena's life: the memfd, its superblock, and the small questions about
 * the head as a whole.
 *
 * The read-only fd is opened before the mode becomes 0; afterwards nobody,
 * readers included, can open the memfd again, and the seals keep its length.
 */

#include "workers/storage/head_priv.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/vec.h"

/* Known series may still grow into this part: 1/16 of the arena. */
#define RESERVE_SHIFT	4
#define CEILING_MIN	((uint64_t)4 << 20)
#define CEILING_MAX	((uint64_t)UINT32_MAX * HEAD_UNIT & ~(uint64_t)4095)

static int
arena_open(struct head *h, struct err *err)
{
	char path[64];
	void *p;

	h->fd = memfd_create("head", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (h->fd == -1)
		return err_set_os(err, "making the head arena");
	if (ftruncate(h->fd, (off_t)h->size_bytes) == -1 ||
	    fcntl(h->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == -1)
		return err_set_os(err, "sizing the head arena");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", h->fd);
	h->reader_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (h->reader_fd == -1 || fchmod(h->fd, 0) == -1)
		return err_set_os(err, "opening the head arena for readers");
	p = mmap(NULL, (size_t)h->size_bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, h->fd, 0);
	if (p == MAP_FAILED)
		return err_set_os(err, "mapping the head arena");
	h->base = p;
	/* Fewer TLB misses where the kernel grants it; else no harm. */
	(void)madvise(p, (size_t)h->size_bytes, MADV_HUGEPAGE);
	return 0;
}

static void
super_init(struct head *h)
{
	struct head_super *s = h->super = (struct head_super *)h->base;

	s->version = HEAD_VERSION;
	s->super_units = sizeof(*s) / HEAD_UNIT;
	s->size_bytes = h->size_bytes;
	s->id = (uint64_t)wall_now_ns();
	s->epoch = 1;
	s->mint_ms = INT64_MAX;
	s->maxt_ms = INT64_MIN;
	s->min_valid_ms = (uint64_t)INT64_MIN;
	/* The first page behind the superblock; one unit at the end stays
	 * free, so that eight-byte loads at a block's end are inside. */
	head_alloc_init(&h->alloc, s->super_units,
	    (uint32_t)(h->size_bytes / HEAD_UNIT) - 4);
	s->top_units = h->alloc.top;
	h->reserve_units = h->alloc.end >> RESERVE_SHIFT;
	head_store64(&s->magic, HEAD_MAGIC);
}

struct head *
head_new(const struct head_options *o, struct err *err)
{
	struct head *h = xcalloc(1, sizeof(*h));

	h->fd = h->reader_fd = -1;
	h->size_bytes = o->ceiling_bytes & ~(uint64_t)4095;
	if (h->size_bytes < CEILING_MIN)
		h->size_bytes = CEILING_MIN;
	if (h->size_bytes > CEILING_MAX)
		h->size_bytes = CEILING_MAX;
	h->chunk_range_ms = o->chunk_range_ms > 0 ? o->chunk_range_ms :
	    HEAD_CHUNK_RANGE_MS;
	h->chunk_samples = o->chunk_samples > 0 ? o->chunk_samples :
	    HEAD_CHUNK_SAMPLES;
	/* Twice that, and what the publication word holds. */
	if (h->chunk_samples > HEAD_CHUNK_SAMPLES_MAX / 2)
		h->chunk_samples = HEAD_CHUNK_SAMPLES_MAX / 2;
	head_growth_init(h);
	h->next_ref = 1;
	h->max_valid_ms = INT64_MAX;
	buf_init(&h->new_series, 0);
	buf_init(&h->samples, 0);
	if (arena_open(h, err) == -1) {
		head_free(h);
		return NULL;
	}
	super_init(h);
	return h;
}

void
head_free(struct head *h)
{
	if (h == NULL)
		return;
	while (h->readers != NULL)
		head_reader_del(h, h->readers);
	head_index_free(h);
	head_alloc_clear(&h->alloc);
	head_refs_free(h);
	for (size_t i = 0; i < HEAD_SEGMENTS; i++)
		free(h->state[i]);
	buf_clear(&h->new_series);
	buf_clear(&h->samples);
	free(h->acc);
	free(h->acc_slot);
	free(h->limbo);
	free(h->full);
	if (h->base != NULL)
		(void)munmap(h->base, (size_t)h->size_bytes);
	if (h->fd != -1)
		(void)close(h->fd);
	if (h->reader_fd != -1)
		(void)close(h->reader_fd);
	free(h);
}

int
head_reader_fd(const struct head *h)
{
	return h->reader_fd;
}

uint64_t
head_size_bytes(const struct head *h)
{
	return h->size_bytes;
}

uint64_t
head_id(const struct head *h)
{
	return h->super->id;
}

void
head_set_log(struct head *h, head_log_fn *fn, void *arg)
{
	h->log = fn;
	h->log_arg = arg;
}

void
head_set_min_valid(struct head *h, int64_t t_ms)
{
	__atomic_store_n(&h->super->min_valid_ms, (uint64_t)t_ms,
	    __ATOMIC_RELAXED);
}

void
head_set_max_valid(struct head *h, int64_t t_ms)
{
	h->max_valid_ms = t_ms;
}

void
head_set_ooo_window(struct head *h, int64_t window_ms)
{
	h->ooo_window_ms = window_ms < 0 ? 0 : window_ms;
}

const struct head_counters *
head_counters(const struct head *h)
{
	return &h->count;
}

void
head_memory(const struct head *h, uint64_t *used_bytes,
    uint64_t *ceiling_bytes)
{
	*used_bytes = h->alloc.used_units * HEAD_UNIT;
	*ceiling_bytes = ((uint64_t)h->alloc.end - h->reserve_units) * HEAD_UNIT;
}

uint64_t
head_touched_bytes(const struct head *h)
{
	return (uint64_t)h->alloc.top * HEAD_UNIT -
	    (uint64_t)h->alloc.n_empty * HEAD_PAGE_BYTES;
}

uint64_t
head_n_series(const struct head *h)
{
	return h->super->n_series;
}

uint64_t
head_n_chunks(const struct head *h)
{
	return h->super->n_chunks;
}

int64_t
head_max_time(const struct head *h)
{
	return h->super->maxt_ms;
}

int64_t
head_min_time(const struct head *h)
{
	return h->super->mint_ms;
}

void
head_times_add(struct head *h, int64_t mint_ms, int64_t maxt_ms)
{
	if (mint_ms < h->super->mint_ms)
		head_store_time(&h->super->mint_ms, mint_ms);
	if (maxt_ms > h->super->maxt_ms)
		head_store_time(&h->super->maxt_ms, maxt_ms);
}
