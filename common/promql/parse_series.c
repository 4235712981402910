/* SPDX-License-Identifier: ISC */
/*
 * Series descriptions of the test language: a label set, then values with
 * repetitions, holes, stale markers and histogram literals.
 */

#include <math.h>

#include "common/base/bytes.h"
#include "common/promql/parse_state.h"

/* Most steps of one description. */
#define VALUES_MAX	1000000

/*
 * Inside a value that has begun; between values an error has no context, as
 * there the reference takes the description for complete.
 */
static const struct promql_parse_ctx ctx_none = { .where = NULL };
static const struct promql_parse_ctx ctx_values = {
	.where = "series values" };
static const struct promql_parse_ctx ctx_number = {
	.where = "series values", .expected = "number or \"stale\"" };
static const struct promql_parse_ctx ctx_hist = {
	.where = "histogram description",
	.expected = "histogram description key, e.g. buckets:[5 10 7]" };

struct series {
	struct promql_series_value	*v;
	size_t				 n;
	size_t				 cap;
};

static int
add_value(struct promql_parser *p, struct series *s,
    const struct promql_series_value *v)
{
	if (s->n >= VALUES_MAX) {
		promql_error(p, promql_token_pos(&p->tok),
		    "too many series values (limit %d)", VALUES_MAX);
		p->stopped = true;
		return -1;
	}
	if (promql_push(p, &s->v, s->n, &s->cap, sizeof(*s->v)) == -1)
		return -1;
	s->v[s->n++] = *v;
	return 0;
}

/* An unsigned decimal: repetitions and histogram integers. */
static int
parse_uint(struct promql_parser *p, uint64_t *out)
{
	struct promql_token t;
	uint64_t v = 0;
	size_t i;

	if (!promql_peek_is(p, TOK_NUMBER)) {
		promql_syntax_error(p);
		return -1;
	}
	t = promql_take(p);
	for (i = 0; i < t.text.n; i++) {
		char c = t.text.p[i];
		bool digit = c >= '0' && c <= '9';

		if (!digit || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(c - '0'), &v)) {
			promql_error_quoted(p, promql_token_pos(&t),
			    "invalid repetition in series values: "
			    "strconv.ParseUint: parsing ", t.text,
			    digit ? ": value out of range" :
			    ": invalid syntax");
			*out = 0;
			return 0;
		}
	}
	*out = v;
	return 0;
}

static int
parse_int32(struct promql_parser *p, int32_t *out)
{
	bool negative = false;
	uint64_t v;

	if (promql_peek_is_op(p, PROMQL_OP_SUB)) {
		promql_take(p);
		negative = true;
	}
	if (parse_uint(p, &v) == -1)
		return -1;
	/* Cut to 32 bits, as the reference does. */
	*out = (int32_t)(uint32_t)(negative ? -v : v);
	return 0;
}

static bool
at_sign(struct promql_parser *p)
{
	return promql_peek_is_op(p, PROMQL_OP_ADD) ||
	    promql_peek_is_op(p, PROMQL_OP_SUB);
}

/* A number with an optional sign. */
static int
parse_number(struct promql_parser *p, bool may_be_signed, double *out)
{
	struct promql_token t;
	bool negative = false;

	if (may_be_signed && at_sign(p))
		negative = promql_take(p).op == PROMQL_OP_SUB;
	if (!promql_at_number(p)) {
		promql_syntax_error(p);
		return -1;
	}
	t = promql_take(p);
	*out = promql_number_value(p, &t);
	if (negative)
		*out = -*out;
	return 0;
}

/* --- histogram literals --- */

/* [1 2 3] */
static int
parse_buckets(struct promql_parser *p, double **v_out, size_t *n_out)
{
	size_t n = 0, cap = 0;
	double *v = NULL, x;

	if (!promql_expect(p, TOK_LEFT_BRACKET))
		return -1;
	for (;;) {
		if (parse_number(p, true, &x) == -1 ||
		    promql_push(p, &v, n, &cap, sizeof(*v)) == -1)
			return -1;
		v[n++] = x;
		if (promql_peek_is(p, TOK_SPACE))
			promql_take(p);
		else if (!promql_peek_is(p, TOK_RIGHT_BRACKET)) {
			promql_syntax_error(p);
			return -1;
		}
		if (promql_peek_is(p, TOK_RIGHT_BRACKET))
			break;
	}
	promql_take(p);
	*v_out = v;
	*n_out = n;
	return 0;
}

