/* SPDX-License-Identifier: ISC */
/* A block's files in memory. */

#include "common/tsdb/block_reader.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"

#define CHUNKS_MAGIC		0x85BD40DDu
#define CHUNKS_VERSION		1
#define CHUNKS_HEADER_BYTES	8
#define CHUNK_COUNT_BYTES	2
/* Encodings 5 and 6 keep the counter reset in the count's top bits. */
#define ENC_HISTOGRAM_ST	5
#define ENC_FLOAT_HISTOGRAM_ST	6
#define ST_COUNT_MASK		0x3fffu

static int
map(int fd, const char *what, struct block_mapping *out, struct err *err)
{
	struct stat st;
	void *p;

	*out = (struct block_mapping){ 0 };
	if (fstat(fd, &st) == -1)
		return err_set_os(err, "%s", what);
	if (!S_ISREG(st.st_mode) || st.st_size < 0)
		return err_set(err, ERR_INTERNAL, "%s: not a regular file",
		    what);
	if (st.st_size == 0)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_set_os(err, "mapping %s", what);
	*out = (struct block_mapping){ p, (size_t)st.st_size };
	return 0;
}

static void
unmap(struct block_mapping *m)
{
	void *p;

	if (m->p == NULL)
		return;
	memcpy(&p, &m->p, sizeof(p));
	(void)munmap(p, m->n);
	*m = (struct block_mapping){ 0 };
}

static int
open_tombstones(struct block_reader *b, int fd, struct err *err)
{
	struct block_mapping m;
	int rc;

	if (fd == -1)
		return 0;
	if (map(fd, "tombstones", &m, err) == -1)
		return -1;
	rc = tombstones_read(&b->tombstones, m.p, m.n, err);
	unmap(&m);
	return rc;
}

static int
open_segment(struct block_reader *b, int fd, struct err *err)
{
	struct block_mapping *m = &b->segments[b->n_segments];
	char what[32];

	snprintf(what, sizeof(what), "chunks/%06zu", b->n_segments + 1);
	if (map(fd, what, m, err) == -1)
		return -1;
	b->n_segments++;
	if (m->n < CHUNKS_HEADER_BYTES)
		return err_set(err, ERR_INTERNAL,
		    "%s: invalid segment header: invalid size", what);
	if (load_be32(m->p) != CHUNKS_MAGIC)
		return err_set(err, ERR_INTERNAL,
		    "%s: invalid magic number %x", what, load_be32(m->p));
	if (m->p[4] != CHUNKS_VERSION)
		return err_set(err, ERR_INTERNAL,
		    "%s: invalid chunk format version %u", what, m->p[4]);
	return 0;
}

static int
open_files(struct block_reader *b, const struct block_fds *fds,
    struct err *err)
{
	size_t i;

	if (map(fds->index, "index", &b->index_map, err) == -1)
		return -1;
	if (index_reader_open(&b->index, b->index_map.p, b->index_map.n,
	    err) == -1)
		return err_wrap(err, "index");
	if (open_tombstones(b, fds->tombstones, err) == -1)
		return -1;
	b->segments = calloc(fds->n_segments + 1, sizeof(*b->segments));
	if (b->segments == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; i < fds->n_segments; i++)
		if (open_segment(b, fds->segments[i], err) == -1)
			return -1;
	return 0;
}

struct block_reader *
block_reader_open(struct str ulid, int64_t mint_ms, int64_t maxt_ms,
    const struct block_fds *fds, struct err *err)
{
	struct block_reader *b;

	if (!ulid_is_valid(ulid)) {
		err_set(err, ERR_INTERNAL, "block: not a valid ulid");
		return NULL;
	}
	b = calloc(1, sizeof(*b));
	if (b == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	memcpy(b->ulid.s, ulid.p, ULID_CHARS);
	b->mint_ms = mint_ms;
	b->maxt_ms = maxt_ms;
	if (open_files(b, fds, err) == -1) {
		block_reader_wrap(b, err);
		block_reader_close(b);
		return NULL;
	}
	return b;
}

void
block_reader_close(struct block_reader *b)
{
	size_t i;

	if (b == NULL)
		return;
	index_reader_close(&b->index);
	tombstones_clear(&b->tombstones);
	unmap(&b->index_map);
	for (i = 0; i < b->n_segments; i++)
		unmap(&b->segments[i]);
	free(b->segments);
	free(b);
}

int
block_reader_wrap(const struct block_reader *b, struct err *err)
{
	return err_wrap(err, "block %s", b->ulid.s);
}

static int
bad_chunk(uint64_t ref, const char *why, struct err *err)
{
	return err_set(err, ERR_INTERNAL,
	    "cannot populate chunk %llu: %s", (unsigned long long)ref, why);
}

int
block_reader_chunk(const struct block_reader *b, uint64_t ref,
    struct block_chunk *out, struct err *err)
{
	uint64_t segment = ref >> 32, off = ref & UINT32_MAX, len;
	const struct block_mapping *m;
	const uint8_t *body;
	struct cursor c;

	if (segment >= b->n_segments)
		return bad_chunk(ref, "segment index out of range", err);
	m = &b->segments[segment];
	if (off < CHUNKS_HEADER_BYTES || off >= m->n)
		return bad_chunk(ref, "segment doesn't include enough bytes "
		    "to read the chunk", err);
	c = cursor_make(m->p + off, m->n - off);
	len = cursor_uvarint(&c);
	if (c.failed || len < CHUNK_COUNT_BYTES || len > UINT32_MAX - 1 ||
	    cursor_left(&c) < 5 || len > cursor_left(&c) - 5)
		return bad_chunk(ref, "segment doesn't include enough bytes "
		    "to read the chunk", err);
	/* encoding and data */
	body = cursor_take(&c, (size_t)len + 1);
	if (hash_crc32c(0, body, (size_t)len + 1) != cursor_be32(&c))
		return bad_chunk(ref, "checksum mismatch", err);
	out->encoding = body[0];
	out->data = body + 1;
	out->len_bytes = (uint32_t)len;
	out->n_samples = load_be16(out->data);
	if (out->encoding == ENC_HISTOGRAM_ST ||
	    out->encoding == ENC_FLOAT_HISTOGRAM_ST)
		out->n_samples &= ST_COUNT_MASK;
	return 0;
}
