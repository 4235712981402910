/* SPDX-License-Identifier: ISC */

/*
 * eval commands: the query as written, with every selector pinned by @ and
 * evaluated at other times, and each of these as a range query around it.
 */

#include "tests/conformance/promqltest.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/promql/functab.h"
#include "common/promql/parse.h"

static const struct promql_parse_opts parse_opts = {
	.experimental_functions = true,
	.extended_range_selectors = true,
	.fill_modifiers = true
};

static const struct promql_opts opts = {
	.lookback_delta_ms = 300000,
	.max_samples = 10000,
	.default_subquery_step_ms = 60000,
	.features = PROMQL_EXPERIMENTAL_FUNCTIONS |
	    PROMQL_EXTENDED_RANGE_SELECTORS | PROMQL_BINOP_FILL |
	    PROMQL_DELAYED_NAME_REMOVAL | PROMQL_USE_START_TIMESTAMPS
};

/* --- parsing --- */

static bool
parse_number(struct test *t, struct str l, double *out)
{
	struct str z = arena_str(&t->mem, l);
	char *end;
	long long n = strtoll(z.p, &end, 0);

	if (l.n != 0 && (size_t)(end - z.p) == l.n) {
		*out = (double)n;
		return true;
	}
	return float_parse(l.p, l.n, out);
}

static int
parse_expect(struct test *t, struct str l, struct eval_cmd *c, struct buf *why)
{
	static const char pattern[] = "^expect\\s+(ordered|fail|warn|no_warn|"
	    "info|no_info)(?:\\s+(regex|msg):(.+))?$";
	static const char *const names[EXPECT_N] = { "ordered", "fail",
	    "warn", "no_warn", "info", "no_info" };
	struct str type = regex_group(&t->mem, pattern, l, 1);
	struct str how = regex_group(&t->mem, pattern, l, 2);
	struct str text = regex_group(&t->mem, pattern, l, 3);
	struct expect *e = &c->expects[c->n_expects];
	struct err err = ERR_INIT;

	if (type.p == NULL) {
		buf_printf(why, "invalid expect statement: %.*s", STR_ARG(l));
		return -1;
	}
	for (int i = 0; i < EXPECT_N; i++)
		if (str_eq_c(type, names[i]))
			e->type = (enum expect_type)i;
	e->message = str_trim(text.p == NULL ? STR_EMPTY : text);
	e->re = NULL;
	if (!str_eq_c(how, "msg")) {
		e->re = regex_new(how.n == 0 ? STR_LIT("") : e->message, 0,
		    &err);
		if (e->re == NULL) {
			buf_printf(why, "%s", err.text);
			return -1;
		}
	}
	c->n_expects++;
	return 0;
}

static int
parse_string(struct test *t, struct str l, struct eval_cmd *c,
    struct buf *why)
{
	struct promql_parse_errors errs = { .n = 0 };
	struct promql_expr *e;
	struct str lit = str_trim(str_from(l.p + 13, l.n - 13));

	if (promql_parse(&t->mem, lit, &parse_opts, &e, &errs) == -1 ||
	    e->type != PROMQL_STRING) {
		buf_printf(why, "expected string literal not valid");
		return -1;
	}
	c->is_string = true;
	c->string = e->string;
	c->no_range_run = true;
	return 0;
}

static int
parse_range_vector(struct test *t, struct str l, struct eval_cmd *c,
    struct buf *why)
{
	static const char pattern[] = "^expect range vector\\s+from\\s+(.+)"
	    "\\s+to\\s+(.+)\\s+step\\s+(.+)$";
	struct err e = ERR_INIT;
	int64_t v[3];

	for (int i = 0; i < 3; i++) {
		struct str s = regex_group(&t->mem, pattern, l, i + 1);

		if (s.p == NULL || duration_parse(s, &v[i], &e) == -1) {
			buf_printf(why, "invalid range vector definition");
			return -1;
		}
	}
	c->start_ms = v[0];
	c->end_ms = c->eval_ms = v[1];
	c->step_ms = v[2];
	c->no_range_run = true;
	return 0;
}

