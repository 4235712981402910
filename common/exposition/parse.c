/* SPDX-License-Identifier: ISC */
/*
 * The grammar over the tokens of lexer.c, for both text formats; what
 * differs between them is the rest of a sample's line, in parse_text.c and
 * parse_openmetrics.c. A line that the fast path (predict.c) does not take
 * comes here, so this is the one place that says what is right.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/float_text.h"
#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/base/vec.h"
#include "common/exposition/lexer.h"

/* Errors show at most so much of the body; struct err holds less. */
#define QUOTED_BYTES_MAX 2048

static const char *const type_names[METRIC_TYPES] = {
	"unknown", "counter", "gauge", "histogram", "gaugehistogram",
	"summary", "info", "stateset"
};

const char *
metric_type_name(enum metric_type type)
{
	return (unsigned int)type < METRIC_TYPES ? type_names[type] :
	    "unknown";
}

void
expo_parser_init(struct expo_parser *p)
{
	memset(p, 0, sizeof(*p));
}

void
expo_parser_clear(struct expo_parser *p)
{
	free(p->spans);
	free(p->ex_spans);
	memset(p, 0, sizeof(*p));
}

void
expo_parser_start(struct expo_parser *p, enum expo_format format,
    struct str body, int options)
{
	p->format = format;
	p->b = body.p;
	/* the text format's last line may lack its newline */
	p->n = format == EXPO_TEXT ? body.n + 1 : body.n;
	p->i = p->token = p->start = 0;
	p->state = STATE_INIT;
	p->type = METRIC_UNKNOWN;
	p->unit = p->name = p->text = p->series = STR_EMPTY;
	p->n_spans = p->n_ex_spans = 0;
	p->has_mname = p->has_ts = p->ex_present = false;
	p->type_and_unit_labels = (options & EXPO_TYPE_AND_UNIT_LABELS) != 0;
}

static struct str
slice(const struct expo_parser *p, size_t from, size_t to)
{
	return str_from(p->b + from, to - from);
}

/* "…", cut when long. The buffer is the caller's to clear. */
static void
quote(struct buf *b, struct str s)
{
	if (s.n > QUOTED_BYTES_MAX)
		s.n = QUOTED_BYTES_MAX;
	quote_add(b, s);
}

/* "what while parsing: "…"", the quote ending at `to`. */
static int
fail_parsing(struct expo_parser *p, const char *what, size_t to,
    struct err *err)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, what);
	buf_add_c(&b, " while parsing: ");
	quote(&b, slice(p, p->start, to));
	err_set(err, ERR_BAD_DATA, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return -1;
}

/* "before "quoted"after" */
static int
fail_quoted(const char *before, struct str quoted, const char *after,
    struct err *err)
{
	struct buf b;

	buf_init(&b, 0);
	quote(&b, quoted);
	err_set(err, ERR_BAD_DATA, "%s%.*s%s", before, STR_ARG(buf_str(&b)),
	    after);
	buf_clear(&b);
	return -1;
}

int
expo_fail_token(struct expo_parser *p, const char *expected,
    enum expo_token got, struct err *err)
{
	size_t end = p->i + 1 < p->n ? p->i + 1 : p->n;
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, expected);
	buf_add_c(&b, ", got ");
	quote(&b, slice(p, p->token, end));
	buf_printf(&b, " (\"%s\")", expo_token_name(got));
	buf_add_byte(&b, 0);
	if (buf_failed(&b))
		err_set(err, ERR_NOMEM, "%s", expected);
	else
		fail_parsing(p, b.p, end, err);
	buf_clear(&b);
	return -1;
}

/* A number that Go would not read; text says why. */
static int
fail_float(struct expo_parser *p, struct str text, bool range,
    struct err *err)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, "strconv.ParseFloat: parsing ");
	quote(&b, text);
	buf_add_c(&b, range ? ": value out of range" : ": invalid syntax");
	buf_add_byte(&b, 0);
	if (buf_failed(&b))
		err_set(err, ERR_NOMEM, "invalid number");
	else
		fail_parsing(p, b.p, p->i, err);
	buf_clear(&b);
	return -1;
}

int
expo_parse_float(struct expo_parser *p, struct str text, double *out,
    struct err *err)
{
	double v = 0;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == 'p' || text.p[i] == 'P' || text.p[i] == '_')
			return fail_parsing(p,
			    "unsupported character in float", p->i, err);
	if (!float_parse(text.p, text.n, &v))
		return fail_float(p, text, isinf(v), err);
	if (isnan(v))
		v = double_from_bits(NORMAL_NAN_BITS);
	*out = v;
	return 0;
}

static int
add_span(struct expo_parser *p, bool exemplar, struct expo_span s,
    struct err *err)
{
	struct expo_span **v = exemplar ? &p->ex_spans : &p->spans;
	size_t *n = exemplar ? &p->n_ex_spans : &p->n_spans;
	size_t *cap = exemplar ? &p->cap_ex_spans : &p->cap_spans;

