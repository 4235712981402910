/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_CONN_H
#define BRAZIER_COMMON_HTTP_CONN_H

/*
 * The inside of the server: connection and exchange are one object, for a
 * connection has one exchange at a time. Seen by server.c, conn.c and
 * reply.c only.
 *
 *	READ ──request complete──▶ WORK ──reply ended──▶ READ
 *	  │                          │                └─▶ FLUSH ─▶ LINGER
 *	  └─error: refusal written ──┴──────────────────▶ FLUSH ─▶ LINGER
 *
 * The socket may close at any time (bev NULL, gone true); the object is
 * freed when it is closed and not in WORK.
 */

#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "common/base/buf.h"
#include "common/http/parser.h"
#include "common/http/server.h"

enum http_conn_state {
	HTTP_CONN_READ,		/* waiting for, or reading, a request */
	HTTP_CONN_WORK,		/* the owner has the exchange */
	HTTP_CONN_FLUSH,	/* closes when the output is written */
	HTTP_CONN_LINGER	/* write side shut, draining the client */
};

struct http_exchange {
	struct http_server	*server;
	struct http_exchange	*next, *prev;	/* server->conns */
	struct bufferevent	*bev;		/* NULL when closed */
	struct event		*deadline;
	struct event		*closed;	/* EV_CLOSED; NULL when unused */
	struct sockaddr_storage	 peer;
	enum http_conn_state	 state;
	struct http_parser	 parser;
	struct buf		 body;
	bool			 processing;	/* conn_process is on the stack */
	bool			 stalled;	/* output full, parsing waits */
	bool			 in_request;	/* deadline is of head or body */
	/* the exchange */
	bool			 gone;
	bool			 reply_begun;
	bool			 reply_chunked;
	bool			 reply_no_body;	/* swallow what is appended */
	bool			 close_after;
	int64_t			 reply_left;	/* of the promised length */
	struct buf		 reply_head;
	http_gone_fn		*gone_cb;
	void			*gone_arg;
	size_t			 lingered_bytes;
};

struct http_listener {
	struct http_listener	*next;
	struct http_server	*server;
	struct event		*ev;
	int			 fd;
};

struct http_server {
	struct event_base		*base;
	struct http_server_conf		 conf;
	const struct http_server_ops	*ops;
	void				*arg;
	struct http_listener		*listeners;
	struct http_exchange		*conns;
	size_t				 n_conns;	/* open sockets */
	struct event			*retry;		/* accept again */
	bool				 paused;
	bool				 stopping;
	struct http_server_stats	 stats;
};

/* A new connection: reads at once. Takes fd; -1 closes it. */
int	 http_conn_open(struct http_server *s, int fd,
	    const struct sockaddr_storage *peer, struct err *err);
/* Closes the socket now. Frees the object unless the owner has it. */
void	 http_conn_close(struct http_exchange *x);
/* The reply is complete: next request, or close. */
void	 http_conn_reply_ended(struct http_exchange *x);

/* A socket has closed: accept may go on. */
void	 http_server_conn_closed(struct http_server *s);

#endif
