/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_SERVER_H
#define BRAZIER_COMMON_HTTP_SERVER_H

/*
 * The HTTP/1.1 server: the framer of parser.h over libevent's bufferevents.
 *
 *	listeners ── accept (paused at the limit) ──▶ connection
 *	connection: bytes ─▶ parser ─▶ exchange ─▶ ops->request
 *	                                  ◀─ http_reply_…, now or later
 *
 * A connection has one exchange at a time; what a client pipelines waits in
 * the socket until the reply before it is complete. An exchange stays valid
 * until its reply was ended or aborted, whatever happens to the connection:
 * when the client leaves, the gone callback tells (once), replies go nowhere
 * from then on, and the owner must still end or abort.
 *
 * Deadlines: an idle connection, a whole head, a whole body; a reply that
 * makes no progress for write_timeout. While the owner thinks there is none:
 * that is the owner's to limit.
 *
 * One thread, one event loop. SIGPIPE must be ignored by the process.
 */

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/http/request.h"

struct event_base;
struct http_server;
struct http_exchange;

struct http_server_conf {
	size_t		max_connections;	/* 0 = none */
	int64_t		idle_timeout_ms;	/* between requests */
	int64_t		head_timeout_ms;	/* first byte to end of head */
	int64_t		body_timeout_ms;	/* end of head to end of body */
	int64_t		write_timeout_ms;	/* without progress */
};

struct http_server_ops {
	/*
	 * The head is there: how many bytes of body are acceptable (beyond:
	 * 413). Not called for requests without a body.
	 */
	uint64_t (*body_limit)(const struct http_request *r, void *arg);
	/* The whole request is there. Reply now or later, exactly once. */
	void	 (*request)(struct http_exchange *x, void *arg);
};

struct http_server_stats {
	uint64_t	accepted_total;
	uint64_t	closed_total;
	uint64_t	refused_total;	/* requests the framer refused */
	uint64_t	timeouts_total;	/* cut by a deadline */
	uint64_t	requests_total;
};

/* ops and arg must outlive the server; conf is copied. Fatal on no memory. */
struct http_server *http_server_new(struct event_base *base,
	    const struct http_server_conf *conf,
	    const struct http_server_ops *ops, void *arg);
/* Cuts every connection; exchanges under way become gone and stay valid. */
void	 http_server_free(struct http_server *s);

/* Takes over a bound, listening socket. */
int	 http_server_listen(struct http_server *s, int fd, struct err *err);
/* Takes over one connected socket (tests; inherited connections). */
int	 http_server_adopt(struct http_server *s, int fd, struct err *err);
/* New limits and timeouts for what begins from now on. */
void	 http_server_configure(struct http_server *s,
	    const struct http_server_conf *conf);
/* No more accepts, idle connections closed, busy ones end after the reply. */
void	 http_server_stop(struct http_server *s);
size_t	 http_server_n_connections(const struct http_server *s);
const struct http_server_stats *http_server_stats(const struct http_server *s);

/* --- the request of an exchange: borrowed, valid until the reply ends --- */

const struct http_request *http_exchange_request(
	    const struct http_exchange *x);
struct str http_exchange_body(const struct http_exchange *x);
/* The client's address without the port; "" when it has none. 64 bytes. */
void	 http_exchange_peer(const struct http_exchange *x, char out[64]);
bool	 http_exchange_is_gone(const struct http_exchange *x);

/* At most one; NULL takes it away. Never called from within a call here. */
typedef void http_gone_fn(struct http_exchange *x, void *arg);
void	 http_exchange_on_gone(struct http_exchange *x, http_gone_fn *cb,
	    void *arg);

/* --- the reply, in this order --- */

/* Before begin, any number; values with control bytes are left out. */
void	 http_reply_header(struct http_exchange *x, const char *name,
	    struct str value);
/*
 * Sends the head. length = bytes that will follow, -1 when unknown (chunked,
 * or delimited by the end of the connection in HTTP/1.0). Date,
 * Content-Length, Transfer-Encoding and Connection are added here.
 */
void	 http_reply_begin(struct http_exchange *x, int status,
	    int64_t length);
/* Appends a copy. For HEAD and statuses without body: swallowed. */
void	 http_reply_data(struct http_exchange *x, struct str data);
/*
 * Appends without copying: the bytes stay as they are until done(arg) is
 * called, exactly once, perhaps before this returns. done may be called
 * while the connection is torn down; it must not use the exchange.
 */
void	 http_reply_ref(struct http_exchange *x, struct str data,
	    void (*done)(void *arg), void *arg);
/* Bytes not yet in the kernel. */
size_t	 http_reply_pending(const struct http_exchange *x);
/* The exchange is over; x is invalid after this. */
void	 http_reply_end(struct http_exchange *x);
/* Cuts the connection: the client must see that the reply is incomplete. */
void	 http_reply_abort(struct http_exchange *x);

/* Header, body and end in one; content_type NULL = none. */
void	 http_reply_full(struct http_exchange *x, int status,
	    const char *content_type, struct str body);
/* As Go's http.Error: text/plain, X-Content-Type-Options, newline added. */
void	 http_reply_error(struct http_exchange *x, int status,
	    const char *text);

#endif
