/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTPCLIENT_CLIENT_H
#define BRAZIER_COMMON_HTTPCLIENT_CLIENT_H

/*
 * Outgoing HTTP for the roles that dial: libcurl's multi interface on a
 * libevent loop, behind one door. What makes it fit for a sandboxed worker:
 *
 *	- it never looks up a name: for every host that is not an address,
 *	  redirects included, it asks the caller, who has a resolver
 *	- it opens no file: certificates and keys come as bytes, one X509
 *	  store for a bundle, shared by all connections
 *	- http and https only, no threads, no environment, no cookies
 *	- bodies are bounded, as sent and after decompression
 *
 *	loop	one a process: buffers that are used again
 *	client	one a scrape pool (Alertmanager, endpoint …): TLS settings and
 *		the idle connections made with them, shared with no other
 *	fetch	one request from resolving to the last byte, redirects too
 *
 * Errors are worded as Go words them: `Get "http://h:1/": dial tcp
 * 127.0.0.1:1: connect: connection refused`, `context deadline exceeded`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

struct event_base;
struct http_loop;
struct http_client;
struct http_fetch;

/*
 * Initialises libcurl and OpenSSL, which read their own files: call it
 * before the sandbox closes, and before http_loop_new. Once a process.
 */
void	 http_client_setup(void);

/* fatal() without memory. The base must outlive the loop. */
struct http_loop *http_loop_new(struct event_base *base);
/* All clients must be gone. */
void	 http_loop_free(struct http_loop *l);

struct http_client_conf {
	/*
	 * Trusted roots, PEM: the configured CA or the system's bundle. Empty:
	 * no https server is trusted.
	 */
	struct str	ca_pem;
	struct str	cert_pem;	/* client certificate; empty = none */
	struct str	key_pem;
	struct str	server_name;	/* empty = the URL's host */
	bool		insecure;	/* do not verify the server */
	int		tls_min;	/* 0x0301 … 0x0304, 0 = default (1.2) */
	int		tls_max;	/* 0 = the newest */
	bool		follow_redirects;
	/*
	 * Address of an HTTP proxy: "http://10.0.0.1:3128", host already an
	 * address. Empty = none.
	 */
	struct str	proxy;
	/* Idle connections kept; 0 = 200. */
	size_t		max_idle;
};

/*
 * Copies what it keeps. NULL: ERR_BAD_DATA for a certificate or key that
 * does not parse.
 */
struct http_client *http_client_new(struct http_loop *l,
	    const struct http_client_conf *conf, struct err *err);
/* Its fetches end without their callback. Not from within a callback. */
void	 http_client_free(struct http_client *c);
/* Takes no new fetch; frees itself when those that run have ended. */
void	 http_client_retire(struct http_client *c);

struct http_header {
	struct str	name;
	struct str	value;
};

struct http_request {
	bool		 post;		/* else GET */
	struct str	 url;
	/*
	 * Accept-Encoding among them is the caller's choice: answers in gzip
	 * are decoded. The auth headers are not sent to another host that a
	 * redirect names.
	 */
	const struct http_header *headers;
	size_t		 n_headers;
	const struct http_header *auth_headers;
	size_t		 n_auth_headers;
	struct str	 body;		/* copied */
	int64_t		 timeout_ms;	/* from here to the last byte */
	/* A body of so many bytes or more, decoded, is an error. */
	size_t		 max_body_bytes;
};

struct http_response {
	int		 status;
	struct str	 status_line;	/* "404 Not Found" */
	struct str	 content_type;	/* empty = none */
	/*
	 * Decoded. One more byte behind it may be written. Of an answer
	 * other than 200 at most the first 64 KiB.
	 */
	struct buf	*body;
};

/*
 * host is a name: answer now or later with http_fetch_resolved or
 * http_fetch_unresolved, unless the fetch is over by then.
 */
typedef void http_resolve_fn(void *arg, struct http_fetch *f,
	    struct str host);

/*
 * Exactly one of r and err is not NULL. All is gone after the call. An
 * answer with any status but a followed redirect is no error. err kinds:
 * ERR_TIMEOUT (deadline), ERR_LIMIT (`body size limit exceeded`),
 * ERR_BAD_DATA (URL, body encoding), else ERR_UNAVAILABLE.
 */
typedef void http_done_fn(void *arg, const struct http_response *r,
	    const struct err *err);

/*
 * Starts a request; everything in it is copied. done is called once, never
 * from within this call.
 */
struct http_fetch *http_fetch_start(struct http_client *c,
	    const struct http_request *rq, http_resolve_fn *resolve,
	    http_done_fn *done, void *arg);

/* Ends it; done is not called. */
void	 http_fetch_cancel(struct http_fetch *f);

/*
 * Addresses as text ("192.0.2.1", "2001:db8::1"), tried in this order; at
 * most the first eight.
 */
void	 http_fetch_resolved(struct http_fetch *f, const struct str *addrs,
	    size_t n);
/* why: "lookup nohost: no such host" */
void	 http_fetch_unresolved(struct http_fetch *f, struct str why);

/* "Basic …" for an Authorization header. */
void	 http_add_basic_auth(struct buf *out, struct str user,
	    struct str password);

/* ERR_BAD_DATA unless the text holds one or more PEM certificates. */
int	 http_check_ca(struct str pem, struct err *err);

#endif
