/* SPDX-License-Identifier: ISC */
/*
 * In each role, tries what must be impossible: every attempt runs in a child
 * that has locked itself in; it must die of SIGSYS or get the stated errno.
 * Each is tried with all of Landlock and capped at ABI 2, as the user who
 * runs the test and, when that is root, with a switch to another one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include "common/sandbox/sandbox.h"
#include "common/sandbox/table.h"

#define NOBODY	65534

/* What the attempts need; made before the doors close. */
struct stage {
	pid_t	sibling;
	int	data_dir;	/* descriptor of a directory of ours */
	int	memfd_ro;	/* read-only descriptor of a shared memfd */
	int	listener;
};

/* 0 = it worked (bad), else the errno. */
typedef int attempt_fn(const struct stage *s);

static int
result(long r)
{
	return r == -1 ? errno : 0;
}

static int
try_passwd(const struct stage *s)
{
	(void)s;
	return result(open("/etc/passwd", O_RDONLY));
}

static int
try_shadow_at(const struct stage *s)
{
	return result(openat(s->data_dir, "../../etc/shadow", O_RDONLY));
}

static int
try_data_create(const struct stage *s)
{
	return result(openat(s->data_dir, "x", O_CREAT | O_WRONLY, 0600));
}

static int
try_tcp_socket(const struct stage *s)
{
	(void)s;
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
try_udp_socket(const struct stage *s)
{
	(void)s;
	return result(socket(AF_INET, SOCK_DGRAM, 0));
}

static int
try_unix_socket(const struct stage *s)
{
	(void)s;
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
try_raw_socket(const struct stage *s)
{
	(void)s;
	return result(socket(AF_INET, SOCK_RAW, IPPROTO_TCP));
}

static int
try_netlink(const struct stage *s)
{
	(void)s;
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int
try_listen(const struct stage *s)
{
	return result(listen(s->listener, 5));
}

static int
try_exec(const struct stage *s)
{
	char *argv[] = { NULL }, *envp[] = { NULL };

	(void)s;
	return result(execve("/bin/true", argv, envp));
}

static int
try_fork(const struct stage *s)
{
	pid_t pid = fork();

	(void)s;
	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
try_ptrace(const struct stage *s)
{
	return result(ptrace(PTRACE_ATTACH, s->sibling, NULL, NULL));
}

static int
try_kill(const struct stage *s)
{
	return result(kill(s->sibling, SIGTERM));
}

static int
try_tgkill(const struct stage *s)
{
	return result(syscall(SYS_tgkill, s->sibling, s->sibling, SIGTERM));
}

static int
try_vm_read(const struct stage *s)
{
	return result(syscall(SYS_process_vm_readv, s->sibling, NULL, 0, NULL,
	    0, 0));
}

static int
try_reopen(const struct stage *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->memfd_ro);
	return result(open(path, O_RDWR));
}

static int
try_map_write(const struct stage *s)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
	    s->memfd_ro, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int
try_mprotect_write(const struct stage *s)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s->memfd_ro, 0);

	if (p == MAP_FAILED)
		return errno;
	return result(mprotect(p, 4096, PROT_READ | PROT_WRITE));
}

static int
try_exec_memory(const struct stage *s)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)s;
	return p == MAP_FAILED ? errno : 0;
}

static int
try_setuid(const struct stage *s)
{
	(void)s;
	return result(setresuid(0, 0, 0));
}

static int
try_raise_limit(const struct stage *s)
{
	struct { uint64_t cur, max; } l = { 1 << 20, 1 << 20 };

	(void)s;
	return result(syscall(SYS_prlimit64, 0, 7, &l, NULL));
}

