/* SPDX-License-Identifier: ISC */

/*
 * The control socket. Who may send what is the catalogue's `ctl` column,
 * compared with the peer's credentials as the kernel gives them: ADMIN for
 * root and for brazierd's own user, READ for the service user too. Answers
 * larger than a message travel in pieces. Questions about queries are web's
 * to answer; they are passed on with numbers of ours.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "supervisor/supervisor.h"

#define CLIENTS_MAX	16
#define ASKED_MAX	64		/* questions that wait for web */
#define PIECE_BYTES	(IPC_MSG_MAX - 1024)

struct client {
	struct control		*ctl;
	struct ipc_channel	*ch;	/* NULL = free place */
	uint32_t		 serial;
	uid_t			 uid;
	enum ipc_ctl		 rights;
};

struct asked {
	uint64_t	 id;		/* ours; 0 = free */
	uint64_t	 client_id;
	uint32_t	 serial;
};

struct control {
	struct supervisor	*sup;
	int			 fd;
	struct event		*ev;
	char			 path[108];
	bool			 in_data_dir;
	struct client		 clients[CLIENTS_MAX];
	uint32_t		 last_serial;
	struct asked		 asked[ASKED_MAX];
	uint64_t		 last_id;
};

static struct client *
client_find(struct control *ctl, uint32_t serial)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (ctl->clients[i].ch != NULL && ctl->clients[i].serial == serial)
			return &ctl->clients[i];
	return NULL;
}

static void
client_reply(struct client *cl, uint64_t id, bool ok, struct str text)
{
	struct err err = ERR_INIT;

	do {
		size_t n = text.n < PIECE_BYTES ? text.n : PIECE_BYTES;
		struct msg_ctl_reply msg = { .ok = ok, .more = n < text.n };
		struct iovec iov[2] = { { &msg, sizeof(msg) },
		    { (void *)(uintptr_t)text.p, n } };

		if (cl->ch == NULL || ipc_sendv(cl->ch, IPC_CTL_REPLY, id, iov, 2,
		    NULL, 0, &err) == -1)
			return;		/* it left, or does not read */
		text = str_from(text.p + n, text.n - n);
	} while (text.n > 0);
}

/* The catalogue's column; answers and says false when it forbids. */
static bool
client_may(struct client *cl, const struct ipc_msg *m)
{
	const struct ipc_row *row = ipc_row(m->type);

	if (row->ctl != IPC_CTL_NONE && cl->rights >= row->ctl)
		return true;
	log_warn("Control request refused", F_STR("request", row->name),
	    F_UINT("uid", cl->uid));
	client_reply(cl, m->id, false, STR_LIT("permission denied"));
	return false;
}

static void
on_status(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct client *cl = ctx;
	struct buf out;

	(void)ch;
	if (!client_may(cl, m))
		return;
	buf_init(&out, 0);
	status_json(cl->ctl->sup, &out);
	client_reply(cl, m->id, true, buf_str(&out));
	buf_clear(&out);
}

struct ctl_reload {
	struct control	*ctl;
	uint32_t	 serial;
	uint64_t	 id;
};

static void
reload_done_cb(void *arg, const struct err *err, unsigned exit_code)
{
	struct ctl_reload *r = arg;
	struct client *cl = client_find(r->ctl, r->serial);

	(void)exit_code;
	if (cl != NULL)
		client_reply(cl, r->id, err == NULL,
		    err == NULL ? STR_EMPTY : str_c(err->text));
	free(r);
}

static void
on_reload(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct client *cl = ctx;
	struct ctl_reload *r;

	(void)ch;
	if (!client_may(cl, m))
		return;
	r = xmalloc(sizeof(*r));
	*r = (struct ctl_reload){ cl->ctl, cl->serial, m->id };
	reload_request(cl->ctl->sup, reload_done_cb, r);
}

static void
on_quit(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct client *cl = ctx;

	(void)ch;
	if (!client_may(cl, m))
		return;
	log_warn("Received termination request via control socket, exiting "
	    "gracefully...", F_UINT("uid", cl->uid));
	client_reply(cl, m->id, true, STR_EMPTY);
	stop_begin(cl->ctl->sup, NULL);
}

