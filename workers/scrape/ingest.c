/* SPDX-License-Identifier: ISC */
/*
 * From a body to a batch. For a series that was there last time the cache
 * knows the number and nothing but the value is read. For a new one the
 * label set is made: the target's labels join, metric relabelling and the
 * limits have their say (reference: scrape/scrape.go).
 *
 * Of a body that turns out bad, or exceeds a limit, nothing is stored: the
 * batch is emptied, and stale markers for what the last scrape had and this
 * one had not, up to where it was read, go into it. Series before the error
 * keep their last sample, as in the reference. Where memory ran out, all that
 * was known of the target's series goes: other targets need it.
 */

#define LOG_COMPONENT "scrape manager"

#include <malloc.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

/* Samples further in the future are refused. */
#define AHEAD_MS_MAX	(10 * 60 * 1000)
/* The label sets of one line; a line is at most a body. */
#define LINE_ARENA_MAX	(64u << 20)
/* New series from one look at the memory in use to the next. */
#define NEW_A_LOOK	4096

/* One body being read. */
struct ingest {
	struct loop		*l;
	struct scrape		*s;
	const struct scrape_conf *conf;
	struct batch		*b;
	struct ingest_result	*res;
	int64_t			 def_ms;
	int64_t			 max_ms;
	uint64_t		 n_limit;	/* counted against sample_limit */
	uint64_t		 n_new;		/* series that were looked at */
	bool			 over_limit;
	size_t			 n_duplicates, n_out_of_bounds;
};

/* --- label sets --- */

static struct str
get(struct labels ls, struct str name)
{
	for (size_t i = 0; i < ls.n; i++)
		if (str_eq(ls.l[i].name, name))
			return ls.l[i].value;
	return str_from(NULL, 0);
}

static int
by_name_length(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	if (x->name.n != y->name.n)
		return x->name.n < y->name.n ? -1 : 1;
	return str_cmp(x->name, y->name);
}

/* exported_<name>, the prefix repeated until nobody has that name. */
static void
export_labels(struct scrape *s, struct label *l, size_t n)
{
	qsort(l, n, sizeof(*l), by_name_length);
	for (size_t i = 0; i < n; i++) {
		struct str name = l[i].name;

		do {
			char *p = arena_printf(&s->arena, "exported_%.*s",
			    STR_ARG(name));

			if (p == NULL) {
				s->builder.failed = true;
				return;
			}
			name = str_c(p);
		} while (labels_builder_get(&s->builder, name).n != 0);
		labels_builder_set(&s->builder, name, l[i].value);
	}
}

/* The target's labels join the exposed ones in the builder. */
static void
join_target(struct scrape *s, const struct target *t, bool honor,
    struct labels exposed)
{
	struct label *conflicts;
	size_t n = 0;

	conflicts = arena_array(&s->arena, t->public.n, sizeof(*conflicts));
	if (conflicts == NULL) {
		s->builder.failed = true;
		return;
	}
	for (size_t i = 0; i < t->public.n; i++) {
		struct label l = t->public.l[i];
		struct str was = get(exposed, l.name);

		if (honor && was.p != NULL)
			continue;	/* also when exposed as empty */
		if (was.n != 0)
			conflicts[n++] = (struct label){ l.name, was };
		labels_builder_set(&s->builder, l.name, l.value);
	}
	if (n > 0)
		export_labels(s, conflicts, n);
}

static int
check_duplicates(struct labels ls, struct err *err)
{
	for (size_t i = 1; i < ls.n; i++)
		if (str_eq(ls.l[i].name, ls.l[i - 1].name))
			return err_set(err, ERR_BAD_DATA, "label name "
			    "\"%.*s\" is not unique: invalid sample",
			    STR_ARG(ls.l[i].name));
	return 0;
}

static bool
label_is_valid(const struct scrape_conf *conf, const struct label *l)
{
	bool legacy = conf->name_validation == NAME_VALIDATION_LEGACY;

	if (str_eq_c(l->name, LABEL_METRIC_NAME) && (l->value.n == 0 ||
	    (legacy && !metric_name_is_legacy(l->value))))
		return false;
	if (legacy ? !label_name_is_legacy(l->name) :
	    !label_name_is_valid(l->name))
		return false;
	return utf8_valid(l->value);
}

