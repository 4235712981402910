/* SPDX-License-Identifier: ISC */

/*
 * See dirlock.h. The directory is made as the supervisor (its parent may be
 * root's) and given away at once; the lock file is made as the service user,
 * so that a directory which that user cannot write to shows here and not
 * later in a worker.
 */

#include "supervisor/dirlock.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/vec.h"

/* mkdir -p; *made says that the last part is new. */
static int
make_path(const char *path, bool *made, struct err *err)
{
	char *copy = xstrdup(path), *p = copy;
	int rc = 0;

	*made = false;
	while (rc == 0 && p != NULL) {
		p = strchr(p + 1, '/');
		if (p != NULL)
			*p = '\0';
		if (mkdir(copy, 0755) == 0)
			*made = true;
		else if (errno != EEXIST)
			rc = err_set_os(err, "mkdir %s", copy);
		else
			*made = false;
		if (p != NULL) {
			*p = '/';
			if (p[strspn(p, "/")] == '\0')
				break;
		}
	}
	free(copy);
	return rc;
}

static int
open_dir(struct dirlock *d, const char *path, const struct identity *id,
    struct err *err)
{
	struct stat st;
	bool made;

	if (make_path(path, &made, err) == -1)
		return -1;
	d->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dir_fd == -1)
		return err_set_os(err, "open %s", path);
	if (!id->switches)
		return 0;
	if (fstat(d->dir_fd, &st) == -1)
		return err_set_os(err, "stat %s", path);
	/* Made for us beforehand: root's, and nothing of a database in it. */
	if (st.st_uid == 0 && faccessat(d->dir_fd, "wal", F_OK, 0) == -1 &&
	    faccessat(d->dir_fd, "chunks_head", F_OK, 0) == -1)
		made = true;
	if (made && fchown(d->dir_fd, id->uid, id->gid) == -1)
		return err_set_os(err, "chown %s", path);
	if (!made && st.st_uid != id->uid)
		log_warn("The data directory belongs to another user",
		    F_STR("path", path), F_UINT("owner_uid", st.st_uid),
		    F_STR("user", id->name));
	return 0;
}

static int
take_lock(struct dirlock *d, const struct identity *id, struct err *err)
{
	int e;

	if (identity_enter(id, err) == -1)
		return -1;
	d->lock_fd = openat(d->dir_fd, "lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	e = errno;
	identity_leave(id);
	errno = e;
	if (d->lock_fd == -1)
		return err_set_os(err, "lock DB directory: open lock");
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			return err_set(err, ERR_UNAVAILABLE, "lock DB directory: "
			    "resource temporarily unavailable");
		return err_set_os(err, "lock DB directory");
	}
	return 0;
}

int
dirlock_open(struct dirlock *d, const char *path, bool lock,
    const struct identity *id, struct err *err)
{
	d->dir_fd = d->lock_fd = -1;
	if (open_dir(d, path, id, err) == 0 &&
	    (!lock || take_lock(d, id, err) == 0))
		return 0;
	if (d->lock_fd != -1)
		close(d->lock_fd);
	if (d->dir_fd != -1)
		close(d->dir_fd);
	d->dir_fd = d->lock_fd = -1;
	return -1;
}

void
dirlock_close(struct dirlock *d)
{
	if (d->lock_fd != -1) {
		(void)unlinkat(d->dir_fd, "lock", 0);
		close(d->lock_fd);
	}
	if (d->dir_fd != -1)
		close(d->dir_fd);
	d->dir_fd = d->lock_fd = -1;
}

const char *
dirlock_fs_type(const struct dirlock *d, char unknown[32])
{
	static const struct { unsigned long magic; const char *name; } types[] = {
		{ EXT4_SUPER_MAGIC, "EXT4_SUPER_MAGIC" },
		{ XFS_SUPER_MAGIC, "XFS_SUPER_MAGIC" },
		{ BTRFS_SUPER_MAGIC, "BTRFS_SUPER_MAGIC" },
		{ TMPFS_MAGIC, "TMPFS_MAGIC" },
		{ OVERLAYFS_SUPER_MAGIC, "OVERLAYFS_SUPER_MAGIC" },
		{ NFS_SUPER_MAGIC, "NFS_SUPER_MAGIC" },
		{ F2FS_SUPER_MAGIC, "F2FS_SUPER_MAGIC" },
		{ SMB2_SUPER_MAGIC, "SMB2_MAGIC_NUMBER" },
		{ CIFS_SUPER_MAGIC, "CIFS_MAGIC_NUMBER" },
		{ FUSE_SUPER_MAGIC, "FUSE_SUPER_MAGIC" },
		{ 0x2fc12fc1, "ZFS_SUPER_MAGIC" },
	};
	struct statfs fs;

	if (fstatfs(d->dir_fd, &fs) == -1) {
		snprintf(unknown, 32, "unknown");
		return unknown;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((unsigned long)fs.f_type == types[i].magic)
			return types[i].name;
	snprintf(unknown, 32, "%lx", (unsigned long)fs.f_type);
	return unknown;
}
