/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_ASIDE_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_ASIDE_H

/*
 * Damaged data is kept: its bytes go to a file beside the damaged one, named
 * `<file>.corrupt`, or `<file>.corrupt.1` and so on when that exists. Nothing
 * reads such files; an operator may.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define ASIDE_NAME_MAX	64

struct aside_range {
	uint64_t	start;
	uint64_t	end;		/* behind the last byte */
};

/*
 * Keeps ranges of data, one after the other, and says under which name.
 * The file is synced.
 */
int	 aside_keep(int dirfd, const char *name, const uint8_t *data,
	    const struct aside_range *r, size_t n,
	    char name_out[ASIDE_NAME_MAX], struct err *err);

/* Gives the whole file a second name; its bytes are not touched. */
int	 aside_link(int dirfd, const char *name,
	    char name_out[ASIDE_NAME_MAX], struct err *err);

/* Renames the whole file. */
int	 aside_move(int dirfd, const char *name,
	    char name_out[ASIDE_NAME_MAX], struct err *err);

#endif