static int
check_names(const struct scrape_conf *conf, struct labels ls, struct err *err)
{
	struct buf b;
	size_t i;

	if (labels_get(ls, STR_LIT(LABEL_METRIC_NAME)).p == NULL)
		return err_set(err, ERR_BAD_DATA,
		    "missing metric name (__name__ label)");
	for (i = 0; i < ls.n && label_is_valid(conf, &ls.l[i]); i++)
		;
	if (i == ls.n)
		return 0;
	buf_init(&b, 0);
	labels_format(ls, &b);
	err_set(err, ERR_BAD_DATA,
	    "invalid metric name or label names: %.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return -1;
}

/* "%.50s" of Go counts runes; bytes do for what is shown to people. */
#define SHORT(s)	(int)((s).n > 50 ? 50 : (s).n), (s).p

static int
check_limits(const struct scrape_conf *c, struct labels ls, struct err *err)
{
	struct str metric = labels_get(ls, STR_LIT(LABEL_METRIC_NAME));

	if (c->label_limit != 0 && ls.n > c->label_limit)
		return err_set(err, ERR_LIMIT, "label_limit exceeded (metric: "
		    "%.*s, number of labels: %zu, limit: %llu)",
		    SHORT(metric), ls.n, (unsigned long long)c->label_limit);
	for (size_t i = 0; i < ls.n; i++) {
		const struct label *l = &ls.l[i];
		struct buf q;

		if (c->label_name_length_limit != 0 &&
		    l->name.n > c->label_name_length_limit)
			return err_set(err, ERR_LIMIT,
			    "label_name_length_limit exceeded (metric: %.*s, "
			    "label name: %.*s, length: %zu, limit: %llu)",
			    SHORT(metric), SHORT(l->name), l->name.n,
			    (unsigned long long)c->label_name_length_limit);
		if (c->label_value_length_limit == 0 ||
		    l->value.n <= c->label_value_length_limit)
			continue;
		buf_init(&q, 0);
		quote_add(&q, str_from(l->value.p,
		    l->value.n > 50 ? 50 : l->value.n));
		err_set(err, ERR_LIMIT, "label_value_length_limit exceeded "
		    "(metric: %.*s, label name: %.*s, value: %.*s, length: "
		    "%zu, limit: %llu)", SHORT(metric), SHORT(l->name),
		    STR_ARG(buf_str(&q)), l->value.n,
		    (unsigned long long)c->label_value_length_limit);
		buf_clear(&q);
		return -1;
	}
	return 0;
}

/*
 * Final label set of the series that the parser stands on; n == 0: dropped.
 * Lives until the arena or the builder is reset.
 */
static int
make_labels(struct loop *l, const struct scrape_conf *conf,
    const struct expo_parser *p, struct labels *out, struct err *err)
{
	struct scrape *s = l->s;
	struct labels exposed;

	arena_reset(&s->arena);
	if (expo_labels(p, &s->arena, &exposed, err) == -1 ||
	    check_duplicates(exposed, err) == -1)
		return -1;
	labels_builder_reset(&s->builder, (struct labels){ NULL, 0 });
	for (size_t i = 0; i < exposed.n; i++)
		labels_builder_set(&s->builder, exposed.l[i].name,
		    exposed.l[i].value);
	join_target(s, l->target, conf->honor_labels, exposed);
	*out = (struct labels){ NULL, 0 };
	if (relabel_apply(&conf->metric_relabel, &s->builder, &s->arena))
		*out = labels_builder_labels(&s->builder);
	if (s->builder.failed || s->arena.failed) {
		s->builder.failed = false;
		return err_set(err, ERR_NOMEM, "out of memory for labels");
	}
	return 0;
}

int
ingest_line_labels(struct loop *l, const struct cached_line *line,
    struct labels *out, struct err *err)
{
	struct scrape *s = l->s;
	struct buf text;
	struct str series;
	int r = -1;

	if (l->pool == NULL)
		return err_set(err, ERR_NOT_FOUND, "the target is gone");
	buf_init(&text, 0);
	series = series_cache_text(&l->cache, line);
	buf_add_str(&text, series);
	buf_add_c(&text, " 0\n");
	if (series.p == NULL || buf_failed(&text))
		err_set(err, ERR_NOMEM, "out of memory for labels");
	else {
		expo_parser_start(&s->line_parser, EXPO_TEXT,
		    str_from(text.p, text.n - 1), s->opt.type_and_unit_labels ?
		    EXPO_TYPE_AND_UNIT_LABELS : 0);
		expo_set_type(&s->line_parser, (enum metric_type)line->type);
		if (expo_next(&s->line_parser, err) == EXPO_SERIES &&
		    make_labels(l, l->pool->conf, &s->line_parser, out,
		    err) == 0)
			r = 0;
	}
	/* the labels must not point into the text that goes now */
	if (r == 0) {
		*out = labels_copy(&s->arena, *out);
		if (out->l == NULL && out->n > 0)
			r = err_set(err, ERR_NOMEM,
			    "out of memory for labels");
	}
	buf_clear(&text);
	return r;
}

/* --- samples --- */

static int
declare_line(struct loop *l, const struct cached_line *line, struct err *err)
{
	struct labels ls;

	if (l->s->appender.ch == NULL)
		return 0;
	if (ingest_line_labels(l, line, &ls, err) == -1)
		return -1;
	return appender_declare(&l->s->appender, line->id, ls, err);
}

void
loop_declare_all(struct loop *l)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < l->cache.n; i++) {
		const struct cached_line *line = &l->cache.lines[i];

		if (line->kind == CACHED_SAMPLE &&
		    line->id != SERIES_CACHE_NONE &&
		    !appender_is_declared(&l->s->appender, line->id))
			(void)declare_line(l, line, &err);
	}
	report_declare(l);
}

