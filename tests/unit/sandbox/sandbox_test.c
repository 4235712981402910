/* SPDX-License-Identifier: ISC */
/*
 * In each role, tries what must be impossible: every attempt runs in a child
 * that has locked itself in; it must die of SIGSYS or be told that it may
 * not. Each is tried with all of Landlock and capped at ABI 2, as an ordinary
 * user and, when root runs the test, also as root, and as root that switches
 * to another user. What an attempt does without confinement is tried first:
 * one that fails for another reason would prove nothing. Prints a matrix of
 * attempts and roles for each combination.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/sandbox/sandbox.h"
#include "common/sandbox/table.h"

#define NOBODY	65534

/* What the attempts need; made before the doors close. */
struct stage {
	pid_t	sibling;	/* of the same user */
	pid_t	siblings[2];	/* root's (or ours), nobody's */
	int	data_dir;	/* descriptor of a directory of ours */
	int	memfd_ro;	/* read-only descriptor of a shared memfd */
	int	listener;	/* bound, not listening */
	int	tcp, udp;	/* sockets that are not connected */
	struct sockaddr_in target;	/* where somebody listens */
	int	target_fd;
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
try_data_write(const struct stage *s)
{
	return result(openat(s->data_dir, "file", O_WRONLY));
}

static int
try_data_read(const struct stage *s)
{
	return result(openat(s->data_dir, "file", O_RDONLY));
}

static int
try_data_remove(const struct stage *s)
{
	return result(unlinkat(s->data_dir, "spare", 0));
}

static int
try_data_rename(const struct stage *s)
{
	return result(renameat(s->data_dir, "spare", s->data_dir, "spare2"));
}

static int
try_data_mkdir(const struct stage *s)
{
	return result(mkdirat(s->data_dir, "dir", 0700));
}

static int
try_connect(const struct stage *s)
{
	return result(connect(s->tcp, (const struct sockaddr *)&s->target,
	    sizeof(s->target)));
}

static int
try_connect_udp(const struct stage *s)
{
	return result(connect(s->udp, (const struct sockaddr *)&s->target,
	    sizeof(s->target)));
}

static int
try_accept(const struct stage *s)
{
	/* nobody is waiting: allowed, it says EAGAIN */
	int r = result(accept4(s->target_fd, NULL, NULL, 0));

	return r == EAGAIN ? 0 : r;
}

static int
try_bind(const struct stage *s)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return result(bind(s->tcp, (struct sockaddr *)&any, sizeof(any)));
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
try_vfork(const struct stage *s)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

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

/* A signal that the kernel sends when there is something to read. */
static int
try_own_signal(const struct stage *s)
{
	return result(fcntl(s->udp, F_SETOWN, s->sibling));
}

static int
try_ioctl(const struct stage *s)
{
	struct { char name[16]; char rest[24]; } ifreq = { "lo", { 0 } };

	return result(ioctl(s->udp, SIOCGIFFLAGS, &ifreq));
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

/* Bytes into it, not asking anybody. */
static int
try_write_head(const struct stage *s)
{
	return result(pwrite(s->memfd_ro, "x", 1, 0));
}

static int
try_store_head(const struct stage *s)
{
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED,
	    s->memfd_ro, 0);

	if (p == MAP_FAILED)
		return errno;
	*p = 'x';
	return 0;
}

static int
try_grow_head(const struct stage *s)
{
	return result(fallocate(s->memfd_ro, 0, 0, 8192));
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
#define NOBODY_MAY	{ -1, -1, -1 }
#define MAY(a)		{ GRANT_##a, -1, -1 }
	{ "open /etc/passwd", try_passwd, NOBODY_MAY },
	{ "open out of the data directory", try_shadow_at, NOBODY_MAY },
	{ "read the data directory", try_data_read, MAY(DATA_READ) },
	{ "write the data directory", try_data_write, MAY(DATA_WRITE) },
	{ "create in the data directory", try_data_create, MAY(DATA_WRITE) },
	{ "rename in the data directory", try_data_rename, MAY(DATA_WRITE) },
	{ "remove in the data directory", try_data_remove, MAY(DATA_WRITE) },
	{ "mkdir in the data directory", try_data_mkdir, MAY(DATA_WRITE) },
	{ "socket (TCP)", try_tcp_socket, MAY(TCP) },
	{ "socket (UDP)", try_udp_socket, NOBODY_MAY },
	{ "socket (UNIX)", try_unix_socket, NOBODY_MAY },
	{ "socket (raw)", try_raw_socket, NOBODY_MAY },
	{ "socket (netlink)", try_netlink, NOBODY_MAY },
	{ "connect (TCP)", try_connect, MAY(TCP) },
	{ "connect (UDP)", try_connect_udp, MAY(TCP) },
	{ "bind (TCP)", try_bind, NOBODY_MAY },
	{ "listen", try_listen, NOBODY_MAY },
	{ "accept", try_accept, MAY(ACCEPT) },
	{ "execve", try_exec, NOBODY_MAY },
	{ "fork", try_fork, NOBODY_MAY },
	{ "clone without sharing", try_vfork, NOBODY_MAY },
	{ "ptrace a sibling", try_ptrace, NOBODY_MAY },
	{ "kill a sibling", try_kill, NOBODY_MAY },
	{ "tgkill a sibling", try_tgkill, NOBODY_MAY },
	{ "signal a sibling by F_SETOWN", try_own_signal, NOBODY_MAY },
	{ "ioctl on a socket", try_ioctl, NOBODY_MAY },
	{ "read a sibling's memory", try_vm_read, NOBODY_MAY },
	{ "reopen a mapping for writing", try_reopen, NOBODY_MAY },
	{ "map the head for writing", try_map_write, NOBODY_MAY },
	{ "mprotect the head for writing", try_mprotect_write, NOBODY_MAY },
	{ "write the head", try_write_head, NOBODY_MAY },
	{ "write the head's mapping", try_store_head, NOBODY_MAY },
	{ "fallocate the head", try_grow_head, NOBODY_MAY },
	{ "fchmod", try_chmod, NOBODY_MAY },
	{ "memory that can be run", try_exec_memory, NOBODY_MAY },
	{ "setresuid", try_setuid, NOBODY_MAY },
	{ "raise a limit", try_raise_limit, NOBODY_MAY },
	{ "bpf", try_bpf, NOBODY_MAY },
	{ "io_uring", try_io_uring, NOBODY_MAY }
};
#define N_ATTEMPTS	(sizeof(attempts) / sizeof(attempts[0]))

enum { EXIT_LOCKED_OUT = 100, EXIT_WORKED = 101, EXIT_REFUSED = 102,
    EXIT_OTHER = 103 };

/* Who starts the process, and whether it switches. */
static const struct who {
	const char	*name;
	uid_t		 before, to;	/* 0 = stays */
	bool		 root_only;
} whos[] = {
	{ "an ordinary user", NOBODY, 0, false },
	{ "root", 0, 0, true },
	{ "root, switching to another user", 0, NOBODY, true },
};

static void
become(uid_t uid)
{
	if (uid != 0 && geteuid() == 0 && (setresgid(uid, uid, uid) == -1 ||
	    setresuid(uid, uid, uid) == -1))
		_exit(EXIT_LOCKED_OUT);
}

static void
report_attempt(const struct attempt *a, const struct stage *s)
{
	int os = a->fn(s);

	_exit(os == 0 ? EXIT_WORKED : os == EPERM || os == EACCES ||
	    /* a descriptor that cannot write is no question of grants */
	    os == EBADF || os == ENOSYS ? EXIT_REFUSED : EXIT_OTHER);
}

static void
child(const struct attempt *a, const struct stage *s,
    const struct sandbox_args *args, uid_t before)
{
	struct sandbox_report report;
	struct err e = ERR_INIT;

	become(before);
	if (sandbox_enter(args, &report, &e) == -1) {
		fprintf(stderr, "%s: %s\n", role_name(args->role), e.text);
		_exit(EXIT_LOCKED_OUT);
	}
	if (args->uid != 0 && report.uid != args->uid)
		_exit(EXIT_LOCKED_OUT);
	report_attempt(a, s);
}

/* Everything where it was, sockets that nobody has connected. */
static void
tidy(struct stage *s)
{
	static const char *const names[] = { "file", "spare" };

	(void)unlinkat(s->data_dir, "x", 0);
	(void)unlinkat(s->data_dir, "spare2", 0);
	(void)unlinkat(s->data_dir, "dir", AT_REMOVEDIR);
	for (size_t i = 0; i < 2; i++) {
		int fd = openat(s->data_dir, names[i], O_CREAT | O_WRONLY,
		    0666);

		(void)fchmod(fd, 0666);
		close(fd);
	}
	close(s->tcp);
	close(s->udp);
	s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	s->udp = socket(AF_INET, SOCK_DGRAM, 0);
}

static int
run_child(const struct attempt *a, struct stage *s,
    const struct sandbox_args *args, uid_t before)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		(void)signal(SIGSEGV, SIG_DFL);	/* cmocka's */
		if (args != NULL)
			child(a, s, args, before);
		report_attempt(a, s);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	tidy(s);
	return status;
}

