/* SPDX-License-Identifier: ISC */
/* The order of locking in, and the checks that it holds. */
#include "common/sandbox/sandbox.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/sandbox/calls.h"
#include "common/sandbox/landlock.h"
#include "common/sandbox/table.h"

#define LANDLOCK_WANTED	6	/* what we know how to use */

static int
set_limit(int which, const char *name, uint64_t value, struct err *err)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)which, &l) == -1)
		return err_set_os(err, "reading %s", name);
	if (l.rlim_max != RLIM_INFINITY && value > l.rlim_max)
		value = l.rlim_max;
	l.rlim_cur = l.rlim_max = value;
	if (setrlimit((__rlimit_resource_t)which, &l) == -1)
		return err_set_os(err, "setting %s", name);
	return 0;
}

static int
set_limits(const struct sandbox_row *row, const struct sandbox_args *args,
    struct err *err)
{
	uint64_t fsize = args->file_limit_bytes != 0 ?
	    args->file_limit_bytes : row->fsize_bytes;

	if (set_limit(RLIMIT_CORE, "RLIMIT_CORE", 0, err) == -1 ||
	    set_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", row->nofile, err) == -1)
		return -1;
	if (fsize != 0 &&
	    set_limit(RLIMIT_FSIZE, "RLIMIT_FSIZE", fsize, err) == -1)
		return -1;
	/* a write beyond it is an error, not a death */
	signal(SIGXFSZ, SIG_IGN);
#ifndef BRAZIER_SANITIZED
	if (args->memory_limit_bytes != 0 && set_limit(RLIMIT_DATA,
	    "RLIMIT_DATA", args->memory_limit_bytes, err) == -1)
		return -1;
#endif
	return 0;
}

static int
drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct h = {
	    .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	memset(d, 0, sizeof(d));
	if (syscall(SYS_capset, &h, d) == -1)
		return err_set_os(err, "dropping capabilities");
	return 0;
}

static int
drop_user(uid_t uid, gid_t gid, struct err *err)
{
	int cap;

	if (geteuid() == 0)
		for (cap = 0; cap <= CAP_LAST_CAP; cap++)
			/* EINVAL: not a capability of this kernel */
			if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
			    errno != EINVAL)
				return err_set_os(err,
				    "dropping capability %d", cap);
	if (uid != 0 && geteuid() == 0) {
		if (setgroups(0, NULL) == -1)
			return err_set_os(err, "dropping groups");
		if (setresgid(gid, gid, gid) == -1)
			return err_set_os(err, "switching to group %u", gid);
		if (setresuid(uid, uid, uid) == -1)
			return err_set_os(err, "switching to user %u", uid);
		if (setresuid(0, 0, 0) != -1)
			return err_set(err, ERR_INTERNAL,
			    "could switch back to root");
	}
	return drop_capabilities(err);
}

static int
set_process_flags(struct err *err)
{
	/* setresuid has cleared both: they come after it */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return err_set_os(err, "PR_SET_DUMPABLE");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		return err_set_os(err, "PR_SET_PDEATHSIG");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_set_os(err, "PR_SET_NO_NEW_PRIVS");
	/* had the supervisor ended before this, its channel would say so */
	return 0;
}

/* A role must not reach the rest of the file system any more. */
static int
check_holds(const struct sandbox_row *row, int landlock_abi, struct err *err)
{
#ifdef BRAZIER_SANITIZED
	(void)row;
	(void)landlock_abi;
	(void)err;
#else
	int fd;

	if (landlock_abi == 0 && sandbox_row_has(row, GRANT_DATA_READ))
		return 0;
	if ((fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC)) != -1) {
		close(fd);
		return err_set(err, ERR_INTERNAL,
		    "the sandbox does not hold: /etc/passwd can be opened");
	}
#endif
	return 0;
}

int
sandbox_enter(const struct sandbox_args *args, struct sandbox_report *report,
    struct err *err)
{
	const struct sandbox_row *row = sandbox_row(args->role);

	memset(report, 0, sizeof(*report));
	if (row == NULL)
		return err_set(err, ERR_INTERNAL, "no sandbox for role %s",
		    role_name(args->role));
	if (set_limits(row, args, err) == -1 ||
	    drop_user(args->uid, args->gid, err) == -1 ||
	    set_process_flags(err) == -1 ||
	    landlock_enter(row, args->data_dir_fd, args->landlock_abi_max,
	    &report->landlock_abi, err) == -1)
		return -1;
	/* nobody asks for these afterwards */
	report->uid = geteuid();
	report->gid = getegid();
	if (calls_allow(row, err) == -1 ||
	    check_holds(row, report->landlock_abi, err) == -1)
		return -1;
#ifndef BRAZIER_SANITIZED
	report->seccomp = true;
	if (report->landlock_abi < LANDLOCK_WANTED)
		snprintf(report->missing, sizeof(report->missing),
		    "Landlock ABI %d in force, up to %d would be used",
		    report->landlock_abi, LANDLOCK_WANTED);
#else
	snprintf(report->missing, sizeof(report->missing),
	    "sanitizer build: the seccomp filter refuses nothing");
#endif
	return 0;
}

int
sandbox_supervisor(struct err *err)
{
#ifdef BRAZIER_SANITIZED
	/* the leak sanitizer traces its own process at the end */
	(void)err;
	return 0;
#else
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return err_set_os(err, "PR_SET_DUMPABLE");
	return calls_deny_supervisor(err);
#endif
}

void
sandbox_describe(enum role role,
    void (*line)(void *arg, const char *grant, const char *reason), void *arg)
{
	const struct sandbox_row *row = sandbox_row(role);
	size_t i;

	for (i = 0; row != NULL && i < row->n_grants; i++)
		line(arg, sandbox_grant_name(row->grants[i].grant),
		    row->grants[i].why);
}