/* 1 when this line ends the body. */
static int
parse_body_line(struct test *t, struct str l, struct eval_cmd *c,
    size_t *pos, struct buf *why)
{
	struct err e = ERR_INIT;

	if (c->fail && str_has_prefix(l, STR_LIT("expected_fail_message"))) {
		c->fail_message = str_trim(str_from(l.p + 21, l.n - 21));
		return 1;
	}
	if (c->fail && str_has_prefix(l, STR_LIT("expected_fail_regexp"))) {
		c->fail_re = regex_new(str_trim(str_from(l.p + 20, l.n - 20)),
		    0, &e);
		return c->fail_re == NULL ? -1 : 1;
	}
	if (str_has_prefix(l, STR_LIT("expect range vector")))
		return parse_range_vector(t, l, c, why);
	if (str_has_prefix(l, STR_LIT("expect string")))
		return parse_string(t, l, c, why);
	if (str_has_prefix(l, STR_LIT("expect ")))
		return parse_expect(t, l, c, why);
	if (parse_number(t, l, &c->scalar)) {
		c->is_scalar = true;
		return 1;
	}
	struct line_series s;
	if (parse_series_line(t, l, &s, why) == -1)
		return -1;
	s.pos = ++*pos;
	c->series[c->n_series++] = s;
	return 0;
}

static int
parse_head(struct test *t, struct str l, struct eval_cmd *c, struct buf *why)
{
	static const char instant[] = "^eval(?:_(fail|warn|ordered|info))?"
	    "\\s+instant\\s+(?:at\\s+(.+?))?\\s+(.+)$";
	static const char range[] = "^eval(?:_(fail|warn|info))?\\s+range\\s+"
	    "from\\s+(.+)\\s+to\\s+(.+)\\s+step\\s+(.+?)\\s+(.+)$";
	struct str mod = regex_group(&t->mem, instant, l, 1);
	struct err e = ERR_INIT;

	if (mod.p != NULL) {
		struct str at = regex_group(&t->mem, instant, l, 2);

		c->expr = regex_group(&t->mem, instant, l, 3);
		if (duration_parse(at, &c->eval_ms, &e) == -1) {
			buf_printf(why, "%s", e.text);
			return -1;
		}
		c->start_ms = c->end_ms = c->eval_ms;
	} else {
		mod = regex_group(&t->mem, range, l, 1);
		c->is_range = true;
		if (mod.p == NULL ||
		    duration_parse(regex_group(&t->mem, range, l, 2),
		    &c->start_ms, &e) == -1 ||
		    duration_parse(regex_group(&t->mem, range, l, 3),
		    &c->end_ms, &e) == -1 ||
		    duration_parse(regex_group(&t->mem, range, l, 4),
		    &c->step_ms, &e) == -1) {
			buf_printf(why, "invalid evaluation command");
			return -1;
		}
		c->expr = regex_group(&t->mem, range, l, 5);
	}
	c->fail = str_eq_c(mod, "fail");
	c->warn = str_eq_c(mod, "warn");
	c->info = str_eq_c(mod, "info");
	c->ordered = str_eq_c(mod, "ordered");
	return 0;
}

int
parse_eval(struct test *t, size_t i, size_t *next, struct eval_cmd *c,
    struct buf *why)
{
	size_t end = i + 1, pos = 0;
	int rc = parse_head(t, t->lines[i], c, why);

	c->line = i + 1;
	while (end < t->n_lines && t->lines[end].n != 0)
		end++;
	*next = end;
	if (rc == -1)
		return -1;
	c->series = arena_array(&t->mem, end - i, sizeof(*c->series));
	c->expects = arena_array(&t->mem, end - i, sizeof(*c->expects));
	if (c->series == NULL || c->expects == NULL)
		return -1;
	for (size_t k = i + 1; k < end; k++) {
		rc = parse_body_line(t, t->lines[k], c, &pos, why);
		if (rc != 0) {
			*next = rc == 1 ? k + 1 : end;
			break;
		}
	}
	for (size_t k = 0; k < c->n_expects; k++) {
		c->fail |= c->expects[k].type == EXPECT_FAIL;
		c->ordered |= c->expects[k].type == EXPECT_ORDERED;
	}
	return rc == -1 ? -1 : 0;
}

/* --- the query with its selectors pinned --- */

struct pin {
	int64_t	ms;
	bool	depends_on_time;
};