/*
 * '+' it worked and may; 'K' killed by the filter; 'E' told that it may not;
 * 'M' killed by the memory's protection.
 */
static char
try_one(const struct attempt *a, struct stage *s,
    const struct sandbox_args *args, const struct who *who)
{
	const struct sandbox_row *row = sandbox_row(args->role);
	bool may = false;
	int status, i;

	for (i = 0; i < 3; i++)
		if (a->except[i] != -1 &&
		    sandbox_row_has(row, (enum sandbox_grant)a->except[i]))
			may = true;
	status = run_child(a, s, args, who->before);
	if (may && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_WORKED)
		return '+';
	if (!may && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return 'K';
	if (!may && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV &&
	    a->fn == try_store_head)
		return 'M';
	if (!may && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED)
		return 'E';
	fflush(stdout);
	fail_msg("%s in %s (%s, Landlock %d): status %x", a->name,
	    role_name(args->role), who->name, args->landlock_abi_max, status);
	return '?';
}

static void
print_head(const struct who *who, int cap)
{
	printf("\nas %s, Landlock %s\n%-32s", who->name,
	    cap == 0 ? "as the kernel has it" : "capped at ABI 2", "");
	for (int role = 0; role < ROLE_COUNT; role++)
		if (sandbox_row((enum role)role) != NULL)
			printf(" %.4s", role_name((enum role)role));
	putchar('\n');
}

/* One combination: all attempts in all roles. */
static void
try_all(struct stage *s, const struct who *who, int cap)
{
	uid_t to = who->to;

	s->sibling = s->siblings[who->before != 0 || to != 0];
	print_head(who, cap);
	for (size_t i = 0; i < N_ATTEMPTS; i++) {
		printf("%-32s", attempts[i].name);
		for (int role = 0; role < ROLE_COUNT; role++) {
			struct sandbox_args a = { .role = (enum role)role,
			    .uid = to, .gid = to, .data_dir_fd = s->data_dir,
			    .landlock_abi_max = cap };

			if (sandbox_row((enum role)role) != NULL)
				printf("    %c", try_one(&attempts[i], s, &a,
				    who));
		}
		putchar('\n');
	}
}

static void
stage_init(struct stage *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char dir[] = "/tmp/brazier-sandbox-XXXXXX", path[64];
	socklen_t n = sizeof(s->target);
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
	s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	s->udp = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&sin,
	    sizeof(sin)), 0);
	s->target_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->target_fd, (struct sockaddr *)&sin,
	    sizeof(sin)), 0);
	assert_int_equal(listen(s->target_fd, 4096), 0);
	assert_int_equal(getsockname(s->target_fd,
	    (struct sockaddr *)&s->target, &n), 0);
	tidy(s);
	for (int i = 0; i < 2; i++)
		if ((s->siblings[i] = fork()) == 0) {
			if (i == 1)
				become(NOBODY);
			/* not to outlive a test that fails */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	s->sibling = s->siblings[0];
}