/*
 * The fence in front of the process's limit, behind which allocations fail
 * that other targets need: the target that brings too many new series fails
 * alone. Asking costs some microseconds, so not for each.
 */
static bool
heap_is_full(struct ingest *in)
{
	struct mallinfo2 m;

	if (in->s->opt.max_heap_bytes == 0 ||
	    in->n_new++ % NEW_A_LOOK != NEW_A_LOOK - 1)
		return false;
	m = mallinfo2();
	return m.uordblks + m.hblkhd > in->s->opt.max_heap_bytes;
}

/*
 * A series that was not there before. *line_out: NULL when its sample is not
 * to be stored (dropped by relabelling, or beyond a limit, as told by
 * store).
 */
static int
new_series(struct ingest *in, bool store, struct cached_line **line_out,
    bool *dropped, struct err *err)
{
	struct scrape *s = in->s;
	struct cached_line *line;
	struct labels ls;
	bool had_id;

	*line_out = NULL;
	*dropped = false;
	if (heap_is_full(in))
		return err_set(err, ERR_NOMEM,
		    "out of memory for new series");
	if (make_labels(in->l, in->conf, &s->parser, &ls, err) == -1)
		return -1;
	if (ls.n == 0) {
		*dropped = true;
		line = series_cache_add(&in->l->cache, &s->parser,
		    CACHED_DROPPED, &had_id);
		return line == NULL ? err_set(err, ERR_NOMEM,
		    "out of memory for scrape cache") : 0;
	}
	if (check_names(in->conf, ls, err) == -1)
		return -1;
	if (check_limits(in->conf, ls, err) == -1) {
		metrics_inc(s->m.label_limit_hit);
		return -1;
	}
	if (!store)
		return 0;
	line = series_cache_add(&in->l->cache, &s->parser, CACHED_SAMPLE,
	    &had_id);
	if (line == NULL)
		return err_set(err, ERR_NOMEM,
		    "out of memory for scrape cache");
	if (!had_id || line->id == SERIES_CACHE_NONE) {
		uint32_t id = appender_id_take(&s->appender);

		if (id == 0)
			return err_set(err, ERR_LIMIT,
			    "too many series in one scrape worker");
		line->id = id;
	}
	line->labels_hash = labels_hash(ls);
	*line_out = line;
	if (appender_is_declared(&s->appender, line->id))
		return 0;
	return appender_declare(&s->appender, line->id, ls, err);
}

