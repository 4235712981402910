/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_SANDBOX_SANDBOX_H
#define BRAZIER_COMMON_SANDBOX_SANDBOX_H

/*
 * Confinement. One table (table.c), a row a role, a reason beside each
 * grant. sandbox_enter() takes a process in, in a fixed order, and checks
 * that it holds; what the kernel lacks is reported, never skipped silently.
 * Every promise holds with Landlock ABI 2 by seccomp alone; newer ABIs add.
 *
 *	rlimits → not dumpable, PDEATHSIG, no_new_privs → groups, gid, uid,
 *	capabilities → Landlock → seccomp → checks
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/role.h"

struct sandbox_args {
	enum role	 role;
	uid_t		 uid;		/* 0 = stay who we are */
	gid_t		 gid;
	int		 data_dir_fd;	/* -1 = none; roles with files only */
	uint64_t	 memory_limit_bytes;	/* RLIMIT_DATA, 0 = none */
	uint64_t	 file_limit_bytes;	/* RLIMIT_FSIZE, 0 = the table's */
	int		 landlock_abi_max;	/* cap for tests, 0 = none */
};

struct sandbox_report {
	int	landlock_abi;	/* in force, 0 = none */
	bool	seccomp;
	uid_t	uid;
	gid_t	gid;
	char	missing[256];	/* what the kernel lacks, "" = nothing */
};

/*
 * Locks the calling process in for the rest of its life. Threads that exist
 * are taken along (TSYNC). -1: it does not hold; the caller must end.
 */
int	 sandbox_enter(const struct sandbox_args *args,
	    struct sandbox_report *report, struct err *err);

/* "execve" for 59; "call 999" for one without a name. */
const char *sandbox_call_name(long number, char out[32]);

/* The supervisor's own deny-list (ptrace, mount, bpf, modules, keys, …). */
int	 sandbox_supervisor(struct err *err);

/* One line a grant with its reason, for documents and brazierctl. */
void	 sandbox_describe(enum role role,
	    void (*line)(void *arg, const char *grant, const char *reason),
	    void *arg);

#endif
