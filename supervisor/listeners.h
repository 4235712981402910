/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_LISTENERS_H
#define BRAZIER_SUPERVISOR_LISTENERS_H

/*
 * The web server's sockets: bound by the supervisor, before any worker
 * exists, kept open over restarts of web and handed to each.
 */

#include <stddef.h>

#include "common/base/err.h"
#include "supervisor/flags.h"

#define LISTENERS_MAX	32

struct listeners {
	int	fds[LISTENERS_MAX];
	size_t	n;
};

/* One socket for each address that a --web.listen-address names. */
int	 listeners_open(struct listeners *l, const struct flags *f,
	    struct err *err);
void	 listeners_close(struct listeners *l);

#endif
