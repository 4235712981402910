/* SPDX-License-Identifier: ISC */
/*
 * Selectors, and the lists of labels in their likeness: grouping clauses and
 * label sets of series descriptions.
 */

#include "common/promql/parse_state.h"

static const struct promql_parse_ctx ctx_matcher = {
	.where = "label matching", .expected = "identifier or \"}\"" };
static const struct promql_parse_ctx ctx_matcher_op = {
	.where = "label matching", .expected = "label matching operator" };
static const struct promql_parse_ctx ctx_matcher_value = {
	.where = "label matching", .expected = "string" };
static const struct promql_parse_ctx ctx_matcher_end = {
	.where = "label matching", .expected = "\",\" or \"}\"" };
static const struct promql_parse_ctx ctx_group_open = {
	.where = "grouping opts", .expected = "\"(\"" };
static const struct promql_parse_ctx ctx_group_label = {
	.where = "grouping opts", .expected = "label" };
static const struct promql_parse_ctx ctx_group_end = {
	.where = "grouping opts", .expected = "\",\" or \")\"" };
static const struct promql_parse_ctx ctx_set = {
	.where = "label set", .expected = "identifier or \"}\"" };
static const struct promql_parse_ctx ctx_set_eql = {
	.where = "label set", .expected = "\"=\"" };
static const struct promql_parse_ctx ctx_set_value = {
	.where = "label set", .expected = "string" };
static const struct promql_parse_ctx ctx_set_end = {
	.where = "label set", .expected = "\",\" or \"}\"" };

bool
promql_is_metric_name(const struct promql_token *t)
{
	switch (t->tok) {
	case TOK_IDENTIFIER:
	case TOK_METRIC_IDENTIFIER:
	case TOK_AGG:
	case TOK_BY:
	case TOK_WITHOUT:
	case TOK_OFFSET:
	case TOK_FILL:
	case TOK_FILL_LEFT:
	case TOK_FILL_RIGHT:
	case TOK_ANCHORED:
	case TOK_SMOOTHED:
	case TOK_START:
	case TOK_END:
	case TOK_STEP:
	case TOK_RANGE:
	case TOK_MAX_OF:
	case TOK_MIN_OF:
		return true;
	case TOK_OP:
		return promql_op_is_set((enum promql_op)t->op);
	default:
		return false;
	}
}

bool
promql_is_label_name(const struct promql_token *t)
{
	switch (t->tok) {
	case TOK_WITHOUT:
		return false;
	case TOK_BOOL:
	case TOK_ON:
	case TOK_IGNORING:
	case TOK_GROUP_LEFT:
	case TOK_GROUP_RIGHT:
		return true;
	case TOK_OP:
		return promql_op_is_set((enum promql_op)t->op) ||
		    t->op == PROMQL_OP_ATAN2;
	default:
		return promql_is_metric_name(t);
	}
}

/* A syntax error worded by ctx. */
static int
unexpected(struct promql_parser *p, const struct promql_parse_ctx *ctx)
{
	p->ctx = *ctx;
	promql_syntax_error(p);
	return -1;
}

/* --- matchers --- */

struct matchers {
	struct matcher			*v;
	size_t				 n;
	size_t				 cap;
	struct promql_matcher_list	*link;	/* sees v and n for clean-up */
};

static int
add_matcher(struct promql_parser *p, struct matchers *ms,
    enum matcher_type type, struct str name, struct str value,
    struct promql_pos pos)
{
	struct err err = ERR_INIT;

	if (promql_push(p, &ms->v, ms->n, &ms->cap, sizeof(*ms->v)) == -1)
		return -1;
	ms->link->m = ms->v;
	if (matcher_init(&ms->v[ms->n], type, name, value, &err) == -1) {
		if (err.kind == ERR_NOMEM) {
			promql_no_memory(p);
			return -1;
		}
		promql_error(p, pos, "%s", err.text);
		return 0;
	}
	ms->link->n = ++ms->n;
	return 0;
}

