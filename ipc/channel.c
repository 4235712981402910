/* SPDX-License-Identifier: ISC */
/*
 * Channels. Order on the wire is the order of ipc_send calls: once something
 * waits, everything waits behind it. CREDIT messages are the exception: they
 * overtake, cost no credit and are sent by the receiving side after every
 * IPC_WINDOW / 4 handled bytes, so two ends that both wait for credit cannot
 * lock each other up.
 *
 * Freeing inside a callback is deferred: `busy` counts callbacks on the
 * stack, the last one out frees.
 */
#include "ipc/channel.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#define LOG_COMPONENT "ipc"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "ipc/counters.h"

#define READ_BATCH	32	/* messages a wake-up, then others get a turn */

struct ipc_hdr {
	uint16_t type;
	uint16_t zero;
	uint32_t generation;
	uint64_t id;
};
_Static_assert(sizeof(struct ipc_hdr) == 16, "header has another size");

union ipc_control {
	struct cmsghdr	hdr;
	char		bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

struct ipc_waiting {
	TAILQ_ENTRY(ipc_waiting) entry;
	size_t		 n;		/* header and data */
	size_t		 n_fds;
	int		*fds;
	uint16_t	 type;
	char		 bytes[];
};

struct ipc_channel {
	int			 fd;
	struct ipc_ends		 ends;
	enum ipc_state		 state;
	uint32_t		 generation;
	struct event		*ev_read, *ev_write, *ev_closed;
	const struct ipc_handler *handlers;
	size_t			 n_handlers;
	ipc_closed_fn		*closed_fn;
	void			(*drained_fn)(void *, struct ipc_channel *);
	void			*ctx;
	void			*closed_arg;
	struct ipc_counters	*counters;	/* NULL = not counted */
	TAILQ_HEAD(, ipc_waiting) queue;
	size_t			 queued_bytes;
	uint32_t		 queued_rows[IPC_TYPE_MAX];
	size_t			 in_flight;	/* sent, not credited yet */
	size_t			 handled;	/* received, not credited yet */
	unsigned		 busy;
	bool			 free_wanted;
	bool			 told;		/* closed_fn was called */
	const char		*why;		/* set = dead */
	char			*rbuf;		/* one message */
};

int
ipc_pair(int fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fds) == -1)
		return err_set_os(err, "socketpair");
	return 0;
}

static void
close_fds(const int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (fds[i] != -1)
			close(fds[i]);
}

static void
waiting_free(struct ipc_channel *ch, struct ipc_waiting *w)
{
	TAILQ_REMOVE(&ch->queue, w, entry);
	ch->queued_bytes -= w->n;
	ch->queued_rows[w->type]--;
	close_fds(w->fds, w->n_fds);
	free(w->fds);
	free(w);
}

static void
channel_destroy(struct ipc_channel *ch)
{
	struct ipc_waiting *w;

	while ((w = TAILQ_FIRST(&ch->queue)) != NULL)
		waiting_free(ch, w);
	if (ch->ev_read != NULL)
		event_free(ch->ev_read);
	if (ch->ev_write != NULL)
		event_free(ch->ev_write);
	if (ch->ev_closed != NULL)
		event_free(ch->ev_closed);
	if (ch->fd != -1)
		close(ch->fd);
	free(ch->rbuf);
	free(ch);
}

/* Marks the channel dead; the owner hears of it from the loop. */
static void
channel_kill(struct ipc_channel *ch, const char *why)
{
	if (ch->why != NULL)
		return;
	ch->why = why;
	event_del(ch->ev_read);
	event_del(ch->ev_write);
	close(ch->fd);
	ch->fd = -1;
	event_active(ch->ev_closed, EV_TIMEOUT, 0);
}

static void
channel_leave(struct ipc_channel *ch)
{
	if (--ch->busy == 0 && ch->free_wanted)
		channel_destroy(ch);
}

static void
on_closed(int fd, short what, void *arg)
{
	struct ipc_channel *ch = arg;

	(void)fd;
	(void)what;
	if (ch->told || ch->free_wanted)
		return;
	ch->told = true;
	ch->busy++;
	ch->closed_fn(ch->closed_arg, ch, ch->why);
	channel_leave(ch);
}

void
ipc_violation(struct ipc_channel *ch, const struct ipc_msg *m,
    const char *why)
{
	const struct ipc_row *row = ipc_row(m->type);

	log_error("Protocol violation, closing channel",
	    F_STR("peer", role_name(ch->ends.peer)),
	    F_UINT("instance", ch->ends.peer_instance),
	    F_STR("message", row == NULL ? "?" : row->name),
	    F_UINT("type", m->type), F_UINT("bytes", m->n),
	    F_UINT("fds", m->n_fds), F_STR("reason", why));
	if (ch->counters != NULL)
		ipc_counters_violation(ch->counters);
	channel_kill(ch, "protocol violation");
}

