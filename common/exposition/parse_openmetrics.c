/* SPDX-License-Identifier: ISC */
/*
 * OpenMetrics text: value, timestamp (float seconds), exemplar and end of a
 * sample's line. Here a token holds the blank before it.
 */

#include <math.h>
#include <stdio.h>

#include "common/exposition/lexer.h"

static int
parse_value(struct expo_parser *p, enum expo_token t, const char *after,
    double *out, struct err *err)
{
	char expected[64];

	if (t != TOKEN_VALUE) {
		snprintf(expected, sizeof(expected),
		    "expected value after %s", after);
		return expo_fail_token(p, expected, t, err);
	}
	return expo_parse_float(p, str_from(p->b + p->token + 1,
	    p->i - p->token - 1), out, err);
}

static int
parse_seconds(struct expo_parser *p, const char *what, int64_t *out,
    struct err *err)
{
	double s, ms;

	if (expo_parse_float(p, str_from(p->b + p->token + 1,
	    p->i - p->token - 1), &s, err) == -1)
		return -1;
	if (isnan(s) || isinf(s))
		return err_set(err, ERR_BAD_DATA, "invalid %s %s", what,
		    isnan(s) ? "NaN" : s < 0 ? "-Inf" : "+Inf");
	ms = s * 1000;
	/* what Go's conversion gives on amd64 when it does not fit */
	*out = fabs(ms) < 9223372036854775808.0 ? (int64_t)ms : INT64_MIN;
	return 0;
}

static int
no_eof(struct err *err)
{
	return err_set(err, ERR_BAD_DATA, "data does not end with # EOF");
}

/* From the exemplar's opening brace (taken) to the end of the line. */
static int
parse_exemplar(struct expo_parser *p, struct err *err)
{
	enum expo_token t;

	if (expo_parse_labels(p, true, err) == -1 ||
	    parse_value(p, expo_token(p), "exemplar labels", &p->ex_value,
	    err) == -1)
		return -1;
	p->ex_present = true;
	p->ex_has_ts = false;
	t = expo_token(p);
	if (t == TOKEN_EOF)
		return no_eof(err);
	if (t == TOKEN_LINEBREAK)
		return 0;
	if (t != TOKEN_TIMESTAMP)
		return expo_fail_token(p, "expected timestamp or comment", t,
		    err);
	if (parse_seconds(p, "exemplar timestamp", &p->ex_ts_ms, err) == -1)
		return -1;
	p->ex_has_ts = true;
	t = expo_token(p);
	if (t != TOKEN_LINEBREAK)
		return expo_fail_token(p,
		    "expected next entry after exemplar timestamp", t, err);
	return 0;
}

int
expo_suffix_openmetrics(struct expo_parser *p, enum expo_token t,
    struct err *err)
{
	if (parse_value(p, t, "metric", &p->value, err) == -1)
		return -1;
	p->has_ts = false;
	t = expo_token(p);
	switch (t) {
	case TOKEN_EOF:
		return no_eof(err);
	case TOKEN_LINEBREAK:
		return 0;
	case TOKEN_COMMENT:
		return parse_exemplar(p, err);
	case TOKEN_TIMESTAMP:
		break;
	default:
		return expo_fail_token(p, "expected timestamp or new record",
		    t, err);
	}
	if (parse_seconds(p, "timestamp", &p->ts_ms, err) == -1)
		return -1;
	p->has_ts = true;
	t = expo_token(p);
	if (t == TOKEN_COMMENT)
		return parse_exemplar(p, err);
	if (t != TOKEN_LINEBREAK)
		return expo_fail_token(p,
		    "expected next entry after timestamp", t, err);
	return 0;
}
