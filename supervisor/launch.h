/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_LAUNCH_H
#define BRAZIER_SUPERVISOR_LAUNCH_H

/*
 * Starting a role's program. All programs are opened once, at start, so that
 * an upgrade on disk never mixes two versions.
 */

#include <sys/types.h>

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/role.h"

struct launcher {
	int	fds[ROLE_COUNT];	/* O_PATH; -1 = no such program */
	char	dir[4096];		/* where they were found */
};

/*
 * Looks beside our own program: <dir>/libexec/ROLE (build tree), then
 * <dir>/../libexec/brazier/ROLE (installed). Fails when neither directory
 * exists; a single missing program is a -1.
 */
int	 launcher_open(struct launcher *l, struct err *err);
void	 launcher_close(struct launcher *l);

/*
 * Forks and executes the role with `channel` at descriptor 3, an empty
 * environment and nothing else but /dev/null and our standard error.
 * The process dies with us. Returns its id, -1 on failure. channel stays
 * the caller's.
 */
pid_t	 launcher_start(const struct launcher *l, enum role role,
	    uint32_t instance, int channel, int oom_score_adj,
	    struct err *err);

#endif