/* --- questions for web --- */

static void
pass_to_web(struct client *cl, struct ipc_msg *m)
{
	struct control *ctl = cl->ctl;
	struct child *web = children_find(ctl->sup, ROLE_WEB, 0);
	struct asked *a = NULL;

	if (!client_may(cl, m))
		return;
	for (size_t i = 0; i < ASKED_MAX && a == NULL; i++)
		if (ctl->asked[i].id == 0)
			a = &ctl->asked[i];
	if (a == NULL || web == NULL || web->state != CHILD_UP) {
		client_reply(cl, m->id, false, STR_LIT("web does not answer now"));
		return;
	}
	*a = (struct asked){ ++ctl->last_id, m->id, cl->serial };
	child_send(web, (enum ipc_type)m->type, a->id, m->data, m->n, -1);
}

static void
on_for_web(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ch;
	pass_to_web(ctx, m);
}

void
control_on_web_reply(struct supervisor *sup, struct ipc_msg *m)
{
	const struct msg_ctl_reply *reply = m->data;
	struct control *ctl = sup->control;
	struct client *cl;
	struct err err = ERR_INIT;

	for (size_t i = 0; ctl != NULL && i < ASKED_MAX; i++) {
		struct asked *a = &ctl->asked[i];

		if (a->id == 0 || a->id != m->id)
			continue;
		cl = client_find(ctl, a->serial);
		if (cl != NULL)
			(void)ipc_send(cl->ch, IPC_CTL_REPLY, a->client_id, m->data,
			    m->n, NULL, 0, &err);
		if (reply->more == 0)
			a->id = 0;
		return;
	}
}

void
control_on_web_down(struct supervisor *sup)
{
	struct control *ctl = sup->control;

	for (size_t i = 0; ctl != NULL && i < ASKED_MAX; i++) {
		struct asked *a = &ctl->asked[i];
		struct client *cl = a->id == 0 ? NULL :
		    client_find(ctl, a->serial);

		if (cl != NULL)
			client_reply(cl, a->client_id, false,
			    STR_LIT("web has ended meanwhile"));
		a->id = 0;
	}
}

static const struct ipc_handler handlers[] = {
	{ IPC_CTL_STATUS, on_status },
	{ IPC_RELOAD, on_reload },
	{ IPC_QUIT, on_quit },
	{ IPC_QUERIES_GET, on_for_web },
	{ IPC_QUERY_KILL, on_for_web },
};

/* --- connections --- */

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	struct client *cl = ctx;

	(void)why;
	cl->ch = NULL;
	ipc_channel_free(ch);
}

static enum ipc_ctl
rights_of(const struct supervisor *sup, uid_t uid)
{
	if (uid == 0 || uid == geteuid())
		return IPC_CTL_ADMIN;
	return uid == sup->identity.uid ? IPC_CTL_READ : IPC_CTL_NONE;
}

static void
client_new(struct control *ctl, int fd)
{
	struct ipc_ends ends = { ROLE_SUPERVISOR, ROLE_CTL, 0, 0 };
	struct ucred cred;
	socklen_t n = sizeof(cred);
	struct client *cl = NULL;

	for (size_t i = 0; i < CLIENTS_MAX && cl == NULL; i++)
		if (ctl->clients[i].ch == NULL)
			cl = &ctl->clients[i];
	if (cl == NULL ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == -1) {
		close(fd);
		return;
	}
	cl->ctl = ctl;
	cl->uid = cred.uid;
	cl->rights = rights_of(ctl->sup, cred.uid);
	cl->serial = ++ctl->last_serial;
	cl->ch = ipc_channel_new(ctl->sup->base, fd, ends, handlers,
	    sizeof(handlers) / sizeof(handlers[0]), on_closed, cl);
	if (cl->ch == NULL)
		close(fd);
	else
		ipc_channel_set_state(cl->ch, IPC_RUNNING);
}

static void
accept_cb(evutil_socket_t listener, short what, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd != -1)
		client_new(arg, fd);
}