static void
pin(struct promql_expr *e, struct pin *p)
{
	struct promql_expr *c;

	if (e->type == PROMQL_VECTOR && e->vector.mod.at == PROMQL_AT_NONE) {
		e->vector.mod.at = PROMQL_AT_TIME;
		e->vector.mod.at_ms = p->ms;
	} else if (e->type == PROMQL_MATRIX) {
		pin(e->matrix.selector, p);
		return;
	} else if (e->type == PROMQL_SUBQUERY) {
		bool stop = e->subquery.mod.at == PROMQL_AT_TIME;

		if (e->subquery.mod.at != PROMQL_AT_TIME) {
			e->subquery.mod.at = PROMQL_AT_TIME;
			e->subquery.mod.at_ms = p->ms;
			stop = true;
		}
		if (stop)
			return;
	} else if (e->type == PROMQL_CALL) {
		switch (e->call.func->id) {
		case PROMQL_FN_DAYS_IN_MONTH:
		case PROMQL_FN_DAY_OF_MONTH:
		case PROMQL_FN_DAY_OF_WEEK:
		case PROMQL_FN_DAY_OF_YEAR:
		case PROMQL_FN_END:
		case PROMQL_FN_HOUR:
		case PROMQL_FN_MINUTE:
		case PROMQL_FN_MONTH:
		case PROMQL_FN_YEAR:
		case PROMQL_FN_PREDICT_LINEAR:
		case PROMQL_FN_RANGE:
		case PROMQL_FN_START:
		case PROMQL_FN_STEP:
		case PROMQL_FN_TIME:
		case PROMQL_FN_TIMESTAMP:
			p->depends_on_time = true;
			break;
		default:
			break;
		}
	}
	for (size_t i = 0; (c = promql_expr_child(e, i)) != NULL; i++)
		pin(c, p);
}

/* p NULL: must not be done with this query. */
static struct str
pinned_text(struct test *t, const struct eval_cmd *c)
{
	struct promql_parse_errors errs = { .n = 0 };
	struct pin p = { c->eval_ms, false };
	struct str out = { NULL, 0 };
	struct promql_expr *e;
	struct buf b;

	if (promql_parse(&t->mem, c->expr, &parse_opts, &e, &errs) == -1)
		return out;
	pin(e, &p);
	if (!p.depends_on_time) {
		buf_init(&b, 0);
		promql_expr_print(e, &b);
		out = arena_str(&t->mem, buf_str(&b));
		buf_clear(&b);
	}
	promql_expr_clear(e);
	return out;
}

/* --- running --- */

static int
check_list(const struct eval_cmd *c, enum expect_type type,
    const struct str *got, size_t n_got, struct buf *why)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_expects; i++) {
		bool found = false;

		if (c->expects[i].type != type)
			continue;
		n++;
		for (size_t k = 0; k < n_got; k++)
			found |= expect_matches(&c->expects[i], got[k]);
		if (!found) {
			buf_printf(why, "expected annotation \"%.*s\" not "
			    "found; got:", STR_ARG(c->expects[i].message));
			for (size_t k = 0; k < n_got; k++)
				buf_printf(why, "\n\t\t%.*s", STR_ARG(got[k]));
			return -1;
		}
	}
	for (size_t k = 0; n != 0 && k < n_got; k++) {
		bool found = false;

		for (size_t i = 0; i < c->n_expects; i++)
			found |= c->expects[i].type == type &&
			    expect_matches(&c->expects[i], got[k]);
		if (!found) {
			buf_printf(why, "unexpected annotation: %.*s",
			    STR_ARG(got[k]));
			return -1;
		}
	}
	return 0;
}

static int
check_annotations(const struct eval_cmd *c, const struct promql_result *r,
    struct buf *why)
{
	if (c->warn && r->n_warnings == 0) {
		buf_printf(why, "expected warnings but got none");
		return -1;
	}
	if (c->info && r->n_infos == 0) {
		buf_printf(why, "expected infos but got none");
		return -1;
	}
	for (size_t i = 0; i < c->n_expects; i++) {
		bool w = c->expects[i].type == EXPECT_NO_WARN &&
		    r->n_warnings != 0;
		bool n = c->expects[i].type == EXPECT_NO_INFO &&
		    r->n_infos != 0;

		if (w || n) {
			buf_printf(why, "unexpected annotation: %.*s",
			    STR_ARG((w ? r->warnings : r->infos)[0]));
			return -1;
		}
	}
	if (check_list(c, EXPECT_WARN, r->warnings, r->n_warnings, why) == -1)
		return -1;
	return check_list(c, EXPECT_INFO, r->infos, r->n_infos, why);
}

