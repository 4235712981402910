/* SPDX-License-Identifier: ISC */
/*
 * Grants as system calls. The order of libseccomp does not matter: rules are
 * a set; a call with an argument rule is allowed only with that argument.
 */
#include "common/sandbox/calls.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <seccomp.h>

#include "common/sandbox/sandbox.h"

/* Calls of a grant without conditions, ended by -1. */
static const int calls_base[] = {
	/* descriptors it has */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(close),
	SCMP_SYS(close_range), SCMP_SYS(lseek),
	SCMP_SYS(dup), SCMP_SYS(fstat), SCMP_SYS(fcntl),
	/* fstat() is newfstatat(fd, "") in glibc; names tell nothing secret */
	SCMP_SYS(newfstatat),
	/* memory; mmap and mprotect below, without PROT_EXEC */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(mincore),
	/* time */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
	/* who am I; qsort and malloc ask how large the machine is */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield), SCMP_SYS(getrusage), SCMP_SYS(times),
	SCMP_SYS(getcpu), SCMP_SYS(getrandom),
	/* threads of glibc, and signals to itself */
	SCMP_SYS(futex), SCMP_SYS(membarrier), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
	-1
};
static const int calls_loop[] = {
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(poll), SCMP_SYS(ppoll),
	-1
};
static const int calls_channel[] = {
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(shutdown), -1
};
static const int calls_memfd[] = {
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), -1
};
static const int calls_accept[] = {
	SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(ioctl), -1
};
static const int calls_tcp[] = {
	SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(ioctl), -1
};
static const int calls_dns[] = {
	SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(ioctl), -1
};
static const int calls_data_read[] = {
	SCMP_SYS(openat), SCMP_SYS(getdents64), SCMP_SYS(statx),
	SCMP_SYS(fadvise64), SCMP_SYS(readahead), SCMP_SYS(fstatfs),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), -1
};
static const int calls_data_write[] = {
	SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(sync_file_range), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(unlinkat), SCMP_SYS(mkdirat), SCMP_SYS(linkat),
	SCMP_SYS(copy_file_range), SCMP_SYS(msync), SCMP_SYS(flock), -1
};
static const int calls_threads[] = {
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(get_robust_list),
	SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_getparam), SCMP_SYS(set_tid_address), -1
};
static const int calls_poll[] = { SCMP_SYS(poll), SCMP_SYS(ppoll), -1 };
static const int calls_append[] = {
	SCMP_SYS(pwrite64), SCMP_SYS(msync), -1
};

static const int *const calls_of[GRANT_COUNT] = {
	[GRANT_BASE] = calls_base, [GRANT_LOOP] = calls_loop,
	[GRANT_CHANNEL] = calls_channel, [GRANT_MEMFD] = calls_memfd,
	[GRANT_ACCEPT] = calls_accept, [GRANT_TCP] = calls_tcp,
	[GRANT_DNS] = calls_dns, [GRANT_DATA_READ] = calls_data_read,
	[GRANT_DATA_WRITE] = calls_data_write,
	[GRANT_THREADS] = calls_threads, [GRANT_POLL] = calls_poll,
	[GRANT_APPEND] = calls_append
};

/* What libraries try just to look around; refused without a death. */
static const int calls_probed[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(ioctl),
	SCMP_SYS(socket), SCMP_SYS(prctl), SCMP_SYS(setsockopt), -1
};

static const int calls_denied_supervisor[] = {
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(chroot), SCMP_SYS(setns), SCMP_SYS(unshare),
	SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen),
	SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(fsconfig),
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(add_key), SCMP_SYS(request_key),
	SCMP_SYS(keyctl), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(open_by_handle_at),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(reboot),
	SCMP_SYS(acct), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(personality),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(quotactl), -1
};

struct filter {
	scmp_filter_ctx	 ctx;
	int		 failed;	/* first negative return */
};

static void
note(struct filter *f, int r)
{
	/* a call that this kernel's table does not know cannot be made */
	if (r < 0 && r != -EDOM && f->failed == 0)
		f->failed = r;
}

static void
allow_all(struct filter *f, const int *calls)
{
	for (; *calls != -1; calls++)
		note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, *calls, 0));
}

/* Sockets of one family and type (flags CLOEXEC and NONBLOCK aside). */
static void
allow_socket(struct filter *f, int family, int type)
{
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0),
	    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)type)));
}

