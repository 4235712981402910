/* SPDX-License-Identifier: ISC */
/* Mapping reply rings, and checking what their processes say about them. */
#include "workers/web/ring.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdlib.h>
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
	(void)munmap(r->page, REPLY_PAGE_BYTES);
	free(r);
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
	reply_store(&r->page->taken, r->taken);
	if (r->freed != NULL)
		r->freed(r->arg);
}