/* Is the sample at t to be stored, as far as we can tell here? */
static bool
admit(struct ingest *in, int64_t t)
{
	if (in->conf->sample_limit != 0 &&
	    ++in->n_limit > in->conf->sample_limit) {
		in->over_limit = true;
		return false;
	}
	if (t > in->max_ms) {
		in->n_out_of_bounds++;
		return false;
	}
	return true;
}

static int
take_sample(struct ingest *in, struct cached_line *line, struct err *err)
{
	struct loop *l = in->l;
	struct expo_parser *p = &in->s->parser;
	bool own_time = p->has_ts && in->conf->honor_timestamps;
	int64_t t = own_time ? p->ts_ms : in->def_ms;
	bool is_new = line == NULL, dropped, store;

	in->res->total++;
	if (!is_new && line->kind == CACHED_DROPPED)
		return 0;
	if (!is_new && l->cache.again && !own_time) {
		in->n_duplicates++;
		in->res->added++;
		return 0;
	}
	if (is_new) {
		/* relabelling comes before the limits see the sample */
		store = in->conf->sample_limit == 0 ||
		    in->n_limit < in->conf->sample_limit;
		store = store && t <= in->max_ms;
		if (new_series(in, store, &line, &dropped, err) == -1)
			return -1;
		if (dropped)
			return 0;
	}
	in->res->added++;
	if (!admit(in, t))
		return 0;
	if (!is_new && !appender_is_declared(&in->s->appender, line->id) &&
	    declare_line(l, line, err) == -1)
		return -1;
	if (!batch_add(in->b, line->id, t, p->value)) {
		if (in->b->failed)
			return err_set(err, ERR_NOMEM,
			    "out of memory for samples");
		in->n_out_of_bounds++;
		return 0;
	}
	if (!own_time || in->conf->track_timestamps_staleness)
		series_cache_track(&l->cache, line);
	in->res->series_added += is_new && !in->over_limit;
	return 0;
}

struct marking {
	struct loop	*l;
	struct batch	*b;
};

static void
mark_stale(void *arg, struct cached_line *line)
{
	struct marking *m = arg;
	struct err err = ERR_INIT;

	if (line->id == SERIES_CACHE_NONE)
		return;
	if (!appender_is_declared(&m->l->s->appender, line->id) &&
	    declare_line(m->l, line, &err) == -1)
		return;
	(void)batch_add(m->b, line->id, m->b->base_ms,
	    double_from_bits(STALE_NAN_BITS));
}

static void
give_id(void *arg, struct cached_line *line)
{
	struct loop *l = arg;

	if (line->kind == CACHED_SAMPLE && line->id != SERIES_CACHE_NONE)
		appender_id_give(&l->s->appender, line->id);
}

static void
end_iteration(struct loop *l, struct batch *b, bool flush)
{
	struct marking m = { l, b };

	series_cache_vanished(&l->cache, mark_stale, &m);
	if (series_cache_end(&l->cache, flush, give_id, l))
		metrics_inc(l->s->m.cache_flush);
}

void
ingest_nothing(struct loop *l, struct batch *b)
{
	series_cache_begin(&l->cache);
	end_iteration(l, b, false);
}

/* Media type without parameters: the part before ';', trimmed. */
static struct str
media_type(struct str content_type)
{
	const char *semi = content_type.n == 0 ? NULL :
	    memchr(content_type.p, ';', content_type.n);

	if (semi != NULL)
		content_type.n = (size_t)(semi - content_type.p);
	return str_trim(content_type);
}

static bool
type_is(struct str type, const char *name)
{
	return type.n == strlen(name) &&
	    strncasecmp(type.p, name, type.n) == 0;
}

/* type/subtype of token bytes. */
static bool
is_media_type(struct str type)
{
	size_t slashes = 0;

	for (size_t i = 0; i < type.n; i++) {
		unsigned char c = (unsigned char)type.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("()<>@,:\\\"[]?=", c))
			return false;
		slashes += c == '/';
	}
	return type.n > 0 && slashes <= 1 && type.p[0] != '/' &&
	    type.p[type.n - 1] != '/';
}

/*
 * Which parser. We never ask for protobuf, so what comes as such is as
 * unsupported as anything else.
 */