static int
check_failure(const struct eval_cmd *c, const struct err *e, struct buf *why)
{
	struct str text = str_c(e->text);
	bool ok = true;

	if (!c->fail) {
		buf_printf(why, "failed: %s", e->text);
		return -1;
	}
	if (c->fail_message.n != 0)
		ok = str_eq(c->fail_message, text);
	if (c->fail_re != NULL)
		ok = ok && regex_matches(c->fail_re, text);
	for (size_t i = 0; i < c->n_expects; i++)
		if (c->expects[i].type == EXPECT_FAIL)
			ok = ok && expect_matches(&c->expects[i], text);
	if (!ok)
		buf_printf(why, "failed with another error: %s", e->text);
	return ok ? 0 : -1;
}

static int
run_range(struct test *t, const struct eval_cmd *c, struct buf *why)
{
	struct promql_result *r;
	struct err e = ERR_INIT;
	int rc;

	if (promql_exec(source_memory_source(t->store), c->expr, c->start_ms,
	    c->end_ms, c->step_ms, &opts, &r, &e) == -1)
		return check_failure(c, &e, why);
	if (c->fail) {
		buf_printf(why, "expected an error but got none");
		rc = -1;
	} else
		rc = check_annotations(c, r, why);
	if (rc == 0)
		rc = compare_result(c, r, why);
	promql_result_free(r);
	return rc;
}

static bool
has_context_function(struct str s)
{
	static const char *const names[] = { "start()", "end()", "range()",
	    "step()" };

	for (size_t i = 0; i < 4; i++)
		if (memmem(s.p, s.n, names[i], strlen(names[i])) != NULL)
			return true;
	return false;
}

static int
run_instant(struct test *t, const struct eval_cmd *c, struct str expr,
    int64_t at, struct buf *why)
{
	struct source *src = source_memory_source(t->store);
	struct promql_result *r;
	struct err e = ERR_INIT;
	int rc;

	if (promql_exec(src, expr, at, at, 0, &opts, &r, &e) == -1)
		return check_failure(c, &e, why);
	if (c->fail) {
		buf_printf(why, "expected an error but got none");
		rc = -1;
	} else
		rc = check_annotations(c, r, why);
	if (rc == 0)
		rc = compare_result(c, r, why);
	bool scalar = r->type == PROMQL_RESULT_SCALAR;
	promql_result_free(r);
	if (rc == -1 || c->no_range_run || has_context_function(expr))
		return rc;
	if (promql_exec(src, expr, at - 60000, at + 60000, 60000, &opts, &r,
	    &e) == -1) {
		buf_printf(why, "range mode failed: %s", e.text);
		return -1;
	}
	if (!c->ordered && compare_at(c, r, at, scalar, why) == -1)
		rc = -1;
	promql_result_free(r);
	return rc;
}

int
run_eval(struct test *t, const struct eval_cmd *c, struct buf *why)
{
	if (c->is_range)
		return run_range(t, c, why);
	if (run_instant(t, c, c->expr, c->eval_ms, why) == -1)
		return -1;
	struct str expr = pinned_text(t, c);
	if (expr.p == NULL)
		return 0;
	int64_t times[5] = { -10 * c->eval_ms, 0, c->eval_ms / 5, c->eval_ms,
	    10 * c->eval_ms };
	size_t n = 5;
	if (c->eval_ms == 0) {
		times[0] = -1000;
		times[1] = 0;
		times[2] = 1000;
		n = 3;
	}
	for (size_t i = 0; i < n; i++)
		if (run_instant(t, c, expr, times[i], why) == -1) {
			buf_printf(why, "\n\tas %.*s at %lld", STR_ARG(expr),
			    (long long)times[i]);
			return -1;
		}
	return 0;
}
