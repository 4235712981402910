/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_KERNEL_LOG_H
#define BRAZIER_SUPERVISOR_KERNEL_LOG_H

/*
 * What the kernel's log says of a worker that made a forbidden system call.
 * waitid() tells the signal alone; which call it was stands in the audit
 * record that seccomp leaves, if the kernel writes one and no audit daemon
 * takes it, and only root may read it.
 */

#include <sys/types.h>

/* From now on; -1 when it may not be read. */
int	 kernel_log_open(void);
/*
 * The call that pid died of, -1 when it is not told. Waits up to 50 ms for
 * the record, which the kernel writes on its own time.
 */
long	 kernel_log_forbidden_call(int fd, pid_t pid);

#endif
