/* SPDX-License-Identifier: ISC */
/*
 * Encoding of log lines as Prometheus 3 writes them, plus worker= and pid=.
 * One walk over the fields serves logfmt and JSON. The only writable global
 * of the program is `state` here.
 */
#include "common/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

/* A line must fit a channel message with room for its header. */
#define LOG_LINE_MAX	8000

static struct {
	char		 worker[48];
	enum log_level	 level;
	enum log_format	 format;
	log_sink_fn	*sink;
	void		*arg;
} state = { .level = LOG_LEVEL_INFO };

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

void
log_open(const char *worker, enum log_level level, enum log_format format,
    log_sink_fn *sink, void *arg)
{
	snprintf(state.worker, sizeof(state.worker), "%s", worker);
	state.level = level;
	state.format = format;
	state.sink = sink;
	state.arg = arg;
}

bool
log_enabled(enum log_level level)
{
	return level >= state.level;
}

static bool
needs_quotes(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] <= ' ' || s.p[i] == '=' ||
		    s.p[i] == '"' || s.p[i] == 0x7f)
			return true;
	return s.n == 0 || !utf8_valid(s);
}

static void
add_value(struct buf *b, struct str s)
{
	if (state.format == LOG_FORMAT_JSON || needs_quotes(s))
		json_add_str(b, s, false);
	else
		buf_add_str(b, s);
}

static void
add_key(struct buf *b, const char *key)
{
	if (state.format == LOG_FORMAT_JSON) {
		buf_add_byte(b, b->n == 0 ? '{' : ',');
		json_add_key(b, key);
	} else {
		if (b->n != 0)
			buf_add_byte(b, ' ');
		buf_add_c(b, key);
		buf_add_byte(b, '=');
	}
}

static void
add_field(struct buf *b, const struct log_field *f)
{
	char text[64];

	add_key(b, f->key);
	switch (f->type) {
	case LOG_F_STR:
		add_value(b, f->v.s);
		break;
	case LOG_F_INT:
		buf_add_i64_text(b, f->v.i);
		break;
	case LOG_F_UINT:
		buf_add_u64_text(b, f->v.u);
		break;
	case LOG_F_DUR:
		duration_format_go(f->v.i, text);
		add_value(b, str_c(text));
		break;
	case LOG_F_FLOAT:
		/* not finite is no JSON number */
		snprintf(text, sizeof(text), "%g", f->v.f);
		if (f->v.f - f->v.f != 0)
			add_value(b, str_c(text));
		else
			buf_add_c(b, text);
		break;
	case LOG_F_BOOL:
		buf_add_c(b, f->v.i ? "true" : "false");
		break;
	}
}

/* Leaves out fields that would not fit and says so: always well formed. */
static void
add_fitting(struct buf *b, const struct log_field *f, bool *cut)
{
	size_t before = b->n;

	if (f->type == LOG_F_STR && f->v.s.n > LOG_LINE_MAX / 2) {
		struct log_field shorter = *f;

		shorter.v.s.n = LOG_LINE_MAX / 4;
		*cut = true;
		add_field(b, &shorter);
	} else
		add_field(b, f);
	if (b->n > LOG_LINE_MAX - 200) {
		b->n = before;
		*cut = true;
	}
}

void
log_write(enum log_level level, const char *file, int line,
    const char *component, const char *msg, const struct log_field *fields,
    size_t n_fields)
{
	const char *slash = strrchr(file, '/');
	struct log_field f;
	char when[25], source[128];
	bool cut = false;
	struct buf b;
	size_t i;

	buf_init(&b, 0);
	wall_format_ms(wall_now_ms(), when);
	snprintf(source, sizeof(source), "%s:%d",
	    slash == NULL ? file : slash + 1, line);
	f = (struct log_field)F_STR("time", when);
	add_field(&b, &f);
	f = (struct log_field)F_STR("level", level_names[level]);
	add_field(&b, &f);
	f = (struct log_field)F_STR("source", source);
	add_field(&b, &f);
	f = (struct log_field)F_STR("msg", msg);
	add_field(&b, &f);
	if (component != NULL) {
		f = (struct log_field)F_STR("component", component);
		add_field(&b, &f);
	}
	for (i = 0; i < n_fields; i++)
		add_fitting(&b, &fields[i], &cut);
	if (cut) {
		f = (struct log_field)F_BOOL("truncated", true);
		add_field(&b, &f);
	}
	if (state.worker[0] != '\0') {
		f = (struct log_field)F_STR("worker", state.worker);
		add_field(&b, &f);
		f = (struct log_field)F_INT("pid", getpid());
		add_field(&b, &f);
	}
	buf_add_c(&b, state.format == LOG_FORMAT_JSON ? "}\n" : "\n");
	/* without memory, or with stderr closed, nothing can be said */
	if (!buf_failed(&b)) {
		if (state.sink != NULL)
			state.sink(state.arg, level, b.p, b.n);
		else
			(void)!write(STDERR_FILENO, b.p, b.n);
	}
	buf_clear(&b);
}

bool
log_limit_ok(struct log_limit *l, uint64_t *dropped_out)
{
	int64_t now = mono_now().ns;

	if (now < l->next_ns) {
		l->dropped++;
		return false;
	}
	*dropped_out = l->dropped;
	l->dropped = 0;
	l->next_ns = now + 1000000000;
	return true;
}
