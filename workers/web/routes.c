/* SPDX-License-Identifier: ISC */
/*
 * From a request to its handler: the prefix is taken off, the path cleaned,
 * looked up, corrected if it is nearly right; then readiness, parameters,
 * handler. What a path answers to other methods and the corrections are the
 * reference's (spec api.tsv, rules at the end).
 */
#include "workers/web/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/http/encoding.h"

#define G	HTTP_GET
#define GH	(HTTP_GET | HTTP_HEAD)
#define GP	(HTTP_GET | HTTP_POST)
#define PP	(HTTP_POST | HTTP_PUT)
#define API	"/api/v1"

static const struct route routes[] = {
	{ "/", G, 0, handle_home, -1 },
	{ "/graph", G, 0, handle_graph, -1 },
	{ "/query", G, 0, handle_page, -1 },
	{ "/alerts", G, 0, handle_page, -1 },
	{ "/rules", G, 0, handle_page, -1 },
	{ "/config", G, 0, handle_page, -1 },
	{ "/flags", G, 0, handle_page, -1 },
	{ "/service-discovery", G, 0, handle_page, -1 },
	{ "/alertmanager-discovery", G, 0, handle_page, -1 },
	{ "/status", G, 0, handle_page, -1 },
	{ "/tsdb-status", G, 0, handle_page, -1 },
	{ "/targets", G, 0, handle_page, -1 },
	{ "/assets/*", G, 0, handle_asset, -1 },
	{ "/favicon.svg", G, 0, handle_asset, -1 },
	{ "/metrics", G, ROUTE_COMPRESS, handle_metrics, -1 },
	{ "/version", G, 0, handle_version, -1 },
	{ "/-/healthy", GH, 0, handle_healthy, -1 },
	{ "/-/ready", GH, ROUTE_READY, handle_ready, -1 },
	{ "/-/reload", PP, 0, handle_reload, -1 },
	{ "/-/reload", G, 0, handle_post_only, -1 },
	{ "/-/quit", PP, 0, handle_quit, -1 },
	{ "/-/quit", G, 0, handle_post_only, -1 },

	{ API "/*", HTTP_OPTIONS, ROUTE_API, handle_options, -1 },
	{ API "/query", GP, ROUTE_DATA, handle_query, QUERY_INSTANT },
	{ API "/query_range", GP, ROUTE_DATA, handle_query, QUERY_RANGE },
	{ API "/series", GP, ROUTE_DATA, handle_query, QUERY_SERIES },
	{ API "/labels", GP, ROUTE_DATA, handle_query, QUERY_LABELS },
	{ API "/label/:name/values", G, ROUTE_DATA, handle_query,
	  QUERY_LABEL_VALUES },
	{ API "/format_query", GP, ROUTE_DATA, handle_query, QUERY_FORMAT },
	{ API "/parse_query", GP, ROUTE_DATA, handle_query, QUERY_PARSE },
	{ API "/status/tsdb", G, ROUTE_DATA, handle_query,
	  QUERY_TSDB_STATUS },
	{ API "/targets", G, ROUTE_API, handle_targets, -1 },
	{ API "/scrape_pools", G, ROUTE_API, handle_scrape_pools, -1 },
	{ API "/alertmanagers", G, ROUTE_DATA, handle_alertmanagers, -1 },
	{ API "/status/config", G, ROUTE_API, handle_config, -1 },
	{ API "/status/flags", G, ROUTE_API, handle_flags, -1 },
	{ API "/status/buildinfo", G, ROUTE_API, handle_buildinfo, -1 },
	{ API "/status/runtimeinfo", G, ROUTE_API, handle_runtimeinfo, -1 },
	{ API "/status/walreplay", G, ROUTE_CORS, handle_walreplay, -1 },
	{ API "/rules", G, ROUTE_DATA, handle_rules, -1 },
	{ API "/alerts", G, ROUTE_DATA, handle_alerts, -1 },

	/* what is not in this release, and says so */
	{ "/federate", G, ROUTE_READY | ROUTE_COMPRESS, handle_later_text,
	  -1 },
	{ API "/query_exemplars", GP, ROUTE_DATA, handle_later_api, -1 },
	{ API "/metadata", G, ROUTE_API, handle_later_api, -1 },
	{ API "/targets/metadata", G, ROUTE_API, handle_later_api, -1 },
	{ API "/targets/relabel_steps", G, ROUTE_API, handle_later_api, -1 },
	{ API "/scrape_pools/config", G, ROUTE_API, handle_later_api, -1 },
	{ API "/status/tsdb/blocks", G, ROUTE_DATA, handle_later_api, -1 },
	{ API "/status/self_metrics", G, ROUTE_API, handle_later_api, -1 },
	{ API "/features", G, ROUTE_API, handle_later_api, -1 },
	{ API "/notifications", G, ROUTE_CORS, handle_later_api, -1 },
	{ API "/notifications/live", G, ROUTE_CORS, handle_later_api, -1 },
	{ API "/openapi.yaml", G, ROUTE_API, handle_later_api, -1 },
	{ API "/search/:name", GP, ROUTE_DATA, handle_later_api, -1 },
	{ API "/admin/tsdb/:name", PP, ROUTE_DATA, handle_later_admin, -1 },
	{ API "/read", HTTP_POST, ROUTE_READY, handle_later_text, -1 },
	{ API "/write", HTTP_POST, ROUTE_READY, handle_later_write, -1 },
	{ API "/otlp/v1/metrics", HTTP_POST, ROUTE_READY, handle_later_otlp,
	  -1 },
};

