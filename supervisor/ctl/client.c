/* SPDX-License-Identifier: ISC */

/* See client.h. */

#include "supervisor/ctl/client.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/channel.h"

#define ANSWER_MAX	(64u << 20)
#define ANSWER_WAIT_S	180	/* a reload may take its deadlines */

struct client {
	struct event_base	*base;
	struct buf		*answer;
	struct err		*err;
	int			 rc;	/* 1 = no answer yet */
};

static void
on_reply(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_ctl_reply *reply = m->data;
	struct client *cl = ctx;

	(void)ch;
	buf_add(cl->answer, reply + 1, m->n - sizeof(*reply));
	if (reply->more)
		return;
	cl->rc = 0;
	if (buf_failed(cl->answer))
		cl->rc = err_set(cl->err, ERR_LIMIT, "the answer is too long");
	else if (reply->ok != 1)
		cl->rc = err_set(cl->err, ERR_BAD_DATA, "%.*s",
		    STR_ARG(buf_str(cl->answer)));
	event_base_loopbreak(cl->base);
}

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	struct client *cl = ctx;

	(void)ch;
	if (cl->rc == 1)
		cl->rc = err_set(cl->err, ERR_UNAVAILABLE,
		    "brazierd closed the connection: %s", why);
	event_base_loopbreak(cl->base);
}

static const struct ipc_handler handlers[] = {
	{ IPC_CTL_REPLY, on_reply },
};

static int
connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, e;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static int
connect_any(const char *path, struct err *err)
{
	static const char *const usual[] = {
		"data/control.sock", "/run/brazier/control.sock",
		"/var/lib/brazier/control.sock",
	};
	int fd = -1;

	if (path != NULL) {
		if ((fd = connect_to(path)) == -1)
			return err_set_os(err, "connect %s", path);
		return fd;
	}
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if ((fd = connect_to(usual[i])) != -1)
			return fd;
	return err_set(err, ERR_UNAVAILABLE, "no running brazierd found at %s, "
	    "%s, %s: name its control socket with -s", usual[0], usual[1],
	    usual[2]);
}

/*
 * What answers may be an impostor in a directory that we trust too much: no
 * new processes, no privileges by exec, no core with what it said.
 */
static void
drop_rights(void)
{
	struct rlimit none = { 0, 0 };

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)setrlimit(RLIMIT_NPROC, &none);
	(void)setrlimit(RLIMIT_CORE, &none);
}

static int
client_loop(struct client *cl, int fd, enum ipc_type type, const void *data,
    size_t n)
{
	struct ipc_ends ends = { ROLE_CTL, ROLE_SUPERVISOR, 0, 0 };
	struct timeval tv = { ANSWER_WAIT_S, 0 };
	struct ipc_channel *ch;

	cl->base = event_base_new();
	ch = cl->base == NULL ? NULL : ipc_channel_new(cl->base, fd, ends,
	    handlers, sizeof(handlers) / sizeof(handlers[0]), on_closed, cl);
	if (ch == NULL) {
		close(fd);
		return err_set(cl->err, ERR_NOMEM, "out of memory");
	}
	ipc_channel_set_state(ch, IPC_RUNNING);
	event_base_loopexit(cl->base, &tv);
	if (ipc_send(ch, type, 1, data, n, NULL, 0, cl->err) == -1)
		cl->rc = -1;
	else
		(void)event_base_dispatch(cl->base);
	ipc_channel_free(ch);
	event_base_free(cl->base);
	if (cl->rc == 1)
		return err_set(cl->err, ERR_TIMEOUT, "no answer within %d seconds",
		    ANSWER_WAIT_S);
	return cl->rc;
}

int
client_ask(const char *path, enum ipc_type type, const void *data, size_t n,
    struct buf *answer, struct err *err)
{
	struct client cl = { .answer = answer, .err = err, .rc = 1 };
	int fd = connect_any(path, err);

	if (fd == -1)
		return -1;
	buf_init(answer, ANSWER_MAX);
	drop_rights();
	return client_loop(&cl, fd, type, data, n);
}
