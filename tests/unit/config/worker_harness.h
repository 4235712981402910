/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_TESTS_UNIT_CONFIG_WORKER_HARNESS_H
#define BRAZIER_TESTS_UNIT_CONFIG_WORKER_HARNESS_H

/*
 * A worker as a process in its sandbox, with the test for its supervisor.
 * Needs build/libexec/<role> beside build/tests. The test supplies the
 * handlers of what the worker sends beyond ATTACHED, READY and STOPPED.
 */

#include <sys/wait.h>

#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "ipc/memfd.h"
#include "ipc/worker.h"

#define HARNESS_WAIT_MS	10000

struct harness {
	struct event_base	*base;
	enum role		 role;
	pid_t			 pid;
	int			 log[2];
	struct ipc_channel	*sup, *peer;
	struct ipc_handler	 handlers[16];
	size_t			 n_handlers;
	bool			 attached, stopped;
	void			*test;		/* the test's own */
};

static void
harness_on_attached(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_attached *a = m->data;

	(void)ch;
#ifndef BRAZIER_SANITIZED	/* which has a sandbox of its own */
	assert_int_equal(a->seccomp, 1);
#else
	(void)a;
#endif
	((struct harness *)ctx)->attached = true;
}

static void
harness_on_stopped(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	(void)m;
	((struct harness *)ctx)->stopped = true;
}

static void
harness_on_nothing(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ctx;
	(void)ch;
	(void)m;
}

static void
harness_on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	(void)ctx;
	(void)ch;
	(void)why;
}

/* Runs the loop until the flag is set; false after ten seconds. */
static bool
harness_wait(struct harness *h, const bool *flag)
{
	int64_t end = mono_now().ns + HARNESS_WAIT_MS * 1000000LL;

	while (!*flag && mono_now().ns < end) {
		const struct timeval tv = { 0, 20000 };

		(void)event_base_loopexit(h->base, &tv);
		(void)event_base_loop(h->base, EVLOOP_ONCE);
	}
	return *flag;
}

static void
harness_attach(struct harness *h)
{
	struct msg_attach a = { .role = (uint32_t)h->role, .n_instances = 1 };
	struct err err = ERR_INIT;
	struct buf b;
	int fds[2];

	buf_init(&b, 0);
	buf_add(&b, &a, sizeof(a));
	wire_put_u32(&b, 2);
	wire_put_str(&b, STR_LIT("log.level"));
	wire_put_str(&b, STR_LIT("warn"));
	wire_put_str(&b, STR_LIT("brazier.env.NAME"));
	wire_put_str(&b, STR_LIT("passed"));
	wire_put_u32(&b, 2);
	wire_put_str(&b, STR_LIT("log"));
	wire_put_str(&b, STR_LIT("metrics"));
	fds[0] = dup(h->log[1]);
	fds[1] = memfd_shared("metrics", METRICS_REGION_BYTES, &err);
	assert_int_equal(ipc_send(h->sup, IPC_ATTACH, 0, b.p, b.n, fds, 2,
	    &err), 0);
	buf_clear(&b);
}

static void
harness_start(struct harness *h, enum role role, const char *name,
    const struct ipc_handler *handlers, size_t n)
{
	char self[4096] = "", program[8192];
	struct err err = ERR_INIT;
	int fds[2];
	size_t i;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	(void)snprintf(program, sizeof(program), "%s/../libexec/%s",
	    dirname(self), name);
	h->role = role;
	h->base = event_base_new();
	assert_int_equal(pipe2(h->log, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(ipc_pair(fds, &err), 0);
	h->pid = fork();
	assert_int_not_equal(h->pid, -1);
	if (h->pid == 0) {
		if (fds[1] != 3)
			(void)dup2(fds[1], 3);
		else
			(void)fcntl(3, F_SETFD, 0);
		(void)execl(program, name, (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	h->handlers[h->n_handlers++] =
	    (struct ipc_handler){ IPC_ATTACHED, harness_on_attached };
	h->handlers[h->n_handlers++] =
	    (struct ipc_handler){ IPC_STOPPED, harness_on_stopped };
	h->handlers[h->n_handlers++] =
	    (struct ipc_handler){ IPC_READY, harness_on_nothing };
	h->handlers[h->n_handlers++] =
	    (struct ipc_handler){ IPC_PEER_LOST, harness_on_nothing };
	for (i = 0; i < n; i++)
		h->handlers[h->n_handlers++] = handlers[i];
	h->sup = ipc_channel_new(h->base, fds[0], (struct ipc_ends){
	    ROLE_SUPERVISOR, role, 0, 0 }, h->handlers, h->n_handlers,
	    harness_on_closed, h);
	assert_non_null(h->sup);
	ipc_channel_set_state(h->sup, IPC_RUNNING);
	harness_attach(h);
	assert_true(harness_wait(h, &h->attached));
}

/* STOP, and a clean exit: no sandbox death, no leak. */
static void
harness_stop(struct harness *h)
{
	struct msg_stop s = { .deadline_ms = 5000 };
	struct err err = ERR_INIT;
	int status = 0;

	assert_int_equal(ipc_send(h->sup, IPC_STOP, 0, &s, sizeof(s), NULL, 0,
	    &err), 0);
	assert_true(harness_wait(h, &h->stopped));
	if (h->peer != NULL)
		ipc_channel_free(h->peer);
	ipc_channel_free(h->sup);
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	(void)close(h->log[0]);
	(void)close(h->log[1]);
	event_base_free(h->base);
}

#endif