#define N_ROUTES	(sizeof(routes) / sizeof(routes[0]))

struct route_stats {
	metrics_slot			*ok;	/* code 200 */
	struct metrics_histogram	*seconds;	/* NULL: never asked */
	struct metrics_histogram	*bytes;
};

/* One part of a path, without the slashes; false at the end. */
static bool
next_part(struct str *rest, struct str *part)
{
	if (rest->n == 0)
		return false;
	/* rest begins with a slash */
	size_t n = 1;

	while (n < rest->n && rest->p[n] != '/')
		n++;
	*part = str_from(rest->p + 1, n - 1);
	*rest = str_from(rest->p + n, rest->n - n);
	return true;
}

static bool
part_eq(struct str a, struct str b, bool fold)
{
	return fold ? http_str_ieq(a, b) : str_eq(a, b);
}

/* With fold, letter case of fixed parts counts for nothing. */
static bool
pattern_matches(const char *pattern, struct str path, bool fold,
    struct str *arg)
{
	struct str pat = str_c(pattern), pp, xp;

	*arg = STR_EMPTY;
	for (;;) {
		struct str here = path;
		bool more_pat = next_part(&pat, &pp);
		bool more_path = next_part(&path, &xp);

		if (more_pat && str_eq_c(pp, "*")) {
			*arg = here;
			return more_path;
		}
		if (more_pat != more_path)
			return false;
		if (!more_pat)
			return true;
		if (pp.n > 0 && pp.p[0] == ':') {
			if (xp.n == 0)
				return false;
			*arg = xp;
		} else if (!part_eq(pp, xp, fold))
			return false;
	}
}

enum route_match
routes_find(struct str path, unsigned method, const struct route **out,
    struct str *arg_out, unsigned *allow_out)
{
	*allow_out = 0;
	for (size_t i = 0; i < N_ROUTES; i++) {
		struct str arg;

		if (!pattern_matches(routes[i].pattern, path, false, &arg))
			continue;
		if ((routes[i].methods & method) != 0) {
			*out = &routes[i];
			*arg_out = arg;
			return ROUTE_FOUND;
		}
		*allow_out |= routes[i].methods;
	}
	/* the catch-all of OPTIONS makes no path known */
	return (*allow_out & ~(unsigned)HTTP_OPTIONS) != 0 ?
	    ROUTE_OTHER_METHOD : ROUTE_NONE;
}

