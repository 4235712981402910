/* SPDX-License-Identifier: ISC */
/*
 * One connection: reading requests, deadlines, noticing that the client
 * left, closing without cutting off what was written.
 *
 * While the owner works the socket is not read (the kernel's buffer bounds
 * what a client can pipeline); that the client left is told by the loop or,
 * once something is pipelined, by a look at the socket every LOOK_MS. A
 * half-closed connection counts as left, as with the reference.
 *
 * Closing with unread input would make the kernel send RST and the client
 * might lose the reply: so the write side is shut first and the input
 * drained for a moment (LINGER).
 */
#include "common/http/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "common/base/vec.h"

#define READ_MAX		(64 * 1024)	/* a read */
#define OUTPUT_STALL_BYTES	(256 * 1024)
#define LINGER_MS		1000
#define LINGER_BYTES		(256 * 1024)
#define LOOK_MS			20	/* for the end behind pipelined bytes */

static void conn_process(struct http_exchange *x);

static void
deadline_set(struct http_exchange *x, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	(void)event_del(x->deadline);
	if (ms > 0)
		(void)event_add(x->deadline, &tv);
}

static void
conn_free(struct http_exchange *x)
{
	if (x->prev != NULL)
		x->prev->next = x->next;
	else if (x->server != NULL)
		x->server->conns = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	http_parser_clear(&x->parser);
	buf_clear(&x->body);
	buf_clear(&x->reply_head);
	free(x);
}

/* Takes the socket away; the object stays. */
static void
conn_shut(struct http_exchange *x)
{
	if (x->bev == NULL)
		return;
	event_free(x->deadline);
	if (x->closed != NULL)
		event_free(x->closed);
	x->deadline = x->closed = NULL;
	struct bufferevent *bev = x->bev;

	x->bev = NULL;
	bufferevent_free(bev);	/* closes the descriptor */
	if (x->server != NULL)
		http_server_conn_closed(x->server);
}

void
http_conn_close(struct http_exchange *x)
{
	conn_shut(x);
	if (x->state == HTTP_CONN_WORK) {
		if (!x->gone) {
			x->gone = true;
			if (x->gone_cb != NULL)
				x->gone_cb(x, x->gone_arg);
		}
		return;
	}
	/* conn_process frees it when it comes back to it */
	if (!x->processing)
		conn_free(x);
}

/* Everything is written: wait for the client's end, then close. */
static void
conn_linger(struct http_exchange *x)
{
	x->state = HTTP_CONN_LINGER;
	if (shutdown(bufferevent_getfd(x->bev), SHUT_WR) == -1) {
		http_conn_close(x);
		return;
	}
	deadline_set(x, LINGER_MS);
	bufferevent_enable(x->bev, EV_READ);
}

static void
conn_flush(struct http_exchange *x)
{
	x->state = HTTP_CONN_FLUSH;
	bufferevent_disable(x->bev, EV_READ);
	(void)event_del(x->deadline);
	if (evbuffer_get_length(bufferevent_get_output(x->bev)) == 0)
		conn_linger(x);
}

/* The framer refused, or a deadline passed: say why, then close. */
static void
conn_refuse(struct http_exchange *x, int status, const char *reason)
{
	char text[512];
	const char *st = http_status_text(status);
	int n = snprintf(text, sizeof(text),
	    "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Connection: close\r\n\r\n%d %s: %s", status, st, status, st,
	    reason);

	x->server->stats.refused_total++;
	(void)bufferevent_write(x->bev, text, (size_t)n);
	conn_flush(x);
}

/* A FIN or a reset has come, whatever lies unread before it. */
static bool
client_has_left(const struct http_exchange *x)
{
	struct pollfd p = { bufferevent_getfd(x->bev), POLLRDHUP, 0 };

	return poll(&p, 1, 0) == 1 && p.revents != 0;
}

static void
conn_client_left(struct http_exchange *x)
{
	x->gone = true;
	x->close_after = true;
	if (x->gone_cb != NULL)
		x->gone_cb(x, x->gone_arg);
}

/* Once for each wait: an end, or the first byte that was pipelined. */
static void
closed_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http_exchange *x = arg;

	(void)fd;
	(void)what;
	if (x->state != HTTP_CONN_WORK || x->gone || x->bev == NULL)
		return;
	if (client_has_left(x))
		conn_client_left(x);
	else
		deadline_set(x, LOOK_MS);
}

