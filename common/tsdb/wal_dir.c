/* SPDX-License-Identifier: ISC */

/* Listing of WAL directories, and files mapped for reading. */

#include "common/tsdb/wal_dir.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/vec.h"

#define CHECKPOINT_PREFIX	"checkpoint."

/* A decimal number below 2^31, or -1. */
static int
parse_index(const char *s)
{
	long v = 0;

	if (*s == '\0')
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
		if (v > INT_MAX)
			return -1;
	}
	return (int)v;
}

/* A stream of its own over the directory; dirfd stays as it is. */
static DIR *
open_dir(int dirfd, struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d;

	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		(void)err_set_os(err, "open directory");
		if (fd != -1)
			(void)close(fd);
		return NULL;
	}
	return d;
}

/* The next name, NULL at the end (errno 0) or on an error. */
static const char *
next_name(DIR *d)
{
	struct dirent *e;

	errno = 0;
	e = readdir(d);
	return e == NULL ? NULL : e->d_name;
}

static int
by_index(const void *a, const void *b)
{
	const struct wal_segment *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

int
wal_list_segments(int dirfd, struct wal_segment_list *out, struct err *err)
{
	struct wal_segment_list l = { NULL, 0, true };
	size_t cap = 0;
	const char *name;
	DIR *d;

	if ((d = open_dir(dirfd, err)) == NULL)
		return -1;
	while ((name = next_name(d)) != NULL) {
		int index = parse_index(name);

		if (index == -1 || strlen(name) >= WAL_NAME_MAX)
			continue;
		if (vec_grow(&l.p, &cap, l.n + 1, sizeof(*l.p)) == -1) {
			errno = ENOMEM;
			break;
		}
		l.p[l.n].index = index;
		memcpy(l.p[l.n].name, name, strlen(name) + 1);
		l.n++;
	}
	if (errno != 0) {
		(void)err_set_os(err, "read directory");
		(void)closedir(d);
		free(l.p);
		return -1;
	}
	(void)closedir(d);
	if (l.n > 1)
		qsort(l.p, l.n, sizeof(*l.p), by_index);
	for (size_t i = 1; i < l.n; i++)
		if (l.p[i].index != l.p[i - 1].index + 1)
			l.sequential = false;
	*out = l;
	return 0;
}

void
wal_segment_list_clear(struct wal_segment_list *l)
{
	free(l->p);
	*l = (struct wal_segment_list){ NULL, 0, true };
}

void
wal_segment_name(int index, char *out)
{
	(void)snprintf(out, WAL_NAME_MAX, "%08d", index);
}

int
wal_find_checkpoint(int dirfd, int *index_out, char name_out[WAL_NAME_MAX],
    struct err *err)
{
	const size_t prefix_n = strlen(CHECKPOINT_PREFIX);
	const char *name;
	int best = -1, rc = 0;
	struct stat st;
	DIR *d;

	if ((d = open_dir(dirfd, err)) == NULL)
		return -1;
	while ((name = next_name(d)) != NULL) {
		int index;

		if (strncmp(name, CHECKPOINT_PREFIX, prefix_n) != 0 ||
		    (index = parse_index(name + prefix_n)) <= best ||
		    strlen(name) >= WAL_NAME_MAX)
			continue;
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
			rc = err_set_os(err, "stat %s", name);
			break;
		}
		if (!S_ISDIR(st.st_mode)) {
			rc = err_set(err, ERR_INTERNAL,
			    "checkpoint %s is not a directory", name);
			break;
		}
		best = index;
		memcpy(name_out, name, strlen(name) + 1);
	}
	if (rc == 0 && errno != 0)
		rc = err_set_os(err, "read directory");
	(void)closedir(d);
	if (rc == -1)
		return -1;
	*index_out = best;
	return best != -1;
}

/* How many bytes from the start can be read. */
static size_t
readable_bytes(int fd, size_t len)
{
	char buf[1 << 16];
	size_t done = 0;

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (done < len) {
		ssize_t n = pread(fd, buf, sizeof(buf), (off_t)done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done < len ? done : len;
}

int
file_map_open(int dirfd, const char *name, struct file_map *out,
    struct err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOFOLLOW);
	struct stat st;
	size_t len;
	void *p;

	*out = (struct file_map){ NULL, 0, 0 };
	if (fd == -1)
		return err_set_os(err, "open %s", name);
	if (fstat(fd, &st) == -1) {
		(void)err_set_os(err, "stat %s", name);
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)err_set(err, ERR_INTERNAL, "%s: not a regular file",
		    name);
		goto fail;
	}
	len = readable_bytes(fd, (size_t)st.st_size);
	out->unreadable = (size_t)st.st_size - len;
	if (len > 0) {
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED) {
			(void)err_set_os(err, "map %s", name);
			goto fail;
		}
		out->data = p;
		out->len = len;
	}
	(void)close(fd);
	return 0;
fail:
	(void)close(fd);
	return -1;
}

void
file_map_close(struct file_map *m)
{
	if (m->len > 0)
		(void)munmap((void *)(uintptr_t)m->data, m->len);
	*m = (struct file_map){ NULL, 0, 0 };
}