/* The pattern with the path's own text where it has ":name" or "*". */
static struct str
pattern_fill(struct arena *a, const char *pattern, struct str arg)
{
	struct str pat = str_c(pattern), part;
	char *out = arena_alloc(a, pat.n + arg.n + 2);
	size_t n = 0;

	if (out == NULL)
		return STR_LIT("/");
	while (next_part(&pat, &part)) {
		if (part.n > 0 && part.p[0] == '*')
			part = str_from(arg.p + 1, arg.n - 1);
		else if (part.n > 0 && part.p[0] == ':')
			part = arg;
		out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	return str_from(out, n);
}

bool
routes_fix(struct arena *a, struct str path, unsigned method,
    struct str *out)
{
	struct str bare = path;

	if (bare.n > 1 && bare.p[bare.n - 1] == '/')
		bare.n--;
	bool is_api = str_has_prefix(path, STR_LIT(API "/"));

	for (size_t i = 0; i < N_ROUTES; i++) {
		struct str arg;

		/* the API's own part of the path must be right as it is */
		if (str_has_prefix(str_c(routes[i].pattern),
		    STR_LIT(API "/")) != is_api)
			continue;
		if ((routes[i].methods & method) == 0 ||
		    strchr(routes[i].pattern, '*') != NULL ||
		    !pattern_matches(routes[i].pattern, bare, true, &arg))
			continue;
		*out = pattern_fill(a, routes[i].pattern, arg);
		return true;
	}
	return false;
}

uint64_t
web_body_limit(const struct http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	return WEB_FORM_BYTES_MAX;
}

/* Takes the prefix off the path; false when it is not there. */
static bool
strip_prefix(struct call *c)
{
	struct str prefix = c->web->set.prefix, path = c->path;

	if (!str_has_prefix(path, prefix) || path.n == prefix.n ||
	    path.p[prefix.n] != '/')
		return prefix.n == 0;
	c->path = str_from(path.p + prefix.n, path.n - prefix.n);
	return true;
}

static bool
is_form(struct str type)
{
	const char *semi = type.n == 0 ? NULL : memchr(type.p, ';', type.n);

	if (semi != NULL)
		type.n = (size_t)(semi - type.p);
	return http_str_ieq(str_trim(type),
	    STR_LIT("application/x-www-form-urlencoded"));
}

/* Body first, then the query string: the order of Go's Request.Form. */
static void
read_params(struct call *c)
{
	const struct http_request *r = http_exchange_request(c->x);
	struct err err = ERR_INIT;

	url_params_init(&c->params, &c->mem);
	if ((r->method & (HTTP_POST | HTTP_PUT | HTTP_PATCH)) != 0 &&
	    is_form(http_request_header(r, "Content-Type")) &&
	    url_params_add(&c->params, http_exchange_body(c->x), &err) == -1)
		c->params_err = err;
	if (url_params_add(&c->params, r->raw_query, &err) == -1 &&
	    c->params_err.kind == ERR_NONE)
		c->params_err = err;
}

static void
add_query(const struct call *c, struct buf *b)
{
	struct str q = http_exchange_request(c->x)->raw_query;

	if (q.n == 0)
		return;
	buf_add_byte(b, '?');
	buf_add_str(b, q);
}

/*
 * A decoded path for a Location, encoded again: a backslash behind the first
 * slash would lead browsers to another host.
 */
static void
add_path(struct buf *b, struct str path)
{
	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] != '\0' && strchr("/$&+,:;=@", path.p[i]))
			buf_add_byte(b, (uint8_t)path.p[i]);
		else
			url_add_encoded(b, str_from(path.p + i, 1));
	}
}

/* Location with the request's query behind it. */
static void
redirect_fixed(struct call *c, struct str path)
{
	const struct http_request *r = http_exchange_request(c->x);
	struct buf b;

	buf_init(&b, 0);
	/* below the API the reference forgets the part before it */
	if (str_has_prefix(path, STR_LIT(API "/")))
		path = str_from(path.p + strlen(API), path.n - strlen(API));
	else
		buf_add_str(&b, c->web->set.prefix);
	add_path(&b, path);
	add_query(c, &b);
	call_redirect(c, r->method == HTTP_GET ? 301 : 307, buf_str(&b));
	buf_clear(&b);
}

static void
refuse_method(struct call *c, unsigned allow)
{
	char text[64];

	http_methods_text(allow | HTTP_OPTIONS, text);
	http_reply_header(c->x, "Allow", str_c(text));
	if (http_exchange_request(c->x)->method == HTTP_OPTIONS)
		call_reply(c, 200, NULL, STR_EMPTY);
	else
		call_reply_text(c, 405, "Method Not Allowed");
}

static void
refuse_unready(struct call *c)
{
	http_reply_header(c->x, "X-Prometheus-Stopping",
	    c->web->state.stopping || c->web->stopping ? STR_LIT("true") :
	    STR_LIT("false"));
	call_reply(c, 503, "text/plain; charset=utf-8",
	    STR_LIT("Service Unavailable"));
}

static void
call_handler(struct call *c)
{
	const struct route *r = c->route;
	struct err err = ERR_INIT;

	if ((r->flags & ROUTE_READY) != 0 && (!c->web->state.ready ||
	    c->web->state.stopping || c->web->stopping)) {
		refuse_unready(c);
		return;
	}
	if ((r->flags & ROUTE_NO_AGENT) != 0 && c->web->set.agent) {
		(void)err_set(&err, ERR_EXECUTION,
		    "unavailable with Prometheus Agent");
		call_reply_err(c, 0, &err);
		return;
	}
	read_params(c);
	if (c->params_err.kind == ERR_LIMIT ||
	    c->params_err.kind == ERR_NOMEM) {
		(void)err_set(&err, ERR_BAD_DATA, "%s", c->params_err.text);
		call_reply_err(c, 0, &err);
		return;
	}
	r->handler(c);
}

