/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_DIRLOCK_H
#define BRAZIER_SUPERVISOR_DIRLOCK_H

/*
 * The data directory: made, owned by the service user, locked for as long as
 * the supervisor lives (a worker that is restarted never finds it taken).
 */

#include <stdbool.h>

#include "common/base/err.h"
#include "supervisor/identity.h"

struct dirlock {
	int	dir_fd;		/* O_DIRECTORY, for the storage worker */
	int	lock_fd;	/* -1 without a lock file */
};

/*
 * path  the data directory; missing parents are made
 * lock  take <path>/lock; the text of a taken one is the reference's
 */
int	 dirlock_open(struct dirlock *d, const char *path, bool lock,
	    const struct identity *id, struct err *err);
/* Removes the lock file and lets go. */
void	 dirlock_close(struct dirlock *d);

/* "EXT4_SUPER_MAGIC", "NFS_SUPER_MAGIC", … or the number in hex. */
const char *dirlock_fs_type(const struct dirlock *d, char unknown[32]);

#endif
