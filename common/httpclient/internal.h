/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTPCLIENT_INTERNAL_H
#define BRAZIER_COMMON_HTTPCLIENT_INTERNAL_H

/* What the files of this library share; see client.h for the idea. */

#include <curl/curl.h>
#include <event2/event.h>
#include <openssl/x509.h>

#include "common/httpclient/client.h"

#define HTTP_FREE_BUFS		8
#define HTTP_FREE_BUF_BYTES	(16 << 20)	/* larger ones are freed */
#define HTTP_FREE_ROUND		64	/* answers; what was spare for one goes */
#define HTTP_FREE_EASIES	8
#define HTTP_ADDRS_MAX		8
#define HTTP_ADDR_TEXT		64
#define HTTP_REDIRECTS_MAX	10		/* as Go's client */
#define HTTP_HEAD_BYTES_MAX	(64 << 10)
#define HTTP_ERROR_BODY_MAX	(64 << 10)

struct http_loop {
	struct event_base	*base;
	struct buf		 free_bufs[HTTP_FREE_BUFS];
	size_t			 n_free_bufs;
	size_t			 n_free_low;	/* the fewest in this round */
	unsigned		 n_given;	/* of this round */
};

struct http_client {
	struct http_loop	*loop;
	CURLM			*multi;
	struct event		*timer;		/* curl's */
	struct http_fetch	*fetches;
	CURL			*easies[HTTP_FREE_EASIES];
	size_t			 n_easies;
	X509_STORE		*roots;
	struct str		 cert_pem;	/* owned */
	struct str		 key_pem;	/* owned, wiped */
	char			*server_name;	/* NULL = the URL's host */
	char			*proxy;
	bool			 insecure;
	long			 tls_versions;	/* CURLOPT_SSLVERSION */
	bool			 follow_redirects;
	bool			 retired;
};

enum fetch_state {
	FETCH_RESOLVING,
	FETCH_RUNNING,
	FETCH_OVER		/* an error waits for the loop to tell it */
};

struct http_fetch {
	struct http_client	*client;
	struct http_fetch	*prev, *next;
	enum fetch_state	 state;
	http_resolve_fn		*resolve;
	http_done_fn		*done;
	void			*arg;
	struct event		*deadline;
	struct event		*soon;		/* tells an early error */
	struct err		 err;

	bool			 post;
	char			*url;		/* of the request now */
	char			*first_host;	/* auth headers go there only */
	char			*host;		/* without brackets */
	char			*port;
	bool			 is_https;
	struct buf		 body_out;
	struct buf		 headers;	/* "Name: value\0"… */
	struct buf		 auth_headers;
	size_t			 max_body_bytes;
	int			 n_redirects;
	char			 addrs[HTTP_ADDRS_MAX][HTTP_ADDR_TEXT];
	size_t			 n_addrs, addr;

	CURL			*easy;
	bool			 added;		/* to the multi */
	struct curl_slist	*slist;
	struct curl_slist	*connect_to;
	char			 curl_error[CURL_ERROR_SIZE];
	int			 status;
	struct buf		 head;		/* status line after HTTP/1.1 */
	struct buf		 content_type, location, encoding;
	struct buf		 body;		/* from the loop's free ones */
	size_t			 head_bytes;
	bool			 too_big;
};

/* buffers that are used again (loop.c) */
struct buf http_buf_take(struct http_loop *l);
void	 http_buf_give(struct http_loop *l, struct buf *b);

/* Called when a transfer ended (client.c → fetch.c). */
void	 fetch_on_end(struct http_fetch *f, CURLcode rc);
/* The last fetch of a retired client is gone. */
void	 client_unused(struct http_client *c);
/* Applies the client's settings to the easy handle (client.c). */
void	 client_apply(struct http_client *c, CURL *easy);
CURL	*client_easy_take(struct http_client *c);
void	 client_easy_give(struct http_client *c, CURL *easy);

/* tls.c */
X509_STORE *tls_roots_new(struct str pem, struct err *err);
int	 tls_check_pair(struct str cert_pem, struct str key_pem,
	    struct err *err);
CURLcode tls_ctx_cb(CURL *easy, void *ssl_ctx, void *client);

/* Fills f->err from curl's result, worded as Go (wording.c). */
void	 fetch_error_from_curl(struct http_fetch *f, CURLcode rc);
/* `Get "url": what` with a password in the URL masked. */
void	 fetch_error(struct http_fetch *f, enum err_kind kind,
	    const char *what);

#endif