static int
try_bpf(const struct stage *s)
{
	(void)s;
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_io_uring(const struct stage *s)
{
	(void)s;
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int
try_chmod(const struct stage *s)
{
	return result(fchmod(s->memfd_ro, 0666));
}

static const struct attempt {
	const char		*name;
	attempt_fn		*fn;
	/* a role with one of these grants may do it */
	int			 except[3];
} attempts[] = {
	{ "open /etc/passwd", try_passwd, { -1, -1, -1 } },
	{ "open out of the data directory", try_shadow_at, { -1, -1, -1 } },
	{ "create in the data directory", try_data_create, { GRANT_DATA_WRITE, -1, -1 } },
	{ "TCP socket", try_tcp_socket, { GRANT_TCP, GRANT_DNS, -1 } },
	{ "UDP socket", try_udp_socket, { GRANT_DNS, -1, -1 } },
	{ "UNIX socket", try_unix_socket, { -1, -1, -1 } },
	{ "raw socket", try_raw_socket, { -1, -1, -1 } },
	{ "netlink", try_netlink, { -1, -1, -1 } },
	{ "listen", try_listen, { -1, -1, -1 } },
	{ "execve", try_exec, { -1, -1, -1 } },
	{ "fork", try_fork, { -1, -1, -1 } },
	{ "ptrace a sibling", try_ptrace, { -1, -1, -1 } },
	{ "kill a sibling", try_kill, { -1, -1, -1 } },
	{ "tgkill a sibling", try_tgkill, { -1, -1, -1 } },
	{ "read a sibling's memory", try_vm_read, { -1, -1, -1 } },
	{ "reopen a mapping for writing", try_reopen, { -1, -1, -1 } },
	{ "map the head for writing", try_map_write, { -1, -1, -1 } },
	{ "mprotect the head for writing", try_mprotect_write, { -1, -1, -1 } },
	{ "memory that can be run", try_exec_memory, { -1, -1, -1 } },
	{ "setresuid", try_setuid, { -1, -1, -1 } },
	{ "raise a limit", try_raise_limit, { -1, -1, -1 } },
	{ "bpf", try_bpf, { -1, -1, -1 } },
	{ "io_uring", try_io_uring, { -1, -1, -1 } },
	{ "fchmod", try_chmod, { -1, -1, -1 } }
};
#define N_ATTEMPTS	(sizeof(attempts) / sizeof(attempts[0]))

enum { EXIT_LOCKED_OUT = 100, EXIT_WORKED = 101, EXIT_REFUSED = 102 };

static void
child(const struct attempt *a, const struct stage *s,
    const struct sandbox_args *args)
{
	struct sandbox_report report;
	struct err e = ERR_INIT;
	int os;

	if (sandbox_enter(args, &report, &e) == -1) {
		fprintf(stderr, "%s: %s\n", role_name(args->role), e.text);
		_exit(EXIT_LOCKED_OUT);
	}
	if (args->uid != 0 && report.uid != args->uid)
		_exit(EXIT_LOCKED_OUT);
	os = a->fn(s);
	_exit(os == 0 ? EXIT_WORKED : EXIT_REFUSED);
}

static void
try_one(const struct attempt *a, const struct stage *s,
    const struct sandbox_args *args)
{
	const struct sandbox_row *row = sandbox_row(args->role);
	bool may = false;
	int status, i;
	pid_t pid;

	for (i = 0; i < 3; i++)
		if (a->except[i] != -1 &&
		    sandbox_row_has(row, (enum sandbox_grant)a->except[i]))
			may = true;
	if ((pid = fork()) == 0)
		child(a, s, args);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)unlinkat(s->data_dir, "x", 0);	/* what try_data_create made */
	if (WIFSIGNALED(status) ? WTERMSIG(status) == SIGSYS && !may :
	    WEXITSTATUS(status) == (may ? EXIT_WORKED : EXIT_REFUSED))
		return;
	fail_msg("%s in %s (uid %u, Landlock %d): status %x", a->name,
	    role_name(args->role), args->uid, args->landlock_abi_max, status);
}

static void
stage_init(struct stage *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char dir[] = "/tmp/brazier-sandbox-XXXXXX", path[64];
	int fd;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0777), 0);
	s->data_dir = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(s->data_dir, -1);
	fd = memfd_create("head", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 4096), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	s->memfd_ro = open(path, O_RDONLY);
	assert_int_equal(fchmod(fd, 0), 0);
	close(fd);
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&sin,
	    sizeof(sin)), 0);
	if ((s->sibling = fork()) == 0) {
		/* not to outlive a test that fails */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
}

static void
stage_clear(struct stage *s)
{
	char path[64], dir[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->data_dir);
	n = readlink(path, dir, sizeof(dir) - 1);
	if (n > 0) {
		dir[n] = '\0';
		(void)rmdir(dir);
	}
	kill(s->sibling, SIGKILL);
	waitpid(s->sibling, NULL, 0);
}

static void
test_forbidden(void **state)
{
	static const int caps[] = { 0, 2 };
	uid_t uids[2] = { 0, NOBODY };
	struct stage s;
	size_t i, c, u;
	int role;

	(void)state;
	stage_init(&s);
	for (role = 0; role < ROLE_COUNT; role++) {
		if (sandbox_row((enum role)role) == NULL)
			continue;
		for (u = 0; u < (geteuid() == 0 ? 2 : 1); u++)
			for (c = 0; c < 2; c++)
				for (i = 0; i < N_ATTEMPTS; i++) {
					struct sandbox_args a = {
					    .role = (enum role)role,
					    .uid = uids[u], .gid = uids[u],
					    .data_dir_fd = s.data_dir,
					    .landlock_abi_max = caps[c] };

					try_one(&attempts[i], &s, &a);
				}
	}
	stage_clear(&s);
}

/* The supervisor may still do its work, but none of the listed things. */
static void
test_supervisor(void **state)
{
	struct err e = ERR_INIT;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (sandbox_supervisor(&e) == -1)
			_exit(1);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 ||
		    errno != EPERM)
			_exit(2);
		if (syscall(SYS_bpf, 0, NULL, 0) != -1 || errno != EPERM)
			_exit(3);
		if (open("/etc/passwd", O_RDONLY) == -1)
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_supervisor)
	};

#ifdef BRAZIER_SANITIZED
	puts("sanitizer build: its sandbox refuses nothing, not tested");
	return 0;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
