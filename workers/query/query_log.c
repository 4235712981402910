/* SPDX-License-Identifier: ISC */
/*
 * Source: prometheus promql/engine.go (Engine.exec) for what is logged, Go's
 * log/slog for how it looks: members of a group in the alphabet's order,
 * nothing escaped for HTML, the time with nanoseconds.
 */
#include "workers/query/query_log.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "ipc/message.h"
#include "workers/query/render.h"

/* Without tracing both are zero, and there all the same. */
#define SPAN_NONE	"0000000000000000"
#define TRACE_NONE	SPAN_NONE SPAN_NONE

static void
add_member(struct buf *b, const char *key, struct str value)
{
	json_add_key(b, key);
	json_add_str(b, value, false);
}

static void
add_time(struct buf *b, const char *key, int64_t t_ms)
{
	char text[25];

	wall_format_ms(t_ms, text);
	add_member(b, key, str_c(text));
}

static void
add_params(struct buf *b, const struct query_record *r)
{
	buf_add_c(b, ",\"params\":{");
	add_time(b, "end", r->end_ms);
	buf_add_byte(b, ',');
	add_member(b, "query", r->query);
	buf_add_byte(b, ',');
	add_time(b, "start", r->start_ms);
	/* whole seconds, whatever the step was */
	buf_printf(b, ",\"step\":%lld}", (long long)(r->step_ms / 1000));
}

static void
add_asker(struct buf *b, const struct query_asker *a)
{
	static const struct {
		const char *group, *keys[3];
	} shapes[] = {
		[QUERY_FROM_HTTP] = { "httpRequest",
		    { "clientIP", "method", "path" } },
		[QUERY_FROM_RULES] = { "ruleGroup", { "file", "name" } },
	};

	if (a->origin >= sizeof(shapes) / sizeof(shapes[0]))
		return;
	buf_printf(b, ",\"%s\":{", shapes[a->origin].group);
	for (size_t i = 0; i < 3 && shapes[a->origin].keys[i] != NULL; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		add_member(b, shapes[a->origin].keys[i], a->what[i]);
	}
	buf_add_byte(b, '}');
}

void
query_log_line(struct buf *b, int64_t now_ns, const char *source,
    const struct query_record *r)
{
	static const struct promql_stats none = { 0 };
	char now[36];

	wall_format_rfc3339_ns(now_ns, now);
	buf_add_byte(b, '{');
	add_member(b, "time", str_c(now));
	buf_add_c(b, ",\"level\":\"INFO\",");
	add_member(b, "source", str_c(source));
	buf_add_c(b, ",\"msg\":\"promql query logged\"");
	add_params(b, r);
	if (r->err != NULL) {
		buf_add_byte(b, ',');
		add_member(b, "error", str_c(r->err->text));
	}
	buf_add_c(b, ",\"stats\":");
	render_stats(b, r->stats == NULL ? &none : r->stats, true, r->queue_s,
	    r->total_s);
	buf_add_c(b, ",\"spanID\":\"" SPAN_NONE "\",\"traceID\":\"" TRACE_NONE
	    "\"");
	add_asker(b, r->asker);
	buf_add_c(b, "}\n");
}
