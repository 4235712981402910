/* SPDX-License-Identifier: ISC */
/* The status endpoints that need nothing but what web knows. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/json.h"
#include "workers/web/web.h"

/*
 * Clients choose features by this number: the release of the reference whose
 * API we speak, with our own behind it.
 */
#define API_VERSION	"3.14.0+brazier." BRAZIER_VERSION

static void
add_pair(struct buf *b, const char *key, struct str value)
{
	if (b->n > 0 && b->p[b->n - 1] != '{')
		buf_add_byte(b, ',');
	json_add_key(b, key);
	json_add_str(b, value, true);
}

static void
add_build_info(struct buf *b)
{
	buf_add_byte(b, '{');
	add_pair(b, "version", STR_LIT(API_VERSION));
	add_pair(b, "revision", STR_LIT("unknown"));
	add_pair(b, "branch", STR_LIT("main"));
	add_pair(b, "buildUser", STR_LIT("brazier"));
	add_pair(b, "buildDate", STR_LIT("unknown"));
	add_pair(b, "goVersion", STR_LIT("none (C)"));
	buf_add_byte(b, '}');
}

void
handle_version(struct call *c)
{
	struct buf b;

	buf_init(&b, 0);
	add_build_info(&b);
	buf_add_byte(&b, '\n');
	call_reply(c, 200, "text/plain; charset=utf-8", buf_str(&b));
	buf_clear(&b);
}

void
handle_buildinfo(struct call *c)
{
	struct buf b;

	buf_init(&b, 0);
	add_build_info(&b);
	call_reply_data(c, buf_str(&b));
	buf_clear(&b);
}

static void
add_time_ms(struct buf *b, const char *key, int64_t ms)
{
	char text[36];

	wall_format_rfc3339_ns(ms * 1000000, text);
	add_pair(b, key, str_c(text));
}

void
handle_runtimeinfo(struct call *c)
{
	const struct web *web = c->web;
	const struct msg_server_state *s = &web->state;
	struct buf b;

	buf_init(&b, 0);
	buf_add_byte(&b, '{');
	add_time_ms(&b, "startTime", web->set.start_ms);
	add_pair(&b, "CWD", web->set.cwd);
	add_pair(&b, "hostname", web->set.hostname);
	add_time_ms(&b, "serverTime", wall_now_ms());
	buf_printf(&b, ",\"reloadConfigSuccess\":%s",
	    s->reload_ok ? "true" : "false");
	add_time_ms(&b, "lastConfigTime", s->reload_ms);
	buf_printf(&b, ",\"corruptionCount\":%lld,\"goroutineCount\":1,"
	    "\"GOMAXPROCS\":%ld,\"GOMEMLIMIT\":9223372036854775807",
	    (long long)s->corruptions, sysconf(_SC_NPROCESSORS_ONLN));
	if (web->conf.gogc < 0)
		add_pair(&b, "GOGC", STR_LIT("off"));
	else
		buf_printf(&b, ",\"GOGC\":\"%lld\"",
		    (long long)web->conf.gogc);
	add_pair(&b, "GODEBUG", STR_EMPTY);
	add_pair(&b, "storageRetention", str_c(web->set.retention));
	buf_add_byte(&b, '}');
	call_reply_data(c, buf_str(&b));
	buf_clear(&b);
}

struct flag {
	struct str	name, value;
};

static int
flag_order(const void *a, const void *b)
{
	const struct flag *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

/* All flags, sorted; our own options are none. */
void
handle_flags(struct call *c)
{
	struct flag *v;
	size_t n = 0, all = 0;
	struct str name, value;
	struct buf b;

	while (worker_flag_at(c->web->w, all, &name, &value))
		all++;
	v = arena_array(&c->mem, all + 1, sizeof(*v));
	for (size_t i = 0; v != NULL && i < all; i++) {
		(void)worker_flag_at(c->web->w, i, &v[n].name, &v[n].value);
		if (!str_has_prefix(v[n].name, STR_LIT("brazier.")))
			n++;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), flag_order);
	buf_init(&b, 0);
	buf_add_byte(&b, '{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && str_eq(v[i].name, v[i - 1].name))
			continue;
		if (b.n > 1)
			buf_add_byte(&b, ',');
		json_add_str(&b, v[i].name, true);
		buf_add_byte(&b, ':');
		json_add_str(&b, v[i].value, true);
	}
	buf_add_byte(&b, '}');
	call_reply_data(c, buf_str(&b));
	buf_clear(&b);
}

void
handle_config(struct call *c)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_byte(&b, '{');
	add_pair(&b, "yaml", c->web->conf.yaml);
	buf_add_byte(&b, '}');
	call_reply_data(c, buf_str(&b));
	buf_clear(&b);
}

void
handle_walreplay(struct call *c)
{
	const struct msg_server_state *s = &c->web->state;
	char *text = arena_printf(&c->mem,
	    "{\"min\":%lld,\"max\":%lld,\"current\":%lld}",
	    (long long)s->replay_min, (long long)s->replay_max,
	    (long long)s->replay_current);

	call_reply_data(c, text == NULL ? STR_LIT("null") : str_c(text));
}

/* No alerting yet: there are none, which is also what is true. */
void
handle_alertmanagers(struct call *c)
{
	call_reply_data(c, STR_LIT("{\"activeAlertmanagers\":[],"
	    "\"droppedAlertmanagers\":[]}"));
}

void
handle_options(struct call *c)
{
	call_reply(c, 204, NULL, STR_EMPTY);
}
