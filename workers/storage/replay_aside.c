/* SPDX-License-Identifier: ISC */

/* Keeping damaged data beside its file; see the header. */

#include "workers/storage/replay_aside.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* More than this many of one file are not kept. */
#define ASIDE_FILES_MAX	100

static void
nth_name(const char *name, int i, char out[ASIDE_NAME_MAX])
{
	if (i == 0)
		(void)snprintf(out, ASIDE_NAME_MAX, "%s.corrupt", name);
	else
		(void)snprintf(out, ASIDE_NAME_MAX, "%s.corrupt.%d", name, i);
}

static int
create(int dirfd, const char *name, char out[ASIDE_NAME_MAX], struct err *err)
{
	int fd = -1;

	errno = EEXIST;
	for (int i = 0; fd == -1 && errno == EEXIST && i < ASIDE_FILES_MAX;
	    i++) {
		nth_name(name, i, out);
		fd = openat(dirfd, out, O_WRONLY | O_CREAT | O_EXCL |
		    O_CLOEXEC, 0666);
	}
	return fd == -1 ? err_set_os(err, "create %s", out) : fd;
}

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = write(fd, p, n);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int
aside_keep(int dirfd, const char *name, const uint8_t *data,
    const struct aside_range *r, size_t n, char name_out[ASIDE_NAME_MAX],
    struct err *err)
{
	int fd = create(dirfd, name, name_out, err), rc = 0;

	if (fd == -1)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = write_all(fd, data + r[i].start,
		    (size_t)(r[i].end - r[i].start));
	if (rc == -1 || fdatasync(fd) == -1) {
		rc = err_set_os(err, "write %s", name_out);
		(void)unlinkat(dirfd, name_out, 0);
	}
	(void)close(fd);
	return rc;
}

int
aside_link(int dirfd, const char *name, char name_out[ASIDE_NAME_MAX],
    struct err *err)
{
	int rc = -1;

	errno = EEXIST;
	for (int i = 0; rc == -1 && errno == EEXIST && i < ASIDE_FILES_MAX;
	    i++) {
		nth_name(name, i, name_out);
		rc = linkat(dirfd, name, dirfd, name_out, 0);
	}
	return rc == -1 ? err_set_os(err, "link %s", name_out) : 0;
}

int
aside_move(int dirfd, const char *name, char name_out[ASIDE_NAME_MAX],
    struct err *err)
{
	struct stat st;

	for (int i = 0; i < ASIDE_FILES_MAX; i++) {
		nth_name(name, i, name_out);
		if (fstatat(dirfd, name_out, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (renameat(dirfd, name, dirfd, name_out) == -1)
			return err_set_os(err, "rename %s", name);
		return 0;
	}
	return err_set(err, ERR_LIMIT, "too many files %s.corrupt", name);
}