static int
choose_format(const struct scrape_conf *conf, struct str content_type,
    enum expo_format *out, struct err *err)
{
	struct str type = media_type(content_type);
	struct buf q;

	if (type_is(type, "text/plain")) {
		*out = EXPO_TEXT;
		return 0;
	}
	if (type_is(type, "application/openmetrics-text")) {
		*out = EXPO_OPENMETRICS;
		return 0;
	}
	switch (conf->fallback_protocol) {
	case SCRAPE_PROTOCOL_PROMETHEUS_TEXT_0_0_4:
	case SCRAPE_PROTOCOL_PROMETHEUS_TEXT_1_0_0:
		*out = EXPO_TEXT;
		return 0;
	case SCRAPE_PROTOCOL_OPENMETRICS_TEXT_0_0_1:
	case SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0:
		*out = EXPO_OPENMETRICS;
		return 0;
	default:
		break;
	}
	if (content_type.n == 0)
		return err_set(err, ERR_BAD_DATA, "non-compliant scrape "
		    "target sending blank Content-Type and no "
		    "fallback_scrape_protocol specified for target");
	buf_init(&q, 0);
	quote_add(&q, content_type);
	if (is_media_type(type))
		err_set(err, ERR_BAD_DATA, "received unsupported Content-Type "
		    "%.*s and no fallback_scrape_protocol specified for "
		    "target", STR_ARG(buf_str(&q)));
	else
		err_set(err, ERR_BAD_DATA, "cannot parse Content-Type %.*s "
		    "and no fallback_scrape_protocol for target",
		    STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return -1;
}

static int
read_samples(struct ingest *in, struct err *err)
{
	struct series_cache *c = &in->l->cache;
	struct cached_line *line;
	enum expo_entry e;

	series_cache_begin(c);
	while ((e = series_cache_next(c, &in->s->parser, &line, err)) >
	    EXPO_END)
		if (e == EXPO_SERIES && take_sample(in, line, err) == -1)
			return -1;
	if (e == EXPO_ERROR)
		return -1;
	if (in->over_limit) {
		metrics_inc(in->s->m.sample_limit);
		return err_set(err, ERR_LIMIT, "sample limit exceeded");
	}
	return 0;
}

static void
tell_refused(const struct ingest *in)
{
	struct str url = in->l->target->url;

	if (in->n_duplicates > 0) {
		metrics_add(in->s->m.duplicate, (double)in->n_duplicates);
		log_warn("Error on ingesting samples with different value "
		    "but same timestamp", F_STRN("target", url),
		    F_UINT("num_dropped", in->n_duplicates));
	}
	if (in->n_out_of_bounds > 0) {
		metrics_add(in->s->m.out_of_bounds,
		    (double)in->n_out_of_bounds);
		log_warn("Error on ingesting samples that are too old or are "
		    "too far into the future", F_STRN("target", url),
		    F_UINT("num_dropped", in->n_out_of_bounds));
	}
}

int
ingest_body(struct loop *l, struct batch *b, struct buf *body,
    struct str content_type, struct ingest_result *res, struct err *err)
{
	struct ingest in = { .l = l, .s = l->s, .conf = l->pool->conf, .b = b,
	    .res = res, .def_ms = b->base_ms,
	    .max_ms = wall_now_ms() + AHEAD_MS_MAX };
	enum expo_format format;
	int r = -1;

	memset(res, 0, sizeof(*res));
	if (body->n == 0) {
		ingest_nothing(l, b);
		return 0;
	}
	if (choose_format(in.conf, content_type, &format, err) == 0) {
		/* the client leaves one byte behind the body for this */
		body->p[body->n] = '\n';
		expo_parser_start(&l->s->parser, format, buf_str(body),
		    l->s->opt.type_and_unit_labels ?
		    EXPO_TYPE_AND_UNIT_LABELS : 0);
		r = read_samples(&in, err);
		tell_refused(&in);
	}
	if (r == -1) {
		b->n = 0;
		b->own_times = b->failed = false;
	}
	end_iteration(l, b, r == 0);
	/* what it knows of its series is the memory that is missing */
	if (r == -1 && err->kind == ERR_NOMEM)
		series_cache_drop(&l->cache, give_id, l);
	return r;
}