static void
stage_clear(struct stage *s)
{
	char path[64], dir[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->data_dir);
	n = readlink(path, dir, sizeof(dir) - 1);
	(void)unlinkat(s->data_dir, "file", 0);
	(void)unlinkat(s->data_dir, "spare", 0);
	if (n > 0) {
		dir[n] = '\0';
		(void)rmdir(dir);
	}
	for (int i = 0; i < 2; i++) {
		kill(s->siblings[i], SIGKILL);
		waitpid(s->siblings[i], NULL, 0);
	}
}

static void
test_forbidden(void **state)
{
	static const int caps[] = { 0, 2 };
	struct stage s;

	(void)state;
	stage_init(&s);
	for (size_t w = 0; w < sizeof(whos) / sizeof(whos[0]); w++)
		for (size_t c = 0; c < 2; c++)
			if (geteuid() == 0 || !whos[w].root_only)
				try_all(&s, &whos[w], caps[c]);
	stage_clear(&s);
}

/*
 * Without confinement nothing of this is refused, but for what the machine
 * refuses everybody and what a read-only descriptor cannot do: so it is the
 * confinement that the other test sees.
 */
static void
test_possible(void **state)
{
	static attempt_fn *const never[] = { try_map_write,
	    try_mprotect_write, try_write_head, try_store_head, try_grow_head };
	struct stage s;

	(void)state;
	if (geteuid() != 0)
		skip();
	stage_init(&s);
	for (size_t i = 0; i < N_ATTEMPTS; i++) {
		bool by_itself = false;
		int status;

		for (size_t k = 0; k < sizeof(never) / sizeof(never[0]); k++)
			by_itself = by_itself || attempts[i].fn == never[k];
		status = run_child(&attempts[i], &s, NULL, 0);
		if (attempts[i].fn == try_kill ||
		    attempts[i].fn == try_tgkill) {
			/* it worked: the sibling is gone */
			stage_clear(&s);
			stage_init(&s);
		}
		if (!by_itself && WIFEXITED(status) &&
		    WEXITSTATUS(status) == EXIT_REFUSED)
			printf("not possible on this machine at all: %s\n",
			    attempts[i].name);
		if (attempts[i].fn == try_passwd ||
		    attempts[i].fn == try_data_create ||
		    attempts[i].fn == try_connect ||
		    attempts[i].fn == try_listen ||
		    attempts[i].fn == try_fork || attempts[i].fn == try_kill ||
		    attempts[i].fn == try_reopen)
			assert_true(WIFEXITED(status) &&
			    WEXITSTATUS(status) == EXIT_WORKED);
	}
	stage_clear(&s);
}

