/* SPDX-License-Identifier: ISC */

/*
 * Epochs. A retired block is unlinked already: only a reader that holds an
 * epoch not later than the moment's may still look at it. The global epoch
 * is stepped while blocks wait; those older than every held epoch are free.
 *
 * A reader's page is hostile: its number is only compared. One that shows an
 * old epoch for good only keeps memory from being reused, until it is
 * reported and killed.
 */

#include "workers/storage/head_priv.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/vec.h"

#define LIMBO_MIN	1024

static void
limbo_grow(struct head *h)
{
	size_t cap = h->limbo_cap == 0 ? LIMBO_MIN : h->limbo_cap * 2;
	struct retired *to = xcalloc(cap, sizeof(*to));

	for (size_t i = 0; i < h->limbo_n; i++)
		to[i] = h->limbo[(h->limbo_at + i) & (h->limbo_cap - 1)];
	free(h->limbo);
	h->limbo = to;
	h->limbo_at = 0;
	h->limbo_cap = cap;
}

void
head_retire(struct head *h, head_off off, uint32_t units)
{
	if (off == 0)
		return;
	if (h->readers == NULL) {
		head_alloc_free(h, off, units);
		return;
	}
	if (h->limbo_n == h->limbo_cap)
		limbo_grow(h);
	h->limbo[(h->limbo_at + h->limbo_n++) & (h->limbo_cap - 1)] =
	    (struct retired){ h->super->epoch, off, units };
}

/* Blocks retired before this epoch may be freed. */
static uint64_t
oldest_held(struct head *h, int64_t now_ns)
{
	uint64_t oldest = h->super->epoch;

	for (struct head_reader_slot *r = h->readers; r != NULL;
	    r = r->next) {
		uint64_t e = __atomic_load_n(&r->page->epoch,
		    __ATOMIC_SEQ_CST);

		if (e != r->held) {
			r->held = e;
			r->since_ns = now_ns;
			r->reported = false;
		}
		if (e != 0 && e < oldest)
			oldest = e;
	}
	return oldest;
}

void
head_epoch_step(struct head *h)
{
	__atomic_store_n(&h->super->epoch, h->super->epoch + 1,
	    __ATOMIC_SEQ_CST);
	/* Pairs with the reader's fence: see head_reader_begin. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
head_reclaim(struct head *h, int64_t now_ns)
{
	uint64_t oldest;

	if (h->limbo_n > 0)
		head_epoch_step(h);
	oldest = oldest_held(h, now_ns);
	while (h->limbo_n > 0) {
		struct retired *r = &h->limbo[h->limbo_at];

		if (r->epoch >= oldest)
			break;
		head_alloc_free(h, r->off, r->units);
		h->limbo_at = (h->limbo_at + 1) & (h->limbo_cap - 1);
		h->limbo_n--;
	}
}

bool
head_reader_overdue(struct head *h, int64_t now_ns, int64_t limit_ns,
    uint32_t *id_out)
{
	for (struct head_reader_slot *r = h->readers; r != NULL;
	    r = r->next) {
		if (r->held == 0 || r->reported ||
		    now_ns - r->since_ns <= limit_ns)
			continue;
		r->reported = true;
		h->count.readers_overdue++;
		*id_out = r->id;
		return true;
	}
	return false;
}

struct head_reader_slot *
head_reader_add(struct head *h, int page_fd, uint32_t id, struct err *err)
{
	int want = F_SEAL_SHRINK | F_SEAL_SEAL;
	int seals = fcntl(page_fd, F_GET_SEALS);
	struct head_reader_slot *r;
	struct stat st;
	void *p;

	if (seals == -1 || (seals & want) != want ||
	    fstat(page_fd, &st) == -1 || st.st_size != HEAD_PAGE_BYTES) {
		err_set(err, ERR_BAD_DATA,
		    "epoch page is not a sealed memfd of one page");
		return NULL;
	}
	p = mmap(NULL, HEAD_PAGE_BYTES, PROT_READ, MAP_SHARED, page_fd, 0);
	if (p == MAP_FAILED) {
		err_set_os(err, "mapping an epoch page");
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	r->page = p;
	r->id = id;
	r->next = h->readers;
	h->readers = r;
	return r;
}

void
head_reader_del(struct head *h, struct head_reader_slot *r)
{
	struct head_reader_slot **at;

	for (at = &h->readers; *at != NULL && *at != r; at = &(*at)->next)
		;
	if (*at == NULL)
		return;
	*at = r->next;
	(void)munmap(r->page, HEAD_PAGE_BYTES);
	free(r);
}
