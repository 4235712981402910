/* SPDX-License-Identifier: ISC */
/*
 * Grants as system calls. The order of libseccomp does not matter: rules are
 * a set; a call with an argument rule is allowed only with that argument.
 */
#include "common/sandbox/calls.h"

#include <sys/ioctl.h>
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

/*
 * Calls of a grant without conditions, ended by -1. Each stands here because
 * somebody makes it after the lock-in: seen by tracing every role through the
 * integration tests, or named with the rare path that needs it. What a
 * process needs only before (epoll_create1, timerfd_create, the resolver's
 * sockets, …) is not granted.
 */
static const int calls_base[] = {
	/* descriptors it has: messages, files from the broker, memfds */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(close),
	/* stdio gives back what it had read ahead, at exit too */
	SCMP_SYS(lseek),
	/* the last words of glibc when the heap or the stack is broken */
	SCMP_SYS(writev),
	/* fstat() is newfstatat(fd, "") in glibc; names tell nothing secret */
	SCMP_SYS(newfstatat),
	/* memory: malloc, free, realloc, malloc_trim and the head's trim; mmap
	 * and mprotect below, without PROT_EXEC */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	/* time, where the clock source has no vDSO */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	/* a wait goes on after SIGSTOP and SIGCONT */
	SCMP_SYS(restart_syscall),
	/* abort() and OpenSSL's check for forks */
	SCMP_SYS(getpid), SCMP_SYS(gettid),
	/* qsort and malloc ask how large the machine is, status/runtimeinfo
	 * how many processors it has */
	SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity),
	/* numbers of DNS questions, OpenSSL, hash seeds */
	SCMP_SYS(getrandom),
	/* once-only initialisation (RE2, OpenSSL), threads of storage */
	SCMP_SYS(futex),
	/* abort(); libcurl ignores SIGPIPE; threads of storage */
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
	SCMP_SYS(exit_group),
	-1
};
static const int calls_loop[] = {
	/* libevent, whose timer is a timerfd made before */
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(timerfd_settime),
	/* waiting for one channel (flush, pump), and libcurl */
	SCMP_SYS(poll),
	-1
};
static const int calls_channel[] = {
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	/* send(): a line for the log */
	SCMP_SYS(sendto),
	-1
};
static const int calls_memfd[] = { SCMP_SYS(memfd_create), -1 };
static const int calls_accept[] = {
	SCMP_SYS(accept4),
	/* TCP_NODELAY; half-closing a connection that is refused */
	SCMP_SYS(setsockopt), SCMP_SYS(shutdown),
	/* libevent's buffers; writev is in BASE, FIONREAD below */
	SCMP_SYS(readv),
	-1
};
static const int calls_tcp[] = {
	SCMP_SYS(connect),
	/* libcurl: addresses for its reports, SO_ERROR, TCP_NODELAY */
	SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	/* recv() */
	SCMP_SYS(recvfrom),
	-1
};
/* Its sockets were made before the lock-in. */
static const int calls_dns[] = { SCMP_SYS(recvfrom), -1 };
static const int calls_data_read[] = {
	SCMP_SYS(openat), SCMP_SYS(getdents64), SCMP_SYS(fadvise64), -1
};
static const int calls_data_write[] = {
	/* segments, chunk files, and syncing both and their directories */
	SCMP_SYS(pwrite64), SCMP_SYS(fdatasync), SCMP_SYS(fsync),
	/* damage is cut off or set aside under another name */
	SCMP_SYS(ftruncate), SCMP_SYS(renameat), SCMP_SYS(linkat),
	SCMP_SYS(unlinkat), SCMP_SYS(mkdirat),
	-1
};
/* clone is below; the rest is what a thread of glibc does as it starts and
 * ends. */
static const int calls_threads[] = {
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(exit), -1
};
static const int calls_append[] = { SCMP_SYS(pwrite64), -1 };

static const int *const calls_of[GRANT_COUNT] = {
	[GRANT_BASE] = calls_base, [GRANT_LOOP] = calls_loop,
	[GRANT_CHANNEL] = calls_channel, [GRANT_MEMFD] = calls_memfd,
	[GRANT_ACCEPT] = calls_accept, [GRANT_TCP] = calls_tcp,
	[GRANT_DNS] = calls_dns, [GRANT_DATA_READ] = calls_data_read,
	[GRANT_DATA_WRITE] = calls_data_write,
	[GRANT_THREADS] = calls_threads, [GRANT_APPEND] = calls_append
};

/*
 * What libraries try just to look around; refused without a death. Seen:
 * /etc/localtime, /dev/urandom (jansson's seed), /sys/devices/system/cpu,
 * /proc/stat.
 */
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

	/* fcntl: no F_SETOWN, which could send signals to others */
	static const int commands[] = { F_DUPFD_CLOEXEC, F_GETFD, F_SETFD,
	    F_GETFL, F_SETFL, F_ADD_SEALS, F_GET_SEALS };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ,
		    (scmp_datum_t)commands[i], 0)));
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
	if (sandbox_row_has(row, GRANT_TCP)) {
		allow_socket(f, AF_INET, SOCK_STREAM);
		allow_socket(f, AF_INET6, SOCK_STREAM);
		/* libcurl's own wake-up pairs */
		note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(socketpair), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0)));
	}
	if (sandbox_row_has(row, GRANT_ACCEPT))
		/* how much there is to read; nothing else of ioctl's many */
		note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0)));
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
	return (call == SCMP_SYS(socket) && sandbox_row_has(row, GRANT_TCP)) ||
	    (call == SCMP_SYS(ioctl) && sandbox_row_has(row, GRANT_ACCEPT));
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
