/* SPDX-License-Identifier: ISC */
/*
 * A client: curl's multi handle driven by libevent, the settings that all
 * its requests share, and its idle connections. Connections are never shared
 * between clients, because curl does not see our trusted roots when it
 * decides whether a connection fits.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"
#include "common/httpclient/internal.h"

/* Large enough for few reads, small enough to stay off mmap. */
#define READ_BYTES	(64L << 10)
#define IDLE_SECONDS	300L		/* the reference's idle time-out */
#define IDLE_MAX	200L

static void
check_ended(struct http_client *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct http_fetch *f = NULL;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &f);
		fetch_on_end(f, rc);
	}
}

static void
on_socket_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = arg;
	int running, flags = 0;

	if (what & EV_READ)
		flags |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(c->multi, fd, flags, &running);
	check_ended(c);
}

static void
on_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_ended(c);
}

/* curl wants other events of a socket. */
static int
watch_cb(CURL *easy, curl_socket_t s, int what, void *arg, void *sockp)
{
	struct http_client *c = arg;
	struct event *ev = sockp;
	short events = EV_PERSIST;

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		if (what & CURL_POLL_IN)
			events |= EV_READ;
		if (what & CURL_POLL_OUT)
			events |= EV_WRITE;
		ev = event_new(c->loop->base, s, events, on_socket_cb, c);
		if (ev == NULL || event_add(ev, NULL) == -1)
			fatal("no memory for an event");
	}
	curl_multi_assign(c->multi, s, ev);
	return 0;
}

static int
timer_cb(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		event_del(c->timer);
	else
		event_add(c->timer, &tv);
	return 0;
}

/* CURL_SSLVERSION_* of a TLS version on the wire. */
static long
curl_tls(int version)
{
	switch (version) {
	case 0x0301:
		return CURL_SSLVERSION_TLSv1_0;
	case 0x0302:
		return CURL_SSLVERSION_TLSv1_1;
	case 0x0304:
		return CURL_SSLVERSION_TLSv1_3;
	default:
		return CURL_SSLVERSION_TLSv1_2;
	}
}

static struct str
copy_str(struct str s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n != 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return str_from(p, s.n);
}

static void
wipe_str(struct str *s)
{
	char *p;

	memcpy(&p, &s->p, sizeof(p));
	if (p != NULL) {
		explicit_bzero(p, s->n);
		free(p);
	}
	*s = (struct str){ NULL, 0 };
}

static int
set_tls(struct http_client *c, const struct http_client_conf *conf,
    struct err *err)
{
	long max;

	if ((c->roots = tls_roots_new(conf->ca_pem, err)) == NULL)
		return -1;
	if (conf->cert_pem.n != 0 &&
	    tls_check_pair(conf->cert_pem, conf->key_pem, err) == -1)
		return -1;
	c->cert_pem = copy_str(conf->cert_pem);
	c->key_pem = copy_str(conf->key_pem);
	if (conf->server_name.n != 0)
		c->server_name = str_dup(conf->server_name);
	c->insecure = conf->insecure;
	/* CURL_SSLVERSION_MAX_x is CURL_SSLVERSION_x << 16 */
	max = conf->tls_max == 0 ? CURL_SSLVERSION_MAX_DEFAULT :
	    curl_tls(conf->tls_max) << 16;
	c->tls_versions = curl_tls(conf->tls_min) | max;
	return 0;
}

struct http_client *
http_client_new(struct http_loop *l, const struct http_client_conf *conf,
    struct err *err)
{
	struct http_client *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	if (set_tls(c, conf, err) == -1)
		goto fail;
	if (conf->proxy.n != 0)
		c->proxy = str_dup(conf->proxy);
	c->follow_redirects = conf->follow_redirects;
	c->timer = evtimer_new(l->base, on_timer_cb, c);
	c->multi = curl_multi_init();
	if (c->timer == NULL || c->multi == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for an HTTP client");
		goto fail;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, watch_cb);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_cb);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS,
	    conf->max_idle == 0 ? IDLE_MAX : (long)conf->max_idle);
	return c;
fail:
	http_client_free(c);
	return NULL;
}

void
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	c->retired = false;
	while (c->fetches != NULL)
		http_fetch_cancel(c->fetches);
	while (c->n_easies > 0)
		curl_easy_cleanup(c->easies[--c->n_easies]);
	if (c->multi != NULL)
		curl_multi_cleanup(c->multi);
	if (c->timer != NULL)
		event_free(c->timer);
	X509_STORE_free(c->roots);
	wipe_str(&c->cert_pem);
	wipe_str(&c->key_pem);
	free(c->server_name);
	free(c->proxy);
	free(c);
}

static void
free_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	http_client_free(arg);
}

/* Later, because this is called from within curl's loop. */
void
client_unused(struct http_client *c)
{
	struct timeval now = { 0, 0 };

	event_base_once(c->loop->base, -1, EV_TIMEOUT, free_cb, c, &now);
}

void
http_client_retire(struct http_client *c)
{
	if (c == NULL)
		return;
	if (c->fetches == NULL)
		http_client_free(c);
	else
		c->retired = true;
}

CURL *
client_easy_take(struct http_client *c)
{
	CURL *easy;

	if (c->n_easies > 0)
		return c->easies[--c->n_easies];
	if ((easy = curl_easy_init()) != NULL)
		client_apply(c, easy);
	return easy;
}

void
client_easy_give(struct http_client *c, CURL *easy)
{
	if (c->n_easies == HTTP_FREE_EASIES) {
		curl_easy_cleanup(easy);
		return;
	}
	/*
	 * The client's settings stay, they cost more than the request's own;
	 * nothing may point into the request that ends.
	 */
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, NULL);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, NULL);
	c->easies[c->n_easies++] = easy;
}

static struct curl_blob
blob(struct str s)
{
	struct curl_blob b = { .len = s.n, .flags = CURL_BLOB_NOCOPY };

	memcpy(&b.data, &s.p, sizeof(b.data));
	return b;
}

static void
apply_tls(struct http_client *c, CURL *easy)
{
	struct curl_blob cert = blob(c->cert_pem), key = blob(c->key_pem);

	curl_easy_setopt(easy, CURLOPT_SSLVERSION, c->tls_versions);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, c->insecure ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, c->insecure ? 0L : 2L);
	/* the paths built into libcurl must not be opened */
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, tls_ctx_cb);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, c);
	if (c->cert_pem.n != 0) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
		curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
	}
}

void
client_apply(struct http_client *c, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* HTTP/2 would need more of the sandbox than one socket a target */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY,
	    c->proxy == NULL ? "" : c->proxy);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BYTES);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_SECONDS);
	/* the deadline is ours, and covers resolving and redirects too */
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 0x7fffffffL);
	apply_tls(c, easy);
}
