/* SPDX-License-Identifier: ISC */
/* Opening and reading what is in a block's directory. */

#include "common/tsdb/block_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"

#define META_BYTES_MAX	(16u << 20)
#define READ_BYTES	65536

static int
read_file(int dir, const char *name, struct buf *out, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	char *to;

	if (fd == -1)
		return err_set_os(err, "open %s", name);
	while ((to = buf_reserve(out, READ_BYTES)) != NULL &&
	    (n = read(fd, to, READ_BYTES)) > 0)
		out->n += (size_t)n;
	if (n == -1)
		err_set_os(err, "read %s", name);
	else if (buf_failed(out))
		n = err_set(err, ERR_INTERNAL, "%s: too large", name);
	(void)close(fd);
	return n == -1 ? -1 : 0;
}

int
block_files_meta(int dir, struct block_meta *meta, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, META_BYTES_MAX);
	rc = read_file(dir, "meta.json", &text, err);
	if (rc == 0)
		rc = block_meta_parse(meta, buf_str(&text), err);
	buf_clear(&text);
	return rc;
}

static int
open_one(int dir, const char *name, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	return fd != -1 ? fd : err_set_os(err, "open %s", name);
}

static int
open_segments(int dir, int *fds, size_t cap, size_t *n, struct err *err)
{
	char name[32];
	size_t i;
	int fd;

	for (i = 1;; i++) {
		snprintf(name, sizeof(name), "chunks/%06zu", i);
		fd = open_one(dir, name, err);
		if (fd == -1)
			return err->os == ENOENT ? 0 : -1;
		if (*n == cap) {
			(void)close(fd);
			return err_set(err, ERR_INTERNAL,
			    "more than %zu files", cap);
		}
		fds[(*n)++] = fd;
	}
}

int
block_files_open(int dir, int *fds, size_t cap, size_t *n_out,
    struct err *err)
{
	size_t n = 0;

	if (cap < 2)
		return err_set(err, ERR_INTERNAL, "no room for files");
	fds[0] = open_one(dir, "index", err);
	if (fds[0] == -1)
		return -1;
	fds[1] = open_one(dir, "tombstones", err);
	n = 2;
	if ((fds[1] == -1 && err->os != ENOENT) ||
	    open_segments(dir, fds, cap, &n, err) == -1) {
		while (n > 0)
			if (fds[--n] != -1)
				(void)close(fds[n]);
		return -1;
	}
	*n_out = n;
	return 0;
}