/* What waits goes out as far as socket and credit allow. */
static void channel_write(struct ipc_channel *ch);

static void
on_credit(struct ipc_channel *ch, struct ipc_msg *m)
{
	uint64_t bytes = ((const struct msg_credit *)m->data)->bytes;

	if (bytes > ch->in_flight) {
		ipc_violation(ch, m, "more credit than was used");
		return;
	}
	ch->in_flight -= bytes;
	channel_write(ch);
}

static void
dispatch(struct ipc_channel *ch, struct ipc_msg *m)
{
	const char *why;
	size_t i;

	why = ipc_check(m->type, ch->ends.peer, ch->ends.self, ch->state,
	    m->n, m->n_fds);
	if (why != NULL) {
		ipc_violation(ch, m, why);
		return;
	}
	if (ch->counters != NULL)
		ipc_counters_received(ch->counters, m->type);
	if (m->type == IPC_CREDIT) {
		on_credit(ch, m);
		return;
	}
	for (i = 0; i < ch->n_handlers; i++)
		if (ch->handlers[i].type == m->type)
			break;
	if (i == ch->n_handlers)
		ipc_violation(ch, m, "no handler in this role");
	else
		ch->handlers[i].fn(ch->ctx, ch, m);
}

static void
give_credit(struct ipc_channel *ch, size_t n)
{
	struct ipc_hdr h = { .type = IPC_CREDIT };
	struct msg_credit c;
	struct iovec iov[2] = { { &h, sizeof(h) }, { &c, sizeof(c) } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	ch->handled += n;
	if (ch->handled < IPC_WINDOW / 4)
		return;
	c.bytes = ch->handled;
	/* if the socket is full now, a later message gives it */
	if (sendmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
		ch->handled = 0;
}

static void
collect_fds(struct msghdr *mh, struct ipc_msg *m)
{
	struct cmsghdr *cm;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		size_t k = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cm->cmsg_level != SOL_SOCKET ||
		    cm->cmsg_type != SCM_RIGHTS || k > IPC_FDS_MAX - m->n_fds)
			continue;
		memcpy(m->fds + m->n_fds, CMSG_DATA(cm), k * sizeof(int));
		m->n_fds += k;
	}
}

/* One recvmsg: 1 = handled a message, 0 = nothing there, or dead. */
static int
channel_read_one(struct ipc_channel *ch)
{
	union ipc_control control;
	int fds[IPC_FDS_MAX];
	struct iovec iov = { ch->rbuf, sizeof(struct ipc_hdr) + IPC_MSG_MAX };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.bytes, .msg_controllen = sizeof(control) };
	struct ipc_msg m = { .fds = fds };
	struct ipc_hdr h = { 0 };
	ssize_t n;

	if ((n = recvmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) == -1) {
		if (errno != EAGAIN && errno != EINTR)
			channel_kill(ch, strerrordesc_np(errno));
		return errno == EINTR;
	}
	collect_fds(&mh, &m);
	if (n == 0 && m.n_fds == 0) {
		channel_kill(ch, "closed by peer");
		return 0;
	}
	memcpy(&h, ch->rbuf, (size_t)n < sizeof(h) ? (size_t)n : sizeof(h));
	m.type = h.type;
	m.generation = h.generation;
	m.id = h.id;
	m.data = ch->rbuf + sizeof(h);
	m.n = (size_t)n < sizeof(h) ? 0 : (size_t)n - sizeof(h);
	if ((size_t)n < sizeof(h) || h.zero != 0 ||
	    (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		ipc_violation(ch, &m, "malformed");
	else
		dispatch(ch, &m);
	close_fds(fds, m.n_fds);
	if (ch->why != NULL || ch->free_wanted)
		return 0;
	if (m.type != IPC_CREDIT)
		give_credit(ch, (size_t)n);
	return 1;
}

static void
on_readable(int fd, short what, void *arg)
{
	struct ipc_channel *ch = arg;
	int i;

	(void)fd;
	(void)what;
	ch->busy++;
	for (i = 0; i < READ_BATCH && channel_read_one(ch) == 1; i++)
		;
	channel_leave(ch);
}

static bool
has_credit(const struct ipc_channel *ch, size_t n_bytes)
{
	/* a message larger than the window goes when nothing is under way */
	return ch->in_flight == 0 || ch->in_flight + n_bytes <= IPC_WINDOW;
}

/* 0 = sent, 1 = try later, -1 = dead. */
static int
send_now(struct ipc_channel *ch, struct iovec *iov, size_t n_iov,
    size_t n_bytes, const int *fds, size_t n_fds)
{
	union ipc_control control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n_iov };
	struct cmsghdr *cm;

	if (!has_credit(ch, n_bytes))
		return 1;
	if (n_fds != 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	if (sendmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1) {
		/* ETOOMANYREFS: the peer has many descriptors to receive */
		if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS ||
		    errno == ETOOMANYREFS)
			return 1;
		channel_kill(ch, strerrordesc_np(errno));
		return -1;
	}
	ch->in_flight += n_bytes;
	close_fds(fds, n_fds);
	return 0;
}