	if (vec_grow(v, cap, *n + 1, sizeof(**v)) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	(*v)[(*n)++] = s;
	return 0;
}

/* A quoted string followed by a comma or a brace names the metric. */
static int
set_mname(struct expo_parser *p, bool exemplar, struct expo_span name,
    enum expo_token t, struct err *err)
{
	if (exemplar)
		return expo_fail_token(p, "expected label name", t, err);
	if (p->has_mname)
		return fail_parsing(p, "metric name already set", p->i, err);
	p->has_mname = true;
	p->mname = name.name + 1;
	p->mname_end = name.name_end - 1;
	return 0;
}

/* ="value" after a label's name. */
static int
parse_label_value(struct expo_parser *p, enum expo_token t,
    struct expo_span *s, struct err *err)
{
	struct str text;

	if (t != TOKEN_EQUAL)
		return expo_fail_token(p, "expected equal", t, err);
	if ((t = expo_token(p)) != TOKEN_LVALUE)
		return expo_fail_token(p, "expected label value", t, err);
	text = slice(p, p->token, p->i);
	if (!utf8_valid(text))
		return fail_quoted("invalid UTF-8 label value: ", text, "",
		    err);
	s->value = (uint32_t)p->token + 1;
	s->value_end = (uint32_t)p->i - 1;
	return 0;
}

/*
 * What stands between braces, up to the closing one. The Prometheus format
 * takes labels without a comma between them, OpenMetrics does not.
 */
int
expo_parse_labels(struct expo_parser *p, bool exemplar, struct err *err)
{
	enum expo_token t = expo_token(p);
	struct expo_span s = { 0 };
	bool quoted;

	for (;;) {
		if (t == TOKEN_BRACE_CLOSE)
			return 0;
		if (t != TOKEN_LNAME && t != TOKEN_QSTRING)
			return expo_fail_token(p, "expected label name", t,
			    err);
		quoted = t == TOKEN_QSTRING;
		s.name = (uint32_t)p->token;
		s.name_end = (uint32_t)p->i;
		t = expo_token(p);
		if (quoted && (t == TOKEN_COMMA || t == TOKEN_BRACE_CLOSE)) {
			if (set_mname(p, exemplar, s, t, err) == -1)
				return -1;
			if (t == TOKEN_COMMA)
				t = expo_token(p);
			continue;
		}
		if (quoted) {
			s.name++;
			s.name_end--;
		}
		if (parse_label_value(p, t, &s, err) == -1 ||
		    add_span(p, exemplar, s, err) == -1)
			return -1;
		t = expo_token(p);
		if (t == TOKEN_COMMA)
			t = expo_token(p);
		else if (t != TOKEN_BRACE_CLOSE &&
		    p->format == EXPO_OPENMETRICS)
			return expo_fail_token(p,
			    "expected comma or brace close", t, err);
	}
}

/* Types each format knows, by its own word for the unknown one. */
static int
parse_type(struct expo_parser *p, struct err *err)
{
	bool om = p->format == EXPO_OPENMETRICS;

	for (int t = 0; t < METRIC_TYPES; t++) {
		const char *word = t == METRIC_UNKNOWN && !om ? "untyped" :
		    type_names[t];

		if (!om && (t == METRIC_GAUGEHISTOGRAM || t == METRIC_INFO ||
		    t == METRIC_STATESET))
			continue;
		if (str_eq_c(p->text, word)) {
			p->type = (enum metric_type)t;
			return 0;
		}
	}
	return fail_quoted("invalid metric type ", p->text, "", err);
}

static int
parse_unit(struct expo_parser *p, struct err *err)
{
	struct buf b;

	p->unit = p->text;
	if (p->unit.n == 0 || (p->name.n > p->unit.n &&
	    str_has_suffix(p->name, p->unit) &&
	    p->name.p[p->name.n - p->unit.n - 1] == '_'))
		return 0;
	buf_init(&b, 0);
	buf_add_c(&b, "unit ");
	quote(&b, p->unit);
	buf_add_c(&b, " not a suffix of metric ");
	quote(&b, p->name);
	err_set(err, ERR_BAD_DATA, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return -1;
}

/* Family name and text of a metadata line, its newline included. */
static int
parse_metadata_text(struct expo_parser *p, enum expo_token keyword,
    struct err *err)
{
	const char *word = expo_token_name(keyword);
	bool om = p->format == EXPO_OPENMETRICS;
	char expected[64];
	enum expo_token t = expo_token(p);

	if (t != TOKEN_MNAME) {
		snprintf(expected, sizeof(expected),
		    "expected metric name after %s", word);
		return expo_fail_token(p, expected, t, err);
	}
	p->name = slice(p, p->token, p->i);
	if (p->name.p[0] == '"')
		p->name = str_from(p->name.p + 1, p->name.n - 2);
	t = expo_token(p);
	if (t != TOKEN_TEXT)
		return om ? err_set(err, ERR_BAD_DATA, "expected text in %s",
		    word) : err_set(err, ERR_BAD_DATA,
		    "expected text in %s, got %s", word, expo_token_name(t));
	p->text = slice(p, p->token, p->i - (om ? 1 : 0));
	p->text = p->text.n > 1 ?
	    str_from(p->text.p + 1, p->text.n - 1) : STR_EMPTY;
	return 0;
}

enum expo_entry
expo_parse_metadata(struct expo_parser *p, enum expo_token keyword,
    struct err *err)
{
	enum expo_token t;

	if (parse_metadata_text(p, keyword, err) == -1)
		return EXPO_ERROR;
	if (keyword == TOKEN_TYPE && parse_type(p, err) == -1)
		return EXPO_ERROR;
	if (keyword == TOKEN_UNIT && parse_unit(p, err) == -1)
		return EXPO_ERROR;
	if (keyword == TOKEN_HELP && !utf8_valid(p->text)) {
		fail_quoted("help text ", p->text,
		    " is not a valid utf8 string", err);
		return EXPO_ERROR;
	}
	if (p->format == EXPO_TEXT &&
	    (t = expo_token(p)) != TOKEN_LINEBREAK) {
		expo_fail_token(p, "linebreak expected after metadata", t,
		    err);
		return EXPO_ERROR;
	}
	return keyword == TOKEN_HELP ? EXPO_HELP :
	    keyword == TOKEN_TYPE ? EXPO_TYPE : EXPO_UNIT;
}

/* A sample's line from its first token (name or brace) on. */
static enum expo_entry
parse_series(struct expo_parser *p, enum expo_token t, struct err *err)
{
	int r;

	if (t == TOKEN_MNAME) {
		p->has_mname = true;
		p->mname = (uint32_t)p->token;
		p->mname_end = (uint32_t)p->i;
		p->series = slice(p, p->start, p->i);
		t = expo_token(p);
	}
	if (t == TOKEN_BRACE_OPEN) {
		if (expo_parse_labels(p, false, err) == -1)
			return EXPO_ERROR;
		p->series = slice(p, p->start, p->i);
		t = expo_token(p);
	}
	if (!p->has_mname) {
		fail_parsing(p, "metric name not set", p->i, err);
		return EXPO_ERROR;
	}
	r = p->format == EXPO_TEXT ? expo_suffix_text(p, t, err) :
	    expo_suffix_openmetrics(p, t, err);
	return r == -1 ? EXPO_ERROR : EXPO_SERIES;
}

static enum expo_entry
parse_comment(struct expo_parser *p, struct err *err)
{
	enum expo_token t;

	p->text = slice(p, p->token, p->i);
	if ((t = expo_token(p)) == TOKEN_LINEBREAK)
		return EXPO_COMMENT;
	expo_fail_token(p, "linebreak expected after comment", t, err);
	return EXPO_ERROR;
}

/* The end of an OpenMetrics body must be said, and be the end. */
static enum expo_entry
parse_om_end(struct expo_parser *p, enum expo_token t, struct err *err)
{
	if (t == TOKEN_EOF)
		err_set(err, ERR_BAD_DATA, "data does not end with # EOF");
	else if (expo_token(p) == TOKEN_EOF)
		return EXPO_END;
	else
		err_set(err, ERR_BAD_DATA, "unexpected data after # EOF");
	return EXPO_ERROR;
}

enum expo_entry
expo_next(struct expo_parser *p, struct err *err)
{
	enum expo_token t;

	do {
		p->start = p->i;
		t = expo_token(p);
	} while (t == TOKEN_LINEBREAK && p->format == EXPO_TEXT);
	p->n_spans = p->n_ex_spans = 0;
	p->has_mname = p->ex_present = false;

	switch (t) {
	case TOKEN_MNAME:
	case TOKEN_BRACE_OPEN:
		return parse_series(p, t, err);
	case TOKEN_HELP:
	case TOKEN_TYPE:
	case TOKEN_UNIT:
		return expo_parse_metadata(p, t, err);
	case TOKEN_COMMENT:
		return parse_comment(p, err);
	case TOKEN_EOFWORD:
		return parse_om_end(p, t, err);
	case TOKEN_EOF:
		return p->format == EXPO_TEXT ? EXPO_END :
		    parse_om_end(p, t, err);
	default:
		expo_fail_token(p, "expected a valid start token", t, err);
		return EXPO_ERROR;
	}
}

struct str
expo_line(const struct expo_parser *p)
{
	return slice(p, p->start, p->i);
}
