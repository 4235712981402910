/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_MEMFD_H
#define BRAZIER_IPC_MEMFD_H

/*
 * Big payloads: bytes in a memfd that nobody can change, shrink or grow any
 * more. The receiver checks type, size and seals before it maps.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

/* A sealed memfd with a copy of the bytes; -1 on failure. name for /proc. */
int	 memfd_seal(const char *name, struct str bytes, struct err *err);

/*
 * Maps a sealed memfd read-only. The mapping is owned by the caller
 * (memfd_unmap); the descriptor stays open. An empty one gives an empty
 * string. Fails when it is no memfd, not fully sealed, or larger than max.
 */
int	 memfd_map(int fd, size_t max_bytes, struct str *out, struct err *err);
void	 memfd_unmap(struct str mapping);
/* For who passes one on without looking into it. */
bool	 memfd_is_sealed(int fd);

/*
 * A memfd to share memory in: sized for good (F_SEAL_SHRINK, _GROW), mode 0
 * so that no reader can open it for writing through /proc. -1 on failure.
 */
int	 memfd_shared(const char *name, size_t bytes, struct err *err);

/*
 * The same memory as a read-only descriptor, for a reader; -1 on failure.
 * Needs /proc and thus works before the sandbox closes, or with a grant.
 */
int	 memfd_readonly(int fd, struct err *err);

#endif