static bool
matcher_op(const struct promql_token *t, enum matcher_type *out)
{
	if (t->tok == TOK_EQL)
		*out = MATCH_EQUAL;
	else if (t->tok == TOK_OP && t->op == PROMQL_OP_NEQ)
		*out = MATCH_NOT_EQUAL;
	else if (t->tok == TOK_EQL_REGEX)
		*out = MATCH_REGEXP;
	else if (t->tok == TOK_NEQ_REGEX)
		*out = MATCH_NOT_REGEXP;
	else
		return false;
	return true;
}

/* name op "value", "name" op "value", or "metric name" alone. */
static int
parse_matcher(struct promql_parser *p, struct matchers *ms)
{
	struct promql_token name, value;
	enum matcher_type type;
	struct promql_pos pos;
	struct str text;
	bool quoted;

	quoted = promql_peek_is(p, TOK_STRING);
	if (!quoted && !promql_peek_is(p, TOK_IDENTIFIER))
		return unexpected(p, &ctx_matcher);
	name = promql_take(p);
	text = quoted ? promql_unquote(p, &name) : name.text;
	if (!matcher_op(promql_peek(p), &type)) {
		if (!quoted)
			return unexpected(p, &ctx_matcher_op);
		return add_matcher(p, ms, MATCH_EQUAL,
		    STR_LIT(LABEL_METRIC_NAME), text,
		    promql_token_pos(&name));
	}
	promql_take(p);
	if (!promql_peek_is(p, TOK_STRING))
		return unexpected(p, &ctx_matcher_value);
	value = promql_take(p);
	pos = promql_pos_merge(promql_token_pos(&name),
	    promql_token_pos(&value));
	return add_matcher(p, ms, type, text, promql_unquote(p, &value),
	    pos);
}

/* { matcher, … } */
static int
parse_matchers(struct promql_parser *p, struct matchers *ms)
{
	promql_take(p);
	while (!promql_peek_is(p, TOK_RIGHT_BRACE)) {
		if (parse_matcher(p, ms) == -1)
			return -1;
		if (promql_peek_is(p, TOK_COMMA))
			promql_take(p);
		else if (!promql_peek_is(p, TOK_RIGHT_BRACE))
			return unexpected(p, &ctx_matcher_end);
	}
	promql_take(p);
	return 0;
}

struct promql_expr *
promql_parse_vector(struct promql_parser *p, const struct promql_token *name)
{
	struct matchers ms = { 0 };
	struct promql_expr *e;
	struct promql_pos pos;

	ms.link = arena_zalloc(p->a, sizeof(*ms.link));
	if (ms.link == NULL)
		return promql_no_memory(p);
	ms.link->next = p->matchers;
	p->matchers = ms.link;
	if (name != NULL)
		pos = promql_token_pos(name);
	else
		pos = promql_token_pos(promql_peek(p));
	if (promql_peek_is(p, TOK_LEFT_BRACE)) {
		if (parse_matchers(p, &ms) == -1)
			return NULL;
		pos.end = p->closing;
	}
	e = promql_node(p, PROMQL_VECTOR, pos);
	if (e == NULL)
		return NULL;
	e->vector.name = STR_EMPTY;
	if (name != NULL) {
		e->vector.name = arena_str(p->a, name->text);
		if (e->vector.name.p == NULL)
			return promql_no_memory(p);
		if (add_matcher(p, &ms, MATCH_EQUAL,
		    STR_LIT(LABEL_METRIC_NAME), name->text, pos) == -1)
			return NULL;
	}
	e->vector.matchers = ms.v;
	e->vector.n_matchers = ms.n;
	return e;
}

/* --- grouping clauses --- */