static int
make_path(struct control *ctl, struct err *err)
{
	const struct flags *f = ctl->sup->flags;
	const char *given = flags_str(f, FLAG_CONTROL_PATH);
	int n;

	ctl->in_data_dir = *given == '\0';
	if (*given != '\0')
		n = snprintf(ctl->path, sizeof(ctl->path), "%s", given);
	else
		n = snprintf(ctl->path, sizeof(ctl->path), "%s/control.sock",
		    flags_str(f, FLAG_TSDB_PATH));
	if (!ctl->in_data_dir && (n < 0 || (size_t)n >= sizeof(ctl->path)))
		return err_set(err, ERR_LIMIT, "path of the control socket is "
		    "longer than %zu bytes, give a shorter --control.path",
		    sizeof(ctl->path) - 1);
	return 0;
}

/*
 * The usual place is the data directory, which is the service user's: the
 * socket is made with that user's rights, through our open directory, so
 * that nothing there can lead us elsewhere.
 */
static int
bind_in_data_dir(struct control *ctl, struct sockaddr_un *sun, struct err *err)
{
	const struct identity *id = &ctl->sup->identity;
	int dir = ctl->sup->dirlock.dir_fd, rc, e;
	struct stat st;

	snprintf(sun->sun_path, sizeof(sun->sun_path),
	    "/proc/self/fd/%d/control.sock", dir);
	if (identity_enter(id, err) == -1)
		return -1;
	if (fstatat(dir, "control.sock", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISSOCK(st.st_mode))
		(void)unlinkat(dir, "control.sock", 0);
	rc = bind(ctl->fd, (const struct sockaddr *)sun, sizeof(*sun));
	e = errno;
	identity_leave(id);
	errno = e;
	return rc;
}

/* A place that --control.path names: ours, and the service group may look. */
static int
bind_at_path(struct control *ctl, struct sockaddr_un *sun)
{
	struct stat st;

	memcpy(sun->sun_path, ctl->path, sizeof(ctl->path));
	if (lstat(ctl->path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(ctl->path);
	if (bind(ctl->fd, (const struct sockaddr *)sun, sizeof(*sun)) == -1)
		return -1;
	return ctl->sup->identity.switches ?
	    lchown(ctl->path, (uid_t)-1, ctl->sup->identity.gid) : 0;
}

static int
listen_at(struct control *ctl, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t mask;
	int rc;

	ctl->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (ctl->fd == -1)
		return err_set_os(err, "socket");
	mask = umask(0117);
	rc = ctl->in_data_dir ? bind_in_data_dir(ctl, &sun, err) :
	    bind_at_path(ctl, &sun);
	(void)umask(mask);
	if (rc == -1 || listen(ctl->fd, 8) == -1)
		return err_set_os(err, "control socket %s", ctl->path);
	return 0;
}

struct control *
control_open(struct supervisor *sup, struct err *err)
{
	struct control *ctl = xcalloc(1, sizeof(*ctl));

	ctl->sup = sup;
	ctl->fd = -1;
	if (make_path(ctl, err) == -1 || listen_at(ctl, err) == -1)
		goto fail;
	ctl->ev = event_new(sup->base, ctl->fd, EV_READ | EV_PERSIST, accept_cb,
	    ctl);
	if (ctl->ev == NULL || event_add(ctl->ev, NULL) == -1) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	return ctl;
fail:
	if (ctl->ev != NULL)
		event_free(ctl->ev);
	if (ctl->fd != -1)
		close(ctl->fd);
	free(ctl);
	return NULL;
}

void
control_close(struct control *ctl)
{
	if (ctl == NULL)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (ctl->clients[i].ch != NULL) {
			(void)ipc_channel_flush(ctl->clients[i].ch, 100);
			ipc_channel_free(ctl->clients[i].ch);
		}
	event_free(ctl->ev);
	close(ctl->fd);
	if (ctl->in_data_dir)
		(void)unlinkat(ctl->sup->dirlock.dir_fd, "control.sock", 0);
	else
		(void)unlink(ctl->path);
	free(ctl);
}