static int
parse_hint(struct promql_parser *p, struct promql_histogram_text *h)
{
	switch (promql_peek(p)->tok) {
	case TOK_HINT_UNKNOWN:
		h->hint = PROMQL_RESET_UNKNOWN;
		break;
	case TOK_HINT_RESET:
		h->hint = PROMQL_RESET_YES;
		break;
	case TOK_HINT_NOT_RESET:
		h->hint = PROMQL_RESET_NO;
		break;
	case TOK_HINT_GAUGE:
		h->hint = PROMQL_RESET_GAUGE;
		break;
	default:
		promql_syntax_error(p);
		return -1;
	}
	promql_take(p);
	h->hint_set = true;
	return 0;
}

static int
parse_hist_value(struct promql_parser *p, enum promql_tok key,
    struct promql_histogram_text *h)
{
	switch (key) {
	case TOK_HIST_SCHEMA:
		return parse_int32(p, &h->schema);
	case TOK_HIST_OFFSET:
		return parse_int32(p, &h->pos_offset);
	case TOK_HIST_N_OFFSET:
		return parse_int32(p, &h->neg_offset);
	case TOK_HIST_SUM:
		return parse_number(p, true, &h->sum);
	case TOK_HIST_COUNT:
		return parse_number(p, true, &h->count);
	case TOK_HIST_Z_BUCKET:
		return parse_number(p, true, &h->zero_count);
	case TOK_HIST_Z_BUCKET_W:
		return parse_number(p, false, &h->zero_threshold);
	case TOK_HIST_BUCKETS:
		return parse_buckets(p, &h->pos, &h->n_pos);
	case TOK_HIST_N_BUCKETS:
		return parse_buckets(p, &h->neg, &h->n_neg);
	case TOK_HIST_CUSTOM_VALUES:
		return parse_buckets(p, &h->custom_values,
		    &h->n_custom_values);
	default:
		return parse_hint(p, h);
	}
}

/* key:value; a key that was there before is an error and not taken. */
static int
parse_hist_item(struct promql_parser *p, struct promql_histogram_text *h,
    unsigned *seen)
{
	struct promql_histogram_text other = { 0 }, *to = h;
	struct promql_token t = *promql_peek(p);
	unsigned bit;

	if (t.tok < TOK_HIST_SUM || t.tok > TOK_HIST_COUNTER_RESET_HINT) {
		promql_syntax_error(p);
		return -1;
	}
	promql_take(p);
	bit = 1u << (t.tok - TOK_HIST_SUM);
	if (!promql_expect(p, TOK_COLON))
		return -1;
	if (*seen & bit)
		to = &other;
	if (parse_hist_value(p, t.tok, to) == -1)
		return -1;
	if (*seen & bit)
		promql_error(p, (struct promql_pos){ 0, 0 },
		    "duplicate key \"%.*s\" in histogram", STR_ARG(t.text));
	*seen |= bit;
	return 0;
}

/* {{ key:value … }} */
static struct promql_histogram_text *
parse_hist(struct promql_parser *p)
{
	struct promql_histogram_text *h = arena_zalloc(p->a, sizeof(*h));
	unsigned seen = 0;

	if (h == NULL)
		return promql_no_memory(p);
	p->ctx = ctx_values;
	promql_take(p);
	if (promql_peek_is(p, TOK_SPACE)) {
		promql_take(p);
		if (!promql_expect(p, TOK_CLOSE_HIST))
			return NULL;
		p->ctx = ctx_none;
		return h;
	}
	while (!promql_peek_is(p, TOK_CLOSE_HIST)) {
		if (parse_hist_item(p, h, &seen) == -1)
			return NULL;
		p->ctx = ctx_hist;
		if (promql_peek_is(p, TOK_SPACE))
			promql_take(p);
		else if (!promql_peek_is(p, TOK_CLOSE_HIST)) {
			promql_syntax_error(p);
			return NULL;
		}
	}
	promql_take(p);
	p->ctx = ctx_none;
	return h;
}

static int
add_hists(struct promql_parser *p, struct series *s,
    struct promql_series_value v, uint64_t times)
{
	for (v.index = 0; v.index <= times; v.index++)
		if (add_value(p, s, &v) == -1)
			return -1;
	return 0;
}