/* --- what must go on working, rare as it is --- */

static int
need_abort(void)
{
	abort();
}

/* glibc says so on stderr, then aborts. */
static int
need_broken_heap(void)
{
	static char not_from_malloc[64] __attribute__((aligned(16)));
	char *volatile p = not_from_malloc + 16;
	free(p);
	return 1;
}

static int
by_value(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Large enough for qsort to ask for the machine's memory. */
static int
need_memory(void)
{
	size_t n = (size_t)1 << 20;
	int *v = malloc(n * sizeof(*v)), *more;

	if (v == NULL)
		return 1;
	for (size_t i = 0; i < n; i++)
		v[i] = (int)(n - i);
	qsort(v, n, sizeof(*v), by_value);
	if (v[0] != 1 || (more = realloc(v, 64 * n)) == NULL)
		return 1;
	free(more);
	(void)malloc_trim(0);
	return 0;
}

static void *
thread_main(void *arg)
{
	/* an arena of its own */
	free(malloc(1000));
	return arg;
}

static int
need_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread_main, NULL) != 0)
		return 1;
	return pthread_join(t, NULL);
}

static const struct need {
	const char	*name;
	int		(*fn)(void);
	int		 signal;	/* it ends by, 0 = returns 0 */
	int		 only;		/* roles with this grant, -1 = all */
} needs[] = {
	{ "abort()", need_abort, SIGABRT, -1 },
	{ "a broken heap", need_broken_heap, SIGABRT, -1 },
	{ "memory", need_memory, 0, -1 },
	{ "a thread", need_thread, 0, GRANT_THREADS },
};

static void
need_one(const struct need *n, enum role role, const struct stage *s)
{
	struct sandbox_args a = { .role = role, .data_dir_fd = s->data_dir };
	struct sandbox_report report;
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		int null = open("/dev/null", O_WRONLY);

		(void)dup2(null, 2);
		(void)signal(SIGABRT, SIG_DFL);	/* cmocka's */
		if (sandbox_enter(&a, &report, &e) == -1)
			_exit(EXIT_LOCKED_OUT);
		_exit(n->fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (n->signal == 0 ? status != 0 : !WIFSIGNALED(status) ||
	    WTERMSIG(status) != n->signal)
		fail_msg("%s in %s: status %x", n->name, role_name(role),
		    status);
}

static void
test_needed(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s);
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		for (int role = 0; role < ROLE_COUNT; role++) {
			const struct sandbox_row *row =
			    sandbox_row((enum role)role);

			if (row != NULL && (needs[i].only == -1 ||
			    sandbox_row_has(row,
			    (enum sandbox_grant)needs[i].only)))
				need_one(&needs[i], (enum role)role, &s);
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
		cmocka_unit_test(test_possible),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_needed),
		cmocka_unit_test(test_supervisor)
	};

#ifdef BRAZIER_SANITIZED
	puts("sanitizer build: its sandbox refuses nothing, not tested");
	return 0;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