/*
 * The owner answers later: stop reading, watch for the client's end. The
 * event needs EV_READ: the loop reports a reset as nothing else, and would
 * spin on one that nobody waits for.
 */
static void
conn_wait_for_owner(struct http_exchange *x)
{
	bufferevent_disable(x->bev, EV_READ);
	if (x->closed == NULL) {
		x->closed = event_new(x->server->base,
		    bufferevent_getfd(x->bev), EV_READ | EV_CLOSED, closed_cb,
		    x);
	}
	if (x->closed != NULL)
		(void)event_add(x->closed, NULL);
}

static void
exchange_begin(struct http_exchange *x)
{
	x->state = HTTP_CONN_WORK;
	x->gone = false;
	x->reply_begun = false;
	x->gone_cb = NULL;
	x->close_after = x->close_after || !x->parser.req.keep_alive ||
	    x->server->stopping;
	x->in_request = false;
	(void)event_del(x->deadline);
	buf_reset(&x->reply_head);
	x->server->stats.requests_total++;
}

static void
on_head(struct http_exchange *x)
{
	const struct http_request *r = &x->parser.req;

	if (!r->chunked && r->content_length == 0)
		return;
	x->parser.body_limit = x->server->ops->body_limit(r, x->server->arg);
	deadline_set(x, x->server->conf.body_timeout_ms);
	x->in_request = true;
	if (r->expect_continue && r->content_length <= x->parser.body_limit) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

		(void)bufferevent_write(x->bev, go_on, sizeof(go_on) - 1);
	}
}

/* Feeds what lies in the input; true when a request is complete. */
static bool
conn_parse(struct http_exchange *x)
{
	struct evbuffer *in = bufferevent_get_input(x->bev);

	for (;;) {
		struct evbuffer_iovec v = { NULL, 0 };
		enum http_event ev;

		(void)evbuffer_peek(in, -1, NULL, &v, 1);
		size_t used = http_parser_feed(&x->parser, v.iov_base,
		    v.iov_len, &ev);

		switch (ev) {
		case HTTP_EV_BODY:
			buf_add_str(&x->body, x->parser.body);
			break;
		case HTTP_EV_HEAD:
			on_head(x);
			break;
		case HTTP_EV_ERROR:
			conn_refuse(x, x->parser.status, x->parser.reason);
			return false;
		default:
			break;
		}
		(void)evbuffer_drain(in, used);
		if (buf_failed(&x->body)) {
			conn_refuse(x, 503, "out of memory");
			return false;
		}
		if (ev == HTTP_EV_DONE)
			return true;
		if (ev == HTTP_EV_MORE && evbuffer_get_length(in) == 0)
			break;
	}
	if (!x->in_request && !http_parser_is_idle(&x->parser)) {
		x->in_request = true;
		deadline_set(x, x->server->conf.head_timeout_ms);
	}
	return false;
}

/* Gets ready for the next request of the connection. */
static void
exchange_reset(struct http_exchange *x)
{
	http_parser_next(&x->parser);
	if (x->body.cap > READ_MAX)
		buf_clear(&x->body);
	else
		buf_reset(&x->body);
	x->in_request = false;
	deadline_set(x, x->server->conf.idle_timeout_ms);
}

/*
 * Handles requests until the input is empty, the owner keeps one, or the
 * client does not read its replies.
 */
static void
conn_process(struct http_exchange *x)
{
	if (x->processing)
		return;
	x->processing = true;
	while (x->bev != NULL && x->state == HTTP_CONN_READ) {
		if (evbuffer_get_length(bufferevent_get_output(x->bev)) >
		    OUTPUT_STALL_BYTES) {
			x->stalled = true;
			bufferevent_disable(x->bev, EV_READ);
			break;
		}
		if (!conn_parse(x))
			break;
		exchange_begin(x);
		x->server->ops->request(x, x->server->arg);
		if (x->bev != NULL && x->state == HTTP_CONN_WORK)
			conn_wait_for_owner(x);
	}
	x->processing = false;
	if (x->bev == NULL && x->state != HTTP_CONN_WORK)
		conn_free(x);
}