/* {{…}}, {{…}}xn, {{…}}+{{…}}xn, {{…}}-{{…}}xn */
static int
parse_hist_values(struct promql_parser *p, struct series *s)
{
	struct promql_series_value v = { 0 };
	uint64_t times = 0;

	v.hist = parse_hist(p);
	if (v.hist == NULL)
		return -1;
	v.hint_set = v.hist->hint_set;
	if (at_sign(p)) {
		v.subtract = promql_take(p).op == PROMQL_OP_SUB;
		p->ctx = ctx_values;
		if (!promql_peek_is(p, TOK_OPEN_HIST)) {
			promql_syntax_error(p);
			return -1;
		}
		v.inc = parse_hist(p);
		if (v.inc == NULL)
			return -1;
		v.hint_set = v.inc->hint_set;
		p->ctx = ctx_values;
		if (!promql_peek_is(p, TOK_TIMES)) {
			promql_syntax_error(p);
			return -1;
		}
	}
	if (promql_peek_is(p, TOK_TIMES)) {
		promql_take(p);
		p->ctx = ctx_values;
		if (parse_uint(p, &times) == -1)
			return -1;
	}
	if (v.inc != NULL && times > 0 && v.hist->schema > v.inc->schema) {
		promql_error(p, promql_token_pos(&p->tok),
		    "error combining histograms: cannot merge from schema "
		    "%d to %d", v.inc->schema, v.hist->schema);
		return 0;
	}
	return add_hists(p, s, v, times);
}

/* --- floats --- */

/* _ or _xn */
static int
parse_blank(struct promql_parser *p, struct series *s)
{
	struct promql_series_value v = { .omitted = true };
	uint64_t times = 1;

	promql_take(p);
	if (promql_peek_is(p, TOK_TIMES)) {
		promql_take(p);
		p->ctx = ctx_values;
		if (parse_uint(p, &times) == -1)
			return -1;
	}
	for (; times > 0; times--)
		if (add_value(p, s, &v) == -1)
			return -1;
	return 0;
}

/* a, axn, a+bxn, a-bxn, stale: n further values follow the first. */
static int
parse_floats(struct promql_parser *p, struct series *s)
{
	struct promql_series_value v = { 0 };
	double step = 0;
	uint64_t times = 0, i;
	bool stepping = false;

	if (at_sign(p) || promql_at_number(p))
		p->ctx = ctx_values;
	if (promql_peek_is(p, TOK_IDENTIFIER)) {
		if (!str_eq_c(promql_peek(p)->text, "stale")) {
			p->ctx = ctx_number;
			promql_syntax_error(p);
			return -1;
		}
		promql_take(p);
		v.value = double_from_bits(STALE_NAN_BITS);
	} else if (parse_number(p, true, &v.value) == -1)
		return -1;
	if (at_sign(p)) {
		stepping = true;
		p->ctx = ctx_values;
		if (parse_number(p, true, &step) == -1)
			return -1;
		if (!promql_peek_is(p, TOK_TIMES)) {
			promql_syntax_error(p);
			return -1;
		}
	}
	if (promql_peek_is(p, TOK_TIMES)) {
		promql_take(p);
		p->ctx = ctx_values;
		if (parse_uint(p, &times) == -1)
			return -1;
	}
	for (i = 0; i <= times; i++) {
		if (add_value(p, s, &v) == -1)
			return -1;
		if (stepping)
			v.value += step;
	}
	return 0;
}

static int
parse_values(struct promql_parser *p, struct series *s)
{
	int rc;

	p->ctx = ctx_values;
	while (!promql_peek_is(p, TOK_EOF)) {
		if (!promql_expect(p, TOK_SPACE))
			return -1;
		p->ctx = ctx_none;
		switch (promql_peek(p)->tok) {
		case TOK_SPACE:
		case TOK_EOF:
			continue;
		case TOK_BLANK:
			rc = parse_blank(p, s);
			break;
		case TOK_OPEN_HIST:
			rc = parse_hist_values(p, s);
			break;
		default:
			rc = parse_floats(p, s);
			break;
		}
		if (rc == -1)
			return -1;
		p->ctx = ctx_none;
	}
	return 0;
}

int
promql_parse_series(struct arena *a, struct str input,
    struct promql_series_desc *out, struct promql_parse_errors *errs)
{
	struct promql_parser p;
	struct series s = { 0 };

	*out = (struct promql_series_desc){ 0 };
	promql_parser_init(&p, a, input, NULL, errs);
	p.lex.series = true;
	if (promql_parse_label_set(&p, &out->labels) == -1 ||
	    parse_values(&p, &s) == -1 || errs->n != 0)
		return -1;
	out->values = s.v;
	out->n_values = s.n;
	return 0;
}
