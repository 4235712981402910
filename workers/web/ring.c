/* SPDX-License-Identifier: ISC */
/* Mapping reply rings, and checking what their processes say about them. */
#include "workers/web/ring.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Big enough, and it cannot shrink under the mapping. */
static bool
is_solid(int fd, uint64_t size)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals != -1 && (seals & F_SEAL_SHRINK) != 0 &&
	    fstat(fd, &st) == 0 && (uint64_t)st.st_size >= size;
}

struct ring *
ring_open(int ring_fd, int page_fd, uint64_t size, struct err *err)
{
	struct ring *r = calloc(1, sizeof(*r));
	void *bytes = MAP_FAILED, *page = MAP_FAILED;

	if (r == NULL)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	else if (size != REPLY_RING_BYTES || !is_solid(ring_fd, size) ||
	    !is_solid(page_fd, REPLY_PAGE_BYTES))
		(void)err_set(err, ERR_BAD_DATA, "not a reply ring");
	else {
		bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, ring_fd, 0);
		page = mmap(NULL, REPLY_PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED, page_fd, 0);
		if (bytes == MAP_FAILED || page == MAP_FAILED)
			(void)err_set_os(err, "mapping a reply ring");
	}
	(void)close(ring_fd);
	(void)close(page_fd);
	if (bytes == MAP_FAILED || page == MAP_FAILED) {
		if (bytes != MAP_FAILED)
			(void)munmap(bytes, size);
		if (page != MAP_FAILED)
			(void)munmap(page, REPLY_PAGE_BYTES);
		free(r);
		return NULL;
	}
	r->refs = 1;
	r->bytes = bytes;
	r->page = page;
	r->promised = r->taken = reply_load(&r->page->taken);
	return r;
}

void
ring_put(struct ring *r)
{
	union { const char *in; void *out; } bytes = { r->bytes };

	if (--r->refs > 0)
		return;
	(void)munmap(bytes.out, REPLY_RING_BYTES);
	if (r->page != NULL)
		(void)munmap(r->page, REPLY_PAGE_BYTES);
	if (r->spilled != NULL)
		*r->spilled -= REPLY_RING_BYTES;
	free(r);
}

static void
copy_promised(char *to, const struct ring *r)
{
	size_t pos = r->taken % REPLY_RING_BYTES;
	size_t n = (size_t)(r->promised - r->taken);
	size_t first = REPLY_RING_BYTES - pos;

	if (first > n)
		first = n;
	memcpy(to + pos, r->bytes + pos, first);
	memcpy(to, r->bytes, n - first);
}

struct ring *
ring_detach(struct ring *r, size_t *spilled)
{
	union { const char *in; void *out; } at = { r->bytes };
	struct ring *next = calloc(1, sizeof(*next));
	void *view = MAP_FAILED, *copy = MAP_FAILED;

	/* a length of 0 makes a second view of shared memory */
	if (next != NULL)
		view = mremap(at.out, 0, REPLY_RING_BYTES, MREMAP_MAYMOVE);
	if (view != MAP_FAILED)
		copy = mmap(NULL, REPLY_RING_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy != MAP_FAILED) {
		copy_promised(copy, r);
		if (mremap(copy, REPLY_RING_BYTES, REPLY_RING_BYTES,
		    MREMAP_MAYMOVE | MREMAP_FIXED, at.out) != MAP_FAILED) {
			*next = (struct ring){ .refs = 1, .bytes = view,
			    .page = r->page, .promised = r->promised,
			    .taken = r->promised, .freed = r->freed,
			    .arg = r->arg };
			reply_store(&next->page->taken, next->taken);
			r->page = NULL;
			r->freed = NULL;
			r->spilled = spilled;
			*spilled += REPLY_RING_BYTES;
			ring_put(r);
			return next;
		}
		(void)munmap(copy, REPLY_RING_BYTES);
	}
	if (view != MAP_FAILED)
		(void)munmap(view, REPLY_RING_BYTES);
	free(next);
	return NULL;
}

bool
ring_piece(struct ring *r, uint64_t offset, uint32_t len, struct str *out)
{
	uint64_t pos = offset % REPLY_RING_BYTES;

	if (offset != r->promised || len > REPLY_RING_BYTES - pos ||
	    offset + len - r->taken > REPLY_RING_BYTES)
		return false;
	r->promised += len;
	*out = str_from(r->bytes + pos, len);
	return true;
}

void
ring_take(struct ring *r, uint32_t len)
{
	r->taken += len;
	if (r->page != NULL)
		reply_store(&r->page->taken, r->taken);
	if (r->freed != NULL)
		r->freed(r->arg);
}