void
http_conn_reply_ended(struct http_exchange *x)
{
	x->gone_cb = NULL;
	x->state = HTTP_CONN_READ;
	if (x->bev == NULL) {
		if (!x->processing)
			conn_free(x);
		return;
	}
	if (x->closed != NULL)
		(void)event_del(x->closed);
	if (x->close_after || x->gone) {
		conn_flush(x);
		return;
	}
	exchange_reset(x);
	if (x->processing)
		return;
	bufferevent_enable(x->bev, EV_READ);
	conn_process(x);
}

static void
read_cb(struct bufferevent *bev, void *arg)
{
	struct http_exchange *x = arg;

	if (x->state == HTTP_CONN_READ) {
		conn_process(x);
		return;
	}
	if (x->state == HTTP_CONN_LINGER) {
		struct evbuffer *in = bufferevent_get_input(bev);

		x->lingered_bytes += evbuffer_get_length(in);
		(void)evbuffer_drain(in, evbuffer_get_length(in));
		if (x->lingered_bytes > LINGER_BYTES)
			http_conn_close(x);
	}
}

/* The output is empty. */
static void
write_cb(struct bufferevent *bev, void *arg)
{
	struct http_exchange *x = arg;

	(void)bev;
	if (x->state == HTTP_CONN_FLUSH)
		conn_linger(x);
	else if (x->stalled && x->state == HTTP_CONN_READ) {
		x->stalled = false;
		bufferevent_enable(x->bev, EV_READ);
		conn_process(x);
	}
}

/* EOF, an error, or the write time-out. */
static void
event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct http_exchange *x = arg;

	(void)bev;
	if (what & BEV_EVENT_TIMEOUT)
		x->server->stats.timeouts_total++;
	/* a client may shut its side and still wait for replies written */
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) &&
	    x->state == HTTP_CONN_READ &&
	    evbuffer_get_length(bufferevent_get_output(x->bev)) > 0) {
		conn_flush(x);
		return;
	}
	http_conn_close(x);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http_exchange *x = arg;

	(void)fd;
	(void)what;
	if (x->state == HTTP_CONN_WORK) {
		if (x->gone)
			return;
		if (client_has_left(x))
			conn_client_left(x);
		else
			deadline_set(x, LOOK_MS);
	} else if (x->state == HTTP_CONN_READ && x->in_request) {
		x->server->stats.timeouts_total++;
		conn_refuse(x, 408, "the request took too long");
	} else if (x->state == HTTP_CONN_READ && x->stalled) {
		/* replies are being written; the write time-out judges */
		return;
	} else
		http_conn_close(x);
}

static int
conn_set_up(struct http_exchange *x, int fd)
{
	struct http_server *s = x->server;
	int64_t w = s->conf.write_timeout_ms;
	struct timeval tv = { w / 1000, (w % 1000) * 1000 };
	int one = 1;

	/* Unix sockets refuse it; that costs nothing. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	x->deadline = evtimer_new(s->base, deadline_cb, x);
	if (x->deadline == NULL)
		return -1;
	x->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (x->bev == NULL) {
		event_free(x->deadline);
		return -1;
	}
	bufferevent_setcb(x->bev, read_cb, write_cb, event_cb, x);
	bufferevent_setwatermark(x->bev, EV_READ, 0, READ_MAX);
	(void)bufferevent_set_timeouts(x->bev, NULL, w > 0 ? &tv : NULL);
	return 0;
}

int
http_conn_open(struct http_server *s, int fd,
    const struct sockaddr_storage *peer, struct err *err)
{
	struct http_exchange *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		(void)close(fd);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	x->server = s;
	x->peer = *peer;
	x->state = HTTP_CONN_READ;
	if (conn_set_up(x, fd) == -1) {
		(void)close(fd);
		free(x);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	http_parser_init(&x->parser);
	buf_init(&x->body, 0);
	buf_init(&x->reply_head, 64 * 1024);
	x->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = x;
	s->conns = x;
	s->n_conns++;
	s->stats.accepted_total++;
	deadline_set(x, s->conf.idle_timeout_ms);
	bufferevent_enable(x->bev, EV_READ | EV_WRITE);
	return 0;
}
