/* SPDX-License-Identifier: ISC */
/* /metrics: one pass over the metric regions of all processes. */
#include <string.h>

#include "common/base/log.h"
#include "workers/web/web.h"

static uint64_t
region_key(const struct msg_metrics_region *r)
{
	return (uint64_t)r->role << 56 ^ (uint64_t)r->instance << 32 ^ r->pid;
}

void
web_on_metrics_region(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct web *web = ctx;
	struct err err = ERR_INIT;
	int fd = ipc_msg_take_fd(m, 0);

	(void)ch;
	if (metrics_reader_add(web->metrics, region_key(m->data), fd,
	    &err) == -1)
		log_warn("Mapping a metrics region failed", F_ERR(&err));
}

void
web_on_metrics_gone(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct web *web = ctx;

	(void)ch;
	metrics_reader_remove(web->metrics, region_key(m->data));
}

/* "gzip" as a coding that is not refused by q=0. */
static bool
accepts_gzip(struct str element, void *arg)
{
	const char *semi = memchr(element.p, ';', element.n);
	struct str name = semi == NULL ? element :
	    str_trim(str_from(element.p, (size_t)(semi - element.p)));
	struct str rest = semi == NULL ? STR_EMPTY :
	    str_trim(str_from(semi + 1, element.n -
	    (size_t)(semi + 1 - element.p)));

	if (!http_str_ieq(name, STR_LIT("gzip")))
		return true;
	*(bool *)arg = !str_eq_c(rest, "q=0") && !str_eq_c(rest, "q=0.0");
	return false;
}

void
handle_metrics(struct call *c)
{
	struct web *web = c->web;
	const struct http_server_stats *st = http_server_stats(web->server);
	size_t n = 0, want = url_params_count(&c->params, "name[]");
	struct str *names = arena_array(&c->mem, want + 1, sizeof(*names));
	bool gzip = false;
	struct buf b;

	metrics_set(web->m_accepted, (double)st->accepted_total);
	metrics_set(web->m_closed, (double)st->closed_total);
	for (size_t i = 0; i < c->params.n && names != NULL; i++) {
		if (str_eq_c(c->params.items[i].name, "name[]"))
			names[n++] = c->params.items[i].value;
	}
	http_request_list(http_exchange_request(c->x), "Accept-Encoding",
	    accepts_gzip, &gzip);
	c->codec = gzip ? COMPRESS_GZIP : COMPRESS_NONE;
	buf_init(&b, 0);
	metrics_reader_print(web->metrics, names, n, &b);
	call_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8",
	    buf_str(&b));
	buf_clear(&b);
}
