/* SPDX-License-Identifier: ISC */

/*
 * Mapped chunks_head files. A file is mapped once, larger than it may
 * become, because storage still appends to the newest; before an access the
 * size is compared (and asked again when it seems short), so that nothing
 * beyond the end is touched.
 */

#include "common/tsdb/head_files.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/vec.h"

/* Twice what a file may hold before the next is begun. */
#define MAP_BYTES	((size_t)256 << 20)
#define FIXED_BYTES	25	/* ref, mint, maxt, encoding */

struct head_file {
	uint32_t	 number;
	int		 fd;
	const uint8_t	*base;
	size_t		 size_bytes;	/* known to be there */
};

void
head_files_init(struct head_files *f)
{
	memset(f, 0, sizeof(*f));
}

static void
file_free(struct head_file *file)
{
	void *base;

	memcpy(&base, &file->base, sizeof(base));
	(void)munmap(base, MAP_BYTES);
	(void)close(file->fd);
	free(file);
}

void
head_files_clear(struct head_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		file_free(f->file[i]);
	free(f->file);
	f->file = NULL;
	f->n = f->cap = 0;
}

/* Index of the first file with a number >= this. */
static size_t
find(const struct head_files *f, uint32_t number)
{
	size_t lo = 0, hi = f->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->file[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct head_file *
get(const struct head_files *f, uint32_t number)
{
	size_t i = find(f, number);

	return i < f->n && f->file[i]->number == number ? f->file[i] : NULL;
}

int
head_files_add(struct head_files *f, uint32_t number, int fd,
    struct err *err)
{
	struct head_file *file;
	size_t i;
	void *p;

	if (get(f, number) != NULL) {
		(void)close(fd);
		return 0;
	}
	p = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_set_os(err, "mapping head chunk file %06u", number);
		(void)close(fd);
		return -1;
	}
	file = malloc(sizeof(*file));
	if (file == NULL ||
	    vec_grow(&f->file, &f->cap, f->n + 1, sizeof(file)) == -1) {
		free(file);
		(void)munmap(p, MAP_BYTES);
		(void)close(fd);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	*file = (struct head_file){ number, fd, p, 0 };
	i = find(f, number);
	memmove(f->file + i + 1, f->file + i, (f->n - i) * sizeof(file));
	f->file[i] = file;
	f->n++;
	return 0;
}

void
head_files_drop(struct head_files *f, uint32_t number)
{
	struct head_file *file = get(f, number);
	size_t i = find(f, number);

	if (file == NULL)
		return;
	file_free(file);
	f->n--;
	memmove(f->file + i, f->file + i + 1, (f->n - i) * sizeof(file));
}

/* Whether the file reaches to end. */
static bool
reaches(struct head_file *file, uint64_t end)
{
	struct stat st;

	if (end <= file->size_bytes)
		return true;
	if (end > MAP_BYTES || fstat(file->fd, &st) == -1 || st.st_size < 0)
		return false;
	file->size_bytes = (uint64_t)st.st_size < MAP_BYTES ?
	    (size_t)st.st_size : MAP_BYTES;
	return end <= file->size_bytes;
}

int
head_files_chunk(struct head_files *f, uint32_t number, uint32_t off,
    struct head_file_chunk *out, struct err *err)
{
	struct head_file *file = get(f, number);
	struct cursor c;
	size_t left;

	while (file == NULL && f->more != NULL && f->more(f->arg))
		file = get(f, number);
	if (file == NULL)
		return err_set(err, ERR_INTERNAL,
		    "head chunk file %06u is not here", number);
	/* The shortest chunk: length of one byte, no data, the checksum. */
	if (!reaches(file, (uint64_t)off + FIXED_BYTES + 1 + 4))
		goto corrupt;
	left = file->size_bytes - off;
	c = cursor_make(file->base + off, left);
	out->ref = cursor_be64(&c);
	out->mint_ms = (int64_t)cursor_be64(&c);
	out->maxt_ms = (int64_t)cursor_be64(&c);
	out->encoding = cursor_u8(&c);
	uint64_t len = cursor_uvarint(&c);
	size_t head = (size_t)(c.p - (file->base + off));

	if (c.failed || len > MAP_BYTES ||
	    !reaches(file, (uint64_t)off + head + len + 4))
		goto corrupt;
	out->data = file->base + off + head;
	out->len_bytes = (uint32_t)len;
	if (hash_crc32c(0, file->base + off, head + (size_t)len) !=
	    load_be32(out->data + len))
		goto corrupt;
	return 0;
corrupt:
	return err_set(err, ERR_INTERNAL,
	    "corrupt head chunk file %06u at %u", number, off);
}
