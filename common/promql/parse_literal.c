/* SPDX-License-Identifier: ISC */
/* The values of numbers, durations and strings. */

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/utf8.h"
#include "common/promql/parse_state.h"

/* Longest number that is read; more digits than any float needs. */
#define NUMBER_MAX	1024

bool
promql_at_number(struct promql_parser *p)
{
	return promql_peek_is(p, TOK_NUMBER) ||
	    promql_peek_is(p, TOK_DURATION);
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/*
 * Go's rule for underscores: between digits only, where the prefix 0x counts
 * as one.
 */
static bool
underscores_ok(struct str s, bool is_hex)
{
	bool after_digit = is_hex, pending = false;
	size_t i;

	for (i = is_hex ? 2 : 0; i < s.n; i++) {
		bool digit = digit_value(s.p[i]) < (is_hex ? 16 : 10);

		if (s.p[i] == '_') {
			if (!after_digit)
				return false;
			pending = true;
			after_digit = false;
		} else {
			if (pending && !digit)
				return false;
			pending = false;
			after_digit = digit;
		}
	}
	return !pending;
}

/* An integer with Go's prefixes: 0x1f, 017. false when it is not one. */
static bool
parse_integer(const char *p, size_t n, int64_t *out)
{
	int base = 10;
	uint64_t v = 0;

	if (n > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
		n -= 2;
	} else if (n > 1 && p[0] == '0') {
		base = 8;
		p++;
		n--;
	}
	if (n == 0)
		return false;
	for (; n > 0; p++, n--) {
		int d = digit_value(*p);

		if (d >= base ||
		    __builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v) ||
		    v > INT64_MAX)
			return false;
	}
	*out = (int64_t)v;
	return true;
}

/* Whether text that is no number in full would be one but for its size. */
static bool
number_parse(struct str s, double *out, bool *range_out)
{
	char text[NUMBER_MAX];
	bool is_hex = s.n > 2 && s.p[0] == '0' &&
	    (s.p[1] == 'x' || s.p[1] == 'X');
	size_t i, n = 0;
	int64_t v;

	*range_out = false;
	if (s.n > sizeof(text) || !underscores_ok(s, is_hex))
		return false;
	for (i = 0; i < s.n; i++)
		if (s.p[i] != '_')
			text[n++] = s.p[i];
	if (parse_integer(text, n, &v)) {
		*out = (double)v;
		return true;
	}
	if (is_hex)
		return false;	/* a hex float needs an exponent */
	*out = 0;
	if (float_parse(text, n, out))
		return true;
	*range_out = *out != 0;
	return false;
}

static double
duration_value(struct promql_parser *p, const struct promql_token *t)
{
	struct err err = ERR_INIT;
	int64_t ms;

	if (duration_parse(t->text, &ms, &err) == -1) {
		promql_error(p, promql_token_pos(t), "%s", err.text);
		return 0;
	}
	/* Go's Duration.Seconds: whole seconds and the rest apart. */
	return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

double
promql_number_value(struct promql_parser *p, const struct promql_token *t)
{
	bool range;
	double v = 0;

	if (t->tok == TOK_DURATION)
		return duration_value(p, t);
	if (!number_parse(t->text, &v, &range)) {
		promql_error_quoted(p, promql_token_pos(t),
		    "error parsing number: strconv.ParseFloat: parsing ",
		    t->text, range ? ": value out of range" :
		    ": invalid syntax");
		return range ? v : 0;
	}
	return v;
}

struct promql_expr *
promql_parse_number(struct promql_parser *p)
{
	struct promql_token t = promql_take(p);
	struct promql_expr *e = promql_node(p, PROMQL_NUMBER,
	    promql_token_pos(&t));

	if (e == NULL)
		return NULL;
	e->number.val = promql_number_value(p, &t);
	e->number.is_duration = t.tok == TOK_DURATION;
	return e;
}

/* --- strings --- */

/* n digits of a base; the lexer has checked them. */
static uint32_t
take_digits(const char **p, const char *end, int n, uint32_t base)
{
	uint32_t v = 0;

	for (; n > 0 && *p < end; n--)
		v = v * base + (uint32_t)digit_value(*(*p)++);
	return v;
}

/* One escape, behind its backslash. Returns bytes written to out. */
static size_t
unescape(const char **p, const char *end, char out[4])
{
	static const char names[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
	const char *at;
	char c = *(*p)++;

	if (c >= '0' && c <= '7') {
		(*p)--;
		out[0] = (char)take_digits(p, end, 3, 8);
		return 1;
	}
	switch (c) {
	case 'x':
		out[0] = (char)take_digits(p, end, 2, 16);
		return 1;
	case 'u':
		return utf8_encode(take_digits(p, end, 4, 16), out);
	case 'U':
		return utf8_encode(take_digits(p, end, 8, 16), out);
	default:
		at = memchr(names, c, sizeof(names) - 1);
		out[0] = at == NULL ? c : values[at - names];
		return 1;
	}
}

struct str
promql_unquote(struct promql_parser *p, const struct promql_token *t)
{
	const char *s = t->text.p + 1, *end = t->text.p + t->text.n - 1;
	size_t n = 0;
	char *out;

	/* No escape is shorter than what it stands for. */
	out = arena_alloc(p->a, t->text.n);
	if (out == NULL) {
		promql_no_memory(p);
		return STR_EMPTY;
	}
	while (s < end) {
		if (*s != '\\' || t->text.p[0] == '`')
			out[n++] = *s++;
		else {
			s++;
			n += unescape(&s, end, out + n);
		}
	}
	out[n] = '\0';
	return str_from(out, n);
}
