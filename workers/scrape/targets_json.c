/* SPDX-License-Identifier: ISC */
/*
 * This worker's part of /api/v1/targets, as JSON fragments that web puts
 * behind those of the others (ipc/message.h, TARGETS).
 */

#include <string.h>

#include "common/base/duration.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "ipc/memfd.h"
#include "workers/scrape/scrape.h"

static void
add_labels(struct buf *b, struct labels ls)
{
	size_t i;

	buf_add_byte(b, '{');
	for (i = 0; i < ls.n; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		json_add_str(b, ls.l[i].name, true);
		buf_add_byte(b, ':');
		json_add_str(b, ls.l[i].value, true);
	}
	buf_add_byte(b, '}');
}

static void
add_member(struct buf *b, const char *key, struct str value)
{
	buf_add_byte(b, ',');
	json_add_key(b, key);
	json_add_str(b, value, true);
}

static bool
is_localhost(struct str host)
{
	return str_eq_c(host, "127.0.0.1") || str_eq_c(host, "localhost") ||
	    str_eq_c(host, "[::1]") || str_eq_c(host, "::1");
}

/* host:port → both; false when there is no port. */
static bool
split_host_port(struct str s, struct str *host, struct str *port)
{
	const char *colon = memrchr(s.p, ':', s.n);

	if (colon == NULL || memchr(colon, ']', (size_t)(s.p + s.n - colon)))
		return false;
	*host = str_from(s.p, (size_t)(colon - s.p));
	*port = str_from(colon + 1, (size_t)(s.p + s.n - colon - 1));
	return true;
}

/*
 * The URL as others reach it: localhost becomes the host of the external
 * URL; if it is our own port, the external URL's port and scheme too.
 */
static void
add_global_url(struct buf *b, const struct scrape *s, struct str url)
{
	const char *p = memmem(url.p, url.n, "://", 3), *slash;
	struct str host, port, rest, own, external_host, external_port, scheme;
	struct buf text;

	if (p == NULL) {
		add_member(b, "globalUrl", url);
		return;
	}
	scheme = str_from(url.p, (size_t)(p - url.p));
	rest = str_from(p + 3, (size_t)(url.p + url.n - p - 3));
	slash = memchr(rest.p, '/', rest.n);
	own = str_from(rest.p, slash == NULL ? rest.n :
	    (size_t)(slash - rest.p));
	if (!split_host_port(own, &host, &port) || !is_localhost(host)) {
		add_member(b, "globalUrl", url);
		return;
	}
	if (!split_host_port(s->opt.external_host, &external_host,
	    &external_port))
		external_host = s->opt.external_host;
	buf_init(&text, 0);
	if (str_eq(port, s->opt.listen_port)) {
		buf_printf(&text, "%.*s://%.*s",
		    STR_ARG(s->opt.external_scheme),
		    STR_ARG(s->opt.external_host));
	} else
		buf_printf(&text, "%.*s://%.*s:%.*s", STR_ARG(scheme),
		    STR_ARG(external_host), STR_ARG(port));
	buf_add(&text, own.p + own.n, rest.n - own.n);
	add_member(b, "globalUrl", buf_str(&text));
	buf_clear(&text);
}

static void
add_active(struct buf *b, const struct pool *p, const struct loop *l)
{
	static const char *const health[] = { "unknown", "up", "down" };
	char when[36] = "0001-01-01T00:00:00Z", text[32];
	const struct target *t = l->target;

	if (b->n != 0)
		buf_add_byte(b, ',');
	buf_add_c(b, "{\"discoveredLabels\":");
	add_labels(b, t->discovered);
	buf_add_c(b, ",\"labels\":");
	add_labels(b, t->public);
	add_member(b, "scrapePool", p->conf->job_name);
	add_member(b, "scrapeUrl", t->url);
	add_global_url(b, l->s, t->url);
	add_member(b, "lastError", l->health == HEALTH_DOWN ?
	    str_c(l->last_err.text) : STR_EMPTY);
	if (l->last_scrape_ns != 0)
		wall_format_rfc3339_ns(l->last_scrape_ns, when);
	add_member(b, "lastScrape", str_c(when));
	buf_printf(b, ",\"lastScrapeDuration\":%.9g", l->last_duration_s);
	add_member(b, "health", str_c(health[l->health]));
	duration_format(l->interval_ms, text);
	add_member(b, "scrapeInterval", str_c(text));
	duration_format(l->timeout_ms, text);
	add_member(b, "scrapeTimeout", str_c(text));
	buf_add_byte(b, '}');
}

static void
add_dropped(struct buf *b, const struct pool *p)
{
	size_t i;

	for (i = 0; i < p->n_dropped; i++) {
		if (b->n != 0)
			buf_add_byte(b, ',');
		buf_add_c(b, "{\"discoveredLabels\":");
		add_labels(b, p->dropped[i]);
		add_member(b, "scrapePool", p->conf->job_name);
		buf_add_byte(b, '}');
	}
}

static void
add_count(struct buf *b, const struct pool *p)
{
	if (b->n != 0)
		buf_add_byte(b, ',');
	json_add_str(b, p->conf->job_name, true);
	buf_printf(b, ":%llu", (unsigned long long)p->dropped_total);
}

/* Three parts into one memfd and off. */
static void
answer(struct ipc_channel *ch, uint64_t id, const struct buf *active,
    const struct buf *dropped, const struct buf *counts)
{
	struct msg_targets t = { active->n, dropped->n, counts->n };
	struct err e = ERR_INIT;
	struct buf all;
	int fd;

	buf_init(&all, 0);
	buf_add_str(&all, buf_str(active));
	buf_add_str(&all, buf_str(dropped));
	buf_add_str(&all, buf_str(counts));
	if (buf_failed(&all) || buf_failed(active) || buf_failed(dropped) ||
	    buf_failed(counts)) {
		/* an empty answer is wrong, none lets web time out: say it */
		log_error("Out of memory for the list of targets");
		t = (struct msg_targets){ 0, 0, 0 };
		buf_reset(&all);
	}
	fd = memfd_seal("targets", buf_str(&all), &e);
	if (fd == -1 || ipc_send(ch, IPC_TARGETS, id, &t, sizeof(t), &fd, 1,
	    &e) == -1)
		log_warn("Telling web of the targets failed", F_ERR(&e));
	buf_clear(&all);
}

void
targets_on_get(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_targets_get *g = m->data;
	struct scrape *s = ctx;
	struct buf active, dropped, counts;
	struct wire_reader r;
	struct str only;
	size_t i, k;

	wire_reader_init(&r, g + 1, m->n - sizeof(*g));
	only = wire_get_str(&r);
	if (!wire_end(&r)) {
		ipc_violation(ch, m, "malformed request");
		return;
	}
	buf_init(&active, 0);
	buf_init(&dropped, 0);
	buf_init(&counts, 0);
	for (i = 0; i < s->n_pools; i++) {
		const struct pool *p = s->pools[i];

		if (only.n != 0 && !str_eq(only, p->conf->job_name))
			continue;
		for (k = 0; g->state != TARGETS_DROPPED && k < p->n_loops; k++)
			add_active(&active, p, p->loops[k]);
		if (g->state != TARGETS_ACTIVE) {
			add_dropped(&dropped, p);
			add_count(&counts, p);
		}
	}
	answer(ch, m->id, &active, &dropped, &counts);
	buf_clear(&active);
	buf_clear(&dropped);
	buf_clear(&counts);
}
