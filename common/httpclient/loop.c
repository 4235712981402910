/* SPDX-License-Identifier: ISC */
/* What all clients of a process share, and small helpers. */

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"
#include "common/httpclient/internal.h"

void
http_client_setup(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatal("libcurl cannot be initialised");
	/* reads openssl.cnf now, while files can be read */
	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_CONFIG, NULL);
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
}

struct http_loop *
http_loop_new(struct event_base *base)
{
	struct http_loop *l = xcalloc(1, sizeof(*l));

	l->base = base;
	return l;
}

void
http_loop_free(struct http_loop *l)
{
	if (l == NULL)
		return;
	while (l->n_free_bufs > 0)
		buf_clear(&l->free_bufs[--l->n_free_bufs]);
	free(l);
}

struct buf
http_buf_take(struct http_loop *l)
{
	struct buf b;

	if (l->n_free_bufs == 0) {
		l->n_free_low = 0;
		buf_init(&b, 0);
		return b;
	}
	b = l->free_bufs[--l->n_free_bufs];
	if (l->n_free_bufs < l->n_free_low)
		l->n_free_low = l->n_free_bufs;
	return b;
}

/*
 * The lowest of the stack that no request of a whole round needed are let
 * go: answers come at once after a start, and rarely again.
 */
static void
trim_bufs(struct http_loop *l)
{
	size_t n = l->n_free_low;

	if (++l->n_given < HTTP_FREE_ROUND)
		return;
	for (size_t i = 0; i < n; i++)
		buf_clear(&l->free_bufs[i]);
	memmove(l->free_bufs, l->free_bufs + n,
	    (l->n_free_bufs - n) * sizeof(l->free_bufs[0]));
	l->n_free_bufs -= n;
	l->n_free_low = l->n_free_bufs;
	l->n_given = 0;
}

void
http_buf_give(struct http_loop *l, struct buf *b)
{
	buf_reset(b);
	b->limit = 0;
	if (b->cap == 0 || b->cap > HTTP_FREE_BUF_BYTES ||
	    l->n_free_bufs == HTTP_FREE_BUFS)
		buf_clear(b);
	else
		l->free_bufs[l->n_free_bufs++] = *b;
	buf_init(b, 0);
	trim_bufs(l);
}

void
http_add_basic_auth(struct buf *out, struct str user, struct str password)
{
	size_t n = user.n + 1 + password.n;
	char *plain = malloc(n);
	char *text = buf_reserve(out, 6 + (n + 2) / 3 * 4 + 1);

	if (plain == NULL || text == NULL || n > INT32_MAX / 2) {
		out->failed = true;
		free(plain);
		return;
	}
	memcpy(plain, user.p, user.n);
	plain[user.n] = ':';
	memcpy(plain + user.n + 1, password.p, password.n);
	memcpy(text, "Basic ", 6);
	out->n += 6 + (size_t)EVP_EncodeBlock((unsigned char *)text + 6,
	    (unsigned char *)plain, (int)n);
	explicit_bzero(plain, n);
	free(plain);
}
