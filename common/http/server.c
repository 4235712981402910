/* SPDX-License-Identifier: ISC */
/*
 * Listeners and the connection limit. At the limit nothing is refused: the
 * accept events are taken out of the loop and new connections wait in the
 * kernel's queue, as with the reference. The same, for a moment, when the
 * process is out of descriptors.
 */
#include "common/http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/http/conn.h"

#define ACCEPTS_A_WAKE	16
#define RETRY_MS	100

static void
listeners_pause(struct http_server *s)
{
	if (s->paused)
		return;
	s->paused = true;
	for (struct http_listener *l = s->listeners; l != NULL; l = l->next)
		(void)event_del(l->ev);
}

static bool
at_limit(const struct http_server *s)
{
	return s->conf.max_connections != 0 &&
	    s->n_conns >= s->conf.max_connections;
}

static void
listeners_resume(struct http_server *s)
{
	if (!s->paused || s->stopping || at_limit(s))
		return;
	s->paused = false;
	for (struct http_listener *l = s->listeners; l != NULL; l = l->next)
		(void)event_add(l->ev, NULL);
}

static void
retry_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	listeners_resume(arg);
}

/* Out of descriptors or memory: look again in a moment. */
static void
accept_failed(struct http_server *s)
{
	struct timeval tv = { 0, RETRY_MS * 1000 };

	log_warn("Accepting a connection failed", F_ERRNO);
	listeners_pause(s);
	(void)event_add(s->retry, &tv);
}

static void
accept_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http_listener *l = arg;
	struct http_server *s = l->server;

	(void)what;
	for (int i = 0; i < ACCEPTS_A_WAKE && !s->stopping; i++) {
		struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof(peer);
		struct err err = ERR_INIT;

		if (at_limit(s)) {
			listeners_pause(s);
			return;
		}
		int c = accept4(fd, (struct sockaddr *)&peer, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (c == -1) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				accept_failed(s);
			/* EAGAIN, and what happened to that one client */
			return;
		}
		if (http_conn_open(s, c, &peer, &err) == -1)
			log_warn("Opening a connection failed", F_ERR(&err));
	}
}

void
http_server_conn_closed(struct http_server *s)
{
	s->n_conns--;
	s->stats.closed_total++;
	if (s->paused && !event_pending(s->retry, EV_TIMEOUT, NULL))
		listeners_resume(s);
}

struct http_server *
http_server_new(struct event_base *base, const struct http_server_conf *conf,
    const struct http_server_ops *ops, void *arg)
{
	struct http_server *s = xcalloc(1, sizeof(*s));

	s->base = base;
	s->conf = *conf;
	s->ops = ops;
	s->arg = arg;
	s->retry = evtimer_new(base, retry_cb, s);
	if (s->retry == NULL)
		fatal("http server: out of memory");
	return s;
}

int
http_server_listen(struct http_server *s, int fd, struct err *err)
{
	struct http_listener *l = xcalloc(1, sizeof(*l));

	if (evutil_make_socket_nonblocking(fd) == -1) {
		free(l);
		return err_set_os(err, "making the listener non-blocking");
	}
	l->server = s;
	l->fd = fd;
	l->ev = event_new(s->base, fd, EV_READ | EV_PERSIST, accept_cb, l);
	if (l->ev == NULL || (!s->paused && event_add(l->ev, NULL) == -1)) {
		if (l->ev != NULL)
			event_free(l->ev);
		free(l);
		return err_set(err, ERR_INTERNAL, "adding the listener failed");
	}
	l->next = s->listeners;
	s->listeners = l;
	return 0;
}

int
http_server_adopt(struct http_server *s, int fd, struct err *err)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);

	if (evutil_make_socket_nonblocking(fd) == -1) {
		(void)err_set_os(err, "making the socket non-blocking");
		(void)close(fd);
		return -1;
	}
	(void)getpeername(fd, (struct sockaddr *)&peer, &len);
	return http_conn_open(s, fd, &peer, err);
}

void
http_server_configure(struct http_server *s,
    const struct http_server_conf *conf)
{
	s->conf = *conf;
	listeners_resume(s);
}

static void
listeners_free(struct http_server *s)
{
	struct http_listener *l;

	while ((l = s->listeners) != NULL) {
		s->listeners = l->next;
		event_free(l->ev);
		(void)close(l->fd);
		free(l);
	}
}

void
http_server_stop(struct http_server *s)
{
	struct http_exchange *x, *next;

	s->stopping = true;
	listeners_free(s);
	for (x = s->conns; x != NULL; x = next) {
		next = x->next;
		if (x->state == HTTP_CONN_READ &&
		    http_parser_is_idle(&x->parser) && x->bev != NULL &&
		    evbuffer_get_length(bufferevent_get_output(x->bev)) == 0)
			http_conn_close(x);
		else
			x->close_after = true;
	}
}

void
http_server_free(struct http_server *s)
{
	struct http_exchange *x, *next;

	s->stopping = true;
	listeners_free(s);
	for (x = s->conns; x != NULL; x = next) {
		next = x->next;
		http_conn_close(x);
	}
	/* Owners that still hold an exchange end it without a server. */
	for (x = s->conns; x != NULL; x = x->next)
		x->server = NULL;
	event_free(s->retry);
	free(s);
}

size_t
http_server_n_connections(const struct http_server *s)
{
	return s->n_conns;
}

const struct http_server_stats *
http_server_stats(const struct http_server *s)
{
	return &s->stats;
}