/* Without credit it is the CREDIT message that wakes us. */
static void
wait_writable(struct ipc_channel *ch)
{
	if (has_credit(ch, TAILQ_FIRST(&ch->queue)->n))
		event_add(ch->ev_write, NULL);
}

static void
channel_write(struct ipc_channel *ch)
{
	bool had = !TAILQ_EMPTY(&ch->queue);
	struct ipc_waiting *w;

	while ((w = TAILQ_FIRST(&ch->queue)) != NULL) {
		struct iovec iov = { w->bytes, w->n };
		int r = send_now(ch, &iov, 1, w->n, w->fds, w->n_fds);

		if (r == -1)
			return;
		if (r == 1) {
			wait_writable(ch);
			return;
		}
		w->n_fds = 0;	/* closed by send_now */
		waiting_free(ch, w);
	}
	if (had && ch->drained_fn != NULL)
		ch->drained_fn(ch->ctx, ch);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct ipc_channel *ch = arg;

	(void)fd;
	(void)what;
	ch->busy++;
	channel_write(ch);
	channel_leave(ch);
}

static int
send_later(struct ipc_channel *ch, const struct ipc_hdr *h,
    const struct iovec *iov, size_t n_iov, size_t n_bytes, const int *fds,
    size_t n_fds, struct err *err)
{
	struct ipc_waiting *w;
	size_t i, at = 0;

	if (ch->queued_rows[h->type] >= ipc_row(h->type)->queue) {
		close_fds(fds, n_fds);
		return err_set(err, ERR_LIMIT, "queue of %s to %s is full",
		    ipc_row(h->type)->name, role_name(ch->ends.peer));
	}
	if ((w = malloc(sizeof(*w) + n_bytes)) == NULL ||
	    (w->fds = calloc(n_fds + 1, sizeof(int))) == NULL) {
		free(w);
		close_fds(fds, n_fds);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (i = 0; i < n_iov; i++) {
		if (iov[i].iov_len != 0)
			memcpy(w->bytes + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	if (n_fds != 0)
		memcpy(w->fds, fds, n_fds * sizeof(int));
	w->n = n_bytes;
	w->n_fds = n_fds;
	w->type = h->type;
	TAILQ_INSERT_TAIL(&ch->queue, w, entry);
	ch->queued_bytes += n_bytes;
	ch->queued_rows[h->type]++;
	wait_writable(ch);
	return 0;
}

int
ipc_sendv(struct ipc_channel *ch, enum ipc_type type, uint64_t id,
    const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds,
    struct err *err)
{
	struct ipc_hdr h = { .type = (uint16_t)type,
	    .generation = ch->generation, .id = id };
	struct iovec all[8] = { { &h, sizeof(h) } };
	size_t i, n = 0;
	const char *why;

	if (n_iov > sizeof(all) / sizeof(all[0]) - 1)
		fatal("ipc_sendv with %zu parts", n_iov);
	for (i = 0; i < n_iov; i++) {
		all[i + 1] = iov[i];
		n += iov[i].iov_len;
	}
	why = ipc_check(type, ch->ends.self, ch->ends.peer, IPC_ALL, n, n_fds);
	if (why != NULL)
		fatal("sending %s (%zu bytes, %zu fds) to %s: %s",
		    ipc_row(type) == NULL ? "?" : ipc_row(type)->name, n,
		    n_fds, role_name(ch->ends.peer), why);
	n += sizeof(h);
	if (ch->why == NULL && TAILQ_EMPTY(&ch->queue) &&
	    send_now(ch, all, n_iov + 1, n, fds, n_fds) == 0)
		return 0;
	if (ch->why != NULL) {
		close_fds(fds, n_fds);
		return err_set(err, ERR_UNAVAILABLE, "channel to %s is closed",
		    role_name(ch->ends.peer));
	}
	return send_later(ch, &h, all, n_iov + 1, n, fds, n_fds, err);
}

int
ipc_send(struct ipc_channel *ch, enum ipc_type type, uint64_t id,
    const void *data, size_t n, const int *fds, size_t n_fds,
    struct err *err)
{
	struct iovec iov = { .iov_len = n };

	memcpy(&iov.iov_base, &data, sizeof(data));
	return ipc_sendv(ch, type, id, &iov, 1, fds, n_fds, err);
}

int
ipc_channel_flush(struct ipc_channel *ch, int timeout_ms)
{
	mono_time end = mono_add_ms(mono_now(), timeout_ms);
	int64_t left_ns;

	ch->busy++;
	while (ch->why == NULL && !TAILQ_EMPTY(&ch->queue) &&
	    (left_ns = mono_sub_ns(end, mono_now())) > 0) {
		bool credit = has_credit(ch, TAILQ_FIRST(&ch->queue)->n);
		struct pollfd p = { .fd = ch->fd,
		    .events = credit ? POLLOUT : POLLIN };

		if (poll(&p, 1, (int)(left_ns / 1000000) + 1) <= 0)
			break;
		if (credit)
			channel_write(ch);
		else
			(void)channel_read_one(ch);
	}
	left_ns = ch->why == NULL && TAILQ_EMPTY(&ch->queue) ? 0 : -1;
	channel_leave(ch);
	return (int)left_ns;
}

bool
ipc_channel_pump(struct ipc_channel *ch, int timeout_ms)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLIN };
	bool alive;

	ch->busy++;
	if (ch->why == NULL && poll(&p, 1, timeout_ms) > 0)
		for (int i = 0; i < READ_BATCH && ch->why == NULL &&
		    channel_read_one(ch) == 1; i++)
			;
	alive = ch->why == NULL && !ch->free_wanted;
	channel_leave(ch);
	return alive;
}

struct ipc_channel *
ipc_channel_new(struct event_base *base, int fd, struct ipc_ends ends,
    const struct ipc_handler *handlers, size_t n_handlers,
    ipc_closed_fn *closed, void *ctx)
{
	struct ipc_channel *ch = calloc(1, sizeof(*ch));

	if (ch == NULL)
		return NULL;
	ch->fd = -1;
	ch->ends = ends;
	ch->state = IPC_UP;
	ch->handlers = handlers;
	ch->n_handlers = n_handlers;
	ch->closed_fn = closed;
	ch->ctx = ctx;
	ch->closed_arg = ctx;
	TAILQ_INIT(&ch->queue);
	ch->rbuf = aligned_alloc(16, sizeof(struct ipc_hdr) + IPC_MSG_MAX);
	ch->ev_read = event_new(base, fd, EV_READ | EV_PERSIST, on_readable,
	    ch);
	ch->ev_write = event_new(base, fd, EV_WRITE, on_writable, ch);
	ch->ev_closed = event_new(base, -1, 0, on_closed, ch);
	if (ch->rbuf == NULL || ch->ev_read == NULL || ch->ev_write == NULL ||
	    ch->ev_closed == NULL || event_add(ch->ev_read, NULL) == -1) {
		channel_destroy(ch);
		return NULL;
	}
	ch->fd = fd;
	return ch;
}

void
ipc_channel_free(struct ipc_channel *ch)
{
	if (ch == NULL || ch->free_wanted)
		return;
	ch->free_wanted = true;
	if (ch->busy == 0)
		channel_destroy(ch);
}

void
ipc_channel_set_closed_arg(struct ipc_channel *ch, void *arg)
{
	ch->closed_arg = arg;
}

void
ipc_channel_set_counters(struct ipc_channel *ch, struct ipc_counters *c)
{
	ch->counters = c;
}

void
ipc_channel_set_state(struct ipc_channel *ch, enum ipc_state state)
{
	ch->state = state;
}

void
ipc_channel_set_generation(struct ipc_channel *ch, uint32_t generation)
{
	ch->generation = generation;
}

struct ipc_ends
ipc_channel_ends(const struct ipc_channel *ch)
{
	return ch->ends;
}

bool
ipc_channel_is_open(const struct ipc_channel *ch)
{
	return ch->why == NULL && !ch->free_wanted;
}

size_t
ipc_channel_queued(const struct ipc_channel *ch)
{
	return ch->queued_bytes;
}

void
ipc_channel_on_drained(struct ipc_channel *ch,
    void (*fn)(void *ctx, struct ipc_channel *ch))
{
	ch->drained_fn = fn;
}

int
ipc_msg_take_fd(struct ipc_msg *m, size_t i)
{
	int fd = i < m->n_fds ? m->fds[i] : -1;

	if (fd != -1)
		m->fds[i] = -1;
	return fd;
}