static int
parse_group_label(struct promql_parser *p, struct promql_strs *out,
    size_t *cap)
{
	struct promql_token t;
	struct str text;

	if (promql_peek_is(p, TOK_STRING)) {
		t = promql_take(p);
		text = promql_unquote(p, &t);
	} else if (promql_is_label_name(promql_peek(p))) {
		t = promql_take(p);
		text = arena_str(p->a, t.text);
	} else
		return unexpected(p, &ctx_group_label);
	if (!label_name_is_valid(text))
		promql_error_quoted(p, promql_token_pos(&t),
		    "invalid label name for grouping: ", text, "");
	if (text.p == NULL ||
	    promql_push(p, &out->v, out->n, cap, sizeof(*out->v)) == -1) {
		promql_no_memory(p);
		return -1;
	}
	out->v[out->n++] = text;
	return 0;
}

int
promql_parse_grouping(struct promql_parser *p, struct promql_strs *out)
{
	size_t cap = 0;

	*out = (struct promql_strs){ 0 };
	if (!promql_peek_is(p, TOK_LEFT_PAREN))
		return unexpected(p, &ctx_group_open);
	promql_take(p);
	while (!promql_peek_is(p, TOK_RIGHT_PAREN)) {
		if (parse_group_label(p, out, &cap) == -1)
			return -1;
		if (promql_peek_is(p, TOK_COMMA))
			promql_take(p);
		else if (!promql_peek_is(p, TOK_RIGHT_PAREN))
			return unexpected(p, &ctx_group_end);
	}
	promql_take(p);
	return 0;
}

/* --- label sets --- */

/* Sets or replaces; labels are sorted when all are there. */
static int
add_label(struct promql_parser *p, struct labels_builder *b, struct str name,
    struct str value)
{
	name = arena_str(p->a, name);
	value = arena_str(p->a, value);
	if (name.p == NULL || value.p == NULL) {
		promql_no_memory(p);
		return -1;
	}
	labels_builder_set(b, name, value);
	return 0;
}

static int
parse_label(struct promql_parser *p, struct labels_builder *b)
{
	struct promql_token name, value;
	struct str text;
	bool quoted = promql_peek_is(p, TOK_STRING);

	if (!quoted && !promql_peek_is(p, TOK_IDENTIFIER))
		return unexpected(p, &ctx_set);
	name = promql_take(p);
	text = quoted ? promql_unquote(p, &name) : name.text;
	if (!promql_peek_is(p, TOK_EQL)) {
		if (!quoted)
			return unexpected(p, &ctx_set_eql);
		return add_label(p, b, STR_LIT(LABEL_METRIC_NAME), text);
	}
	promql_take(p);
	if (!promql_peek_is(p, TOK_STRING))
		return unexpected(p, &ctx_set_value);
	value = promql_take(p);
	return add_label(p, b, text, promql_unquote(p, &value));
}

static int
parse_labels(struct promql_parser *p, struct labels_builder *b)
{
	struct promql_token name = { 0 };

	if (promql_is_metric_name(promql_peek(p)))
		name = promql_take(p);
	if (promql_peek_is(p, TOK_LEFT_BRACE)) {
		promql_take(p);
		while (!promql_peek_is(p, TOK_RIGHT_BRACE)) {
			if (parse_label(p, b) == -1)
				return -1;
			if (promql_peek_is(p, TOK_COMMA))
				promql_take(p);
			else if (!promql_peek_is(p, TOK_RIGHT_BRACE))
				return unexpected(p, &ctx_set_end);
		}
		promql_take(p);
	}
	if (name.text.n == 0)
		return 0;
	return add_label(p, b, STR_LIT(LABEL_METRIC_NAME), name.text);
}

int
promql_parse_label_set(struct promql_parser *p, struct labels *out)
{
	struct labels_builder b;
	int rc;

	labels_builder_init(&b);
	rc = parse_labels(p, &b);
	if (rc == 0)
		*out = labels_copy(p->a, labels_builder_labels(&b));
	if (rc == 0 && (b.failed || (out->n != 0 && out->l == NULL))) {
		promql_no_memory(p);
		rc = -1;
	}
	labels_builder_clear(&b);
	return rc;
}