/* Another path of this server, as it is, with the request's query. */
static void
redirect_within(struct call *c, struct str path)
{
	struct buf b;

	buf_init(&b, 0);
	add_path(&b, path);
	add_query(c, &b);
	call_redirect(c, 301, buf_str(&b));
	buf_clear(&b);
}

/* A path that does not begin with the prefix: / and the prefix lead to it. */
static void
dispatch_outside(struct call *c)
{
	const struct http_request *r = http_exchange_request(c->x);
	struct buf b;

	if (str_eq_c(c->path, "/")) {
		if (r->method == HTTP_GET)
			call_redirect(c, 302, c->web->set.prefix);
		else
			refuse_method(c, HTTP_GET);
	} else if (str_eq(c->path, c->web->set.prefix) &&
	    r->method == HTTP_GET) {
		buf_init(&b, 0);
		buf_add_str(&b, c->path);
		buf_add_byte(&b, '/');
		redirect_within(c, buf_str(&b));
		buf_clear(&b);
	} else
		call_reply_text(c, 404, "404 page not found");
}

static void
dispatch(struct call *c)
{
	const struct http_request *r = http_exchange_request(c->x);
	struct err err = ERR_INIT;
	unsigned allow;
	struct str fixed;

	if (url_decode(&c->mem, r->raw_path, false, &c->path, &err) == -1) {
		call_reply_text(c, 400, "Bad Request");
		return;
	}
	fixed = url_clean_path(&c->mem, c->path);
	if (!str_eq(fixed, c->path)) {
		redirect_within(c, fixed);
		return;
	}
	if (!strip_prefix(c)) {
		dispatch_outside(c);
		return;
	}
	switch (routes_find(c->path, r->method, &c->route, &c->arg, &allow)) {
	case ROUTE_FOUND:
		call_handler(c);
		break;
	case ROUTE_OTHER_METHOD:
		refuse_method(c, allow);
		break;
	default:
		if (routes_fix(&c->mem, c->path, r->method, &fixed))
			redirect_fixed(c, fixed);
		else
			call_reply_text(c, 404, "404 page not found");
	}
}

void
web_on_request(struct http_exchange *x, void *arg)
{
	const struct http_request *r = http_exchange_request(x);
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		http_reply_error(x, 503, "Service Unavailable");
		return;
	}
	c->web = arg;
	c->x = x;
	c->id = ++c->web->next_id;
	c->started = mono_now();
	c->codec = http_encoding_choose(http_request_header(r,
	    "Accept-Encoding"));
	arena_init(&c->mem, 64 << 20);
	dispatch(c);
}

/* The route's name as a label: without the "*" of catch-alls. */
static char *
handler_label(const struct route *r, char out[128])
{
	struct buf b;

	buf_init(&b, 0);
	metrics_label(&b, "handler", str_c(r->pattern));
	(void)snprintf(out, 128, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return out;
}

void
routes_init(struct web *web)
{
	struct metrics *m = worker_metrics(web->w);

	web->route_stats = xcalloc(N_ROUTES, sizeof(*web->route_stats));
	for (size_t i = 0; i < N_ROUTES; i++) {
		char label[128], ok[160];

		(void)handler_label(&routes[i], label);
		(void)snprintf(ok, sizeof(ok), "code=\"200\",%s", label);
		web->route_stats[i] = (struct route_stats){
			.ok = metrics_get(m, METRIC_HTTP_REQUESTS, ok) };
	}
}

void
routes_count(const struct call *c)
{
	double seconds = (double)mono_sub_ns(mono_now(), c->started) / 1e9;

	if (c->route == NULL || c->web->route_stats == NULL)
		return;
	struct route_stats *st = &c->web->route_stats[c->route - routes];

	struct metrics *m = worker_metrics(c->web->w);
	char label[128], other[160];

	/* histograms are many series: only those that somebody asked for */
	if (st->seconds == NULL) {
		(void)handler_label(c->route, label);
		st->seconds = metrics_histogram(m, METRIC_HTTP_DURATION,
		    label);
		st->bytes = metrics_histogram(m, METRIC_HTTP_SIZE, label);
	}
	if (c->status == 200)
		metrics_inc(st->ok);
	else {
		(void)snprintf(other, sizeof(other), "code=\"%d\",%s",
		    c->status, handler_label(c->route, label));
		metrics_inc(metrics_get(m, METRIC_HTTP_REQUESTS, other));
	}
	metrics_histogram_observe(st->seconds, seconds);
	metrics_histogram_observe(st->bytes, (double)c->sent_bytes);
}
