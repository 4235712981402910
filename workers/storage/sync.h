/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_SYNC_H
#define BRAZIER_WORKERS_STORAGE_SYNC_H

/*
 * The one sync thread: everything that waits for the disk to be safe, so
 * that storage's loop never does. It calls fdatasync for the file that is
 * being written once an interval when there is something new, and syncs and
 * closes files that are finished. All calls but sync_stop return at once.
 *
 * The thread logs nothing: what failed is asked for with sync_take_error.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct sync;

struct sync_stats {
	uint64_t	n_syncs;	/* calls that succeeded */
	uint64_t	n_failed;
	uint64_t	sum_ns;		/* spent in successful calls */
	uint64_t	max_ns;
	uint64_t	last_ns;
	uint64_t	n_queued;	/* finished files that wait */
};

/* Starts the thread, all signals blocked in it. interval_ms > 0. */
int	 sync_start(int64_t interval_ms, struct sync **out, struct err *err);

/*
 * The file that is written from now on (-1: none). It stays open, owned by
 * the caller, until it is given to sync_finish. dirfd (-1: none), which
 * must stay open too, is where the file was just created: it is synced as
 * well, so that the name survives.
 */
void	 sync_set_current(struct sync *s, int fd, int dirfd);
/* Something was written to the current file. A store, no lock. */
void	 sync_mark_dirty(struct sync *s);
/* Takes fd over: it is synced and closed soon. */
void	 sync_finish(struct sync *s, int fd);

/* True with the oldest failure that was not taken yet. */
bool	 sync_take_error(struct sync *s, struct err *err);
void	 sync_get_stats(struct sync *s, struct sync_stats *out);

/*
 * Does what is left to do (also a last sync of the current file), ends the
 * thread and frees s. Blocks on the disk. -1 with the first failure that
 * was not taken.
 */
int	 sync_stop(struct sync *s, struct err *err);

#endif
