/* SPDX-License-Identifier: ISC */

/* The supervisor's part towards one storage process. */

#include "tests/tools/storm.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "ipc/memfd.h"

#define WAIT_MS		60000
#define HEAD_BYTES	"1073741824"

static void
on_ready(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	(void)m;
	((struct storm_storage *)ctx)->ready = true;
}

static void
on_nothing(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ctx;
	(void)ch;
	(void)m;
}

static void
on_kill_reader(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_kill_reader *k = m->data;
	struct storm_storage *s = ctx;

	(void)ch;
	if (k->role != ROLE_QUERY || k->instance >= 32)
		storm_fail("storage wants %u/%u killed", k->role, k->instance);
	s->kill_asked |= 1u << k->instance;
}

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	(void)ch;
	(void)why;
	((struct storm_storage *)ctx)->gone = true;
}

static const struct ipc_handler handlers[] = {
	{ IPC_ATTACHED, on_nothing }, { IPC_READY, on_ready },
	{ IPC_PEER_LOST, on_nothing },
	{ IPC_STOPPED, on_nothing }, { IPC_PROGRESS, on_nothing },
	{ IPC_KILL_READER, on_kill_reader },
};

void
storm_storage_init(struct storm_storage *s, struct event_base *base,
    const char *program, const char *dir)
{
	*s = (struct storm_storage){ .base = base, .program = program,
	    .dir = dir, .query_timeout = "2m", .pid = -1 };
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s->log) == -1)
		storm_fail("no socket for the log");
}

static void
put_pair(struct buf *b, const char *k, const char *v)
{
	wire_put_str(b, str_c(k));
	wire_put_str(b, str_c(v));
}

static void
attach(struct storm_storage *s)
{
	struct msg_attach a = { .role = ROLE_STORAGE, .n_instances = 1 };
	struct err err = ERR_INIT;
	struct buf b;
	int fds[3];

	buf_init(&b, 0);
	buf_add(&b, &a, sizeof(a));
	wire_put_u32(&b, 3);
	put_pair(&b, "brazier.head.max-bytes", HEAD_BYTES);
	put_pair(&b, "query.timeout", s->query_timeout);
	put_pair(&b, "log.level", "warn");
	wire_put_u32(&b, 3);
	wire_put_str(&b, STR_LIT("log"));
	wire_put_str(&b, STR_LIT("metrics"));
	wire_put_str(&b, STR_LIT("data-dir"));
	fds[0] = fcntl(s->log[1], F_DUPFD_CLOEXEC, 3);
	fds[1] = memfd_shared("metrics", METRICS_REGION_BYTES, &err);
	fds[2] = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds[0] == -1 || fds[1] == -1 || fds[2] == -1 ||
	    ipc_send(s->sup, IPC_ATTACH, 0, b.p, b.n, fds, 3, &err) == -1)
		storm_fail("attaching: %s", err.text);
	buf_clear(&b);
}

/* As launcher_start() does it: channel at 3, nothing else, no environment. */
static void
exec_storage(const struct storm_storage *s, int fd)
{
	char *argv[] = { (char *)(uintptr_t)"brazier-storage",
	    (char *)(uintptr_t)"0", NULL };
	char *envp[] = { NULL };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd != 3)
		(void)dup2(fd, 3);
	else
		(void)fcntl(3, F_SETFD, 0);
	(void)execve(s->program, argv, envp);
	_exit(127);
}

void
storm_storage_start(struct storm_storage *s)
{
	struct err err = ERR_INIT;
	int fds[2];

	s->ready = s->gone = false;
	if (ipc_pair(fds, &err) == -1 || (s->pid = fork()) == -1)
		storm_fail("starting storage: %s", err.text);
	if (s->pid == 0)
		exec_storage(s, fds[1]);
	(void)close(fds[1]);
	s->sup = ipc_channel_new(s->base, fds[0], (struct ipc_ends){
	    ROLE_SUPERVISOR, ROLE_STORAGE, 0, 0 }, handlers,
	    sizeof(handlers) / sizeof(handlers[0]), on_closed, s);
	if (s->sup == NULL)
		storm_fail("out of memory");
	ipc_channel_set_state(s->sup, IPC_RUNNING);
	attach(s);
}

static void
show_log(struct storm_storage *s)
{
	char line[4096];
	ssize_t n;

	while ((n = recv(s->log[0], line, sizeof(line), MSG_DONTWAIT)) > 0)
		(void)fwrite(line, 1, (size_t)n, stderr);
}

void
storm_run(struct storm_storage *s, unsigned ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)event_base_loopexit(s->base, &tv);
	(void)event_base_loop(s->base, 0);
	show_log(s);
}

void
storm_wait(struct storm_storage *s, const bool *flag, const char *what)
{
	mono_time end = mono_add_ms(mono_now(), WAIT_MS);

	while (!*flag) {
		if (mono_before(end, mono_now()))
			storm_fail("%s: not within %d ms", what, WAIT_MS);
		storm_run(s, 2);
	}
}

int
storm_peer_up(struct storm_storage *s, enum role role, uint32_t instance,
    uint32_t n_instances)
{
	struct msg_peer p = { .role = role, .instance = instance,
	    .n_instances = n_instances };
	struct err err = ERR_INIT;
	int fds[2];

	if (ipc_pair(fds, &err) == -1 || ipc_send(s->sup, IPC_PEER_UP, 0, &p,
	    sizeof(p), &fds[1], 1, &err) == -1)
		storm_fail("a peer: %s", err.text);
	return fds[0];
}

void
storm_peer_down(struct storm_storage *s, enum role role, uint32_t instance)
{
	struct msg_peer_down p = { .role = role, .instance = instance,
	    .cause = PEER_CAUSE_LIMIT };
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, &p, sizeof(p));
	wire_put_str(&b, STR_LIT("killed"));
	if (ipc_send(s->sup, IPC_PEER_DOWN, 0, b.p, b.n, NULL, 0, &err) == -1)
		storm_fail("a peer's end: %s", err.text);
	buf_clear(&b);
}

void
storm_storage_kill(struct storm_storage *s)
{
	int status;

	(void)kill(s->pid, SIGKILL);
	if (waitpid(s->pid, &status, 0) != s->pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		storm_fail("storage had ended before it was killed: %x",
		    status);
	s->pid = -1;
}

void
storm_storage_stop(struct storm_storage *s)
{
	struct msg_stop m = { .deadline_ms = 30000 };
	struct err err = ERR_INIT;
	int status;

	if (ipc_send(s->sup, IPC_STOP, 0, &m, sizeof(m), NULL, 0,
	    &err) == -1)
		storm_fail("stopping: %s", err.text);
	storm_wait(s, &s->gone, "storage's end");
	if (waitpid(s->pid, &status, 0) != s->pid || status != 0)
		storm_fail("storage ended with %x", status);
	s->pid = -1;
}

void
storm_storage_forget(struct storm_storage *s)
{
	show_log(s);
	ipc_channel_free(s->sup);
	s->sup = NULL;
}