static void
allow_conditional(struct filter *f, const struct sandbox_row *row)
{
	pid_t self = getpid();

	/* memory that can be run is never made */
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
	/* abort() */
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)self, 0)));
	/* reading limits, not setting them */
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64),
	    2, SCMP_A0(SCMP_CMP_EQ, 0, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0)));
	if (sandbox_row_has(row, GRANT_TCP) ||
	    sandbox_row_has(row, GRANT_DNS)) {
		allow_socket(f, AF_INET, SOCK_STREAM);
		allow_socket(f, AF_INET6, SOCK_STREAM);
	}
	if (sandbox_row_has(row, GRANT_DNS)) {
		allow_socket(f, AF_INET, SOCK_DGRAM);
		allow_socket(f, AF_INET6, SOCK_DGRAM);
	}
	/* libcurl's and libevent's own wake-up pairs */
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair),
	    1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0)));
	if (sandbox_row_has(row, GRANT_THREADS)) {
		/* a thread shares all of this; a process does not */
		const scmp_datum_t must = CLONE_VM | CLONE_FS | CLONE_FILES |
		    CLONE_SIGHAND | CLONE_THREAD;

		note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(clone), 1,
		    SCMP_A0(SCMP_CMP_MASKED_EQ, must, must)));
	}
	/* its flags lie in memory a filter cannot read: glibc falls back */
	note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ERRNO(ENOSYS),
	    SCMP_SYS(clone3), 0));
}

static bool
is_granted(const struct sandbox_row *row, int call)
{
	const int *c;
	size_t i;

	for (i = 0; i < row->n_grants; i++)
		for (c = calls_of[row->grants[i].grant]; *c != -1; c++)
			if (*c == call)
				return true;
	return call == SCMP_SYS(socket) && (sandbox_row_has(row, GRANT_TCP) ||
	    sandbox_row_has(row, GRANT_DNS));
}

static int
load(struct filter *f, struct err *err)
{
	int r;

	note(f, seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_TSYNC, 1));
	/* binary tree: 10–14 ns a call instead of a walk */
	note(f, seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
	r = f->failed != 0 ? f->failed : seccomp_load(f->ctx);
	seccomp_release(f->ctx);
	if (r < 0) {
		errno = -r;
		return err_set_os(err, "loading the seccomp filter");
	}
	return 0;
}

int
calls_allow(const struct sandbox_row *row, struct err *err)
{
	struct filter f = { 0 };
	const int *c;
	size_t i;

#ifdef BRAZIER_SANITIZED
	/* the sanitizers' run-time needs more than any row grants: this
	 * variant refuses nothing and is never installed */
	f.ctx = seccomp_init(SCMP_ACT_ALLOW);
#else
	f.ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
#endif
	if (f.ctx == NULL)
		return err_set(err, ERR_NOMEM, "no memory for a filter");
#ifndef BRAZIER_SANITIZED
	for (i = 0; i < row->n_grants; i++)
		allow_all(&f, calls_of[row->grants[i].grant]);
	allow_conditional(&f, row);
	for (c = calls_probed; *c != -1; c++)
		if (!is_granted(row, *c))
			note(&f, seccomp_rule_add(f.ctx,
			    SCMP_ACT_ERRNO(EPERM), *c, 0));
#else
	(void)row;
	(void)c;
	(void)i;
	(void)allow_all;
	(void)allow_conditional;
	(void)is_granted;
	(void)calls_probed;
#endif
	return load(&f, err);
}

const char *
sandbox_call_name(long number, char out[32])
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE,
	    (int)number);

	if (name != NULL)
		snprintf(out, 32, "%s", name);
	else
		snprintf(out, 32, "call %ld", number);
	free(name);
	return out;
}

int
calls_deny_supervisor(struct err *err)
{
	struct filter f = { .ctx = seccomp_init(SCMP_ACT_ALLOW) };
	const int *c;

	if (f.ctx == NULL)
		return err_set(err, ERR_NOMEM, "no memory for a filter");
	for (c = calls_denied_supervisor; *c != -1; c++)
		note(&f, seccomp_rule_add(f.ctx, SCMP_ACT_ERRNO(EPERM), *c,
		    0));
	return load(&f, err);
}
