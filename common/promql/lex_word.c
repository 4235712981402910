/* SPDX-License-Identifier: ISC */
/* Words: operators, aggregators, keywords (all in any case), and names. */

#include "common/promql/lex.h"

/* The longest word of the tables below is count_values. */
#define WORD_MAX	16

struct word {
	const char	*text;
	uint8_t		 tok;
	uint8_t		 op;
	uint8_t		 agg;
};

static const struct word words[] = {
	{ "and", TOK_OP, PROMQL_OP_AND, 0 },
	{ "or", TOK_OP, PROMQL_OP_OR, 0 },
	{ "unless", TOK_OP, PROMQL_OP_UNLESS, 0 },
	{ "atan2", TOK_OP, PROMQL_OP_ATAN2, 0 },
	{ "sum", TOK_AGG, 0, PROMQL_AGG_SUM },
	{ "avg", TOK_AGG, 0, PROMQL_AGG_AVG },
	{ "count", TOK_AGG, 0, PROMQL_AGG_COUNT },
	{ "min", TOK_AGG, 0, PROMQL_AGG_MIN },
	{ "max", TOK_AGG, 0, PROMQL_AGG_MAX },
	{ "group", TOK_AGG, 0, PROMQL_AGG_GROUP },
	{ "stddev", TOK_AGG, 0, PROMQL_AGG_STDDEV },
	{ "stdvar", TOK_AGG, 0, PROMQL_AGG_STDVAR },
	{ "topk", TOK_AGG, 0, PROMQL_AGG_TOPK },
	{ "bottomk", TOK_AGG, 0, PROMQL_AGG_BOTTOMK },
	{ "count_values", TOK_AGG, 0, PROMQL_AGG_COUNT_VALUES },
	{ "quantile", TOK_AGG, 0, PROMQL_AGG_QUANTILE },
	{ "limitk", TOK_AGG, 0, PROMQL_AGG_LIMITK },
	{ "limit_ratio", TOK_AGG, 0, PROMQL_AGG_LIMIT_RATIO },
	{ "inf", TOK_NUMBER, 0, 0 },
	{ "nan", TOK_NUMBER, 0, 0 },
#define X(id, text) { text, TOK_##id, 0, 0 },
	PROMQL_KEYWORDS(X)
	PROMQL_PREPROCESSORS(X)
#undef X
};

static size_t
lower(struct str s, char out[WORD_MAX])
{
	size_t i;

	if (s.n >= WORD_MAX)
		return 0;
	for (i = 0; i < s.n; i++)
		out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ?
		    (char)(s.p[i] + 'a' - 'A') : s.p[i];
	return s.n;
}

static const struct word *
word_find(struct str s)
{
	char low[WORD_MAX];
	struct str key = { low, lower(s, low) };
	size_t i;

	if (key.n == 0)
		return NULL;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_c(key, words[i].text))
			return &words[i];
	return NULL;
}

/* fill, fill_left, fill_right are keywords only before a parenthesis. */
static bool
paren_follows(const struct promql_lexer *l)
{
	size_t i = l->pos;

	while (i < l->input.n && promql_rune_is_space(l->input.p[i]))
		i++;
	return i < l->input.n && l->input.p[i] == '(';
}

struct promql_token
promql_lex_word(struct promql_lexer *l)
{
	const struct word *w;
	struct promql_token t;
	struct str text;
	int32_t r;

	do
		r = promql_lex_rune(l);
	while (promql_rune_is_alnum(r) || r == ':');
	promql_lex_back(l);
	text = str_from(l->input.p + l->start, l->pos - l->start);
	w = word_find(text);
	if (w != NULL && (w->tok == TOK_FILL || w->tok == TOK_FILL_LEFT ||
	    w->tok == TOK_FILL_RIGHT) && !paren_follows(l))
		w = NULL;
	if (w != NULL) {
		t = promql_lex_emit(l, w->tok);
		t.op = w->op;
		t.agg = w->agg;
	} else
		t = promql_lex_emit(l, memchr(text.p, ':', text.n) == NULL ?
		    TOK_IDENTIFIER : TOK_METRIC_IDENTIFIER);
	l->mode = l->series && promql_lex_peek(l) != '{' ? LEX_VALUES :
	    LEX_STATEMENTS;
	return t;
}

bool
promql_lex_starts_duration_word(int32_t r)
{
	return r > 0 && r < 0x80 && strchr("sSrRmM", r) != NULL;
}

struct promql_token
promql_lex_duration_word(struct promql_lexer *l, bool *ok_out)
{
	const struct word *w;

	while (promql_rune_is_alpha(promql_lex_rune(l)))
		;
	promql_lex_back(l);
	w = word_find(str_from(l->input.p + l->start, l->pos - l->start));
	*ok_out = w != NULL && (w->tok == TOK_STEP || w->tok == TOK_RANGE ||
	    w->tok == TOK_MAX_OF || w->tok == TOK_MIN_OF);
	if (!*ok_out)
		return (struct promql_token){ .tok = TOK_ERROR };
	return promql_lex_emit(l, w->tok);
}
