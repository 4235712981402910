/* SPDX-License-Identifier: ISC */
/* Prometheus text format: value, timestamp and end of a sample's line. */

#include "common/base/buf.h"
#include "common/base/quote.h"
#include "common/exposition/lexer.h"

/* Unsigned decimal milliseconds, as strconv.ParseInt reads them. */
static int
parse_timestamp(struct expo_parser *p, struct err *err)
{
	struct buf b;
	int64_t t = 0;

	for (size_t i = p->token; i < p->i; i++)
		if (__builtin_mul_overflow(t, 10, &t) ||
		    __builtin_add_overflow(t, p->b[i] - '0', &t))
			goto range;
	p->ts_ms = t;
	p->has_ts = true;
	return 0;
range:
	buf_init(&b, 0);
	buf_add_c(&b, "strconv.ParseInt: parsing ");
	quote_add(&b, str_from(p->b + p->token, p->i - p->token));
	buf_add_c(&b, ": value out of range while parsing: ");
	quote_add(&b, str_from(p->b + p->start, p->i - p->start));
	err_set(err, ERR_BAD_DATA, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return -1;
}

int
expo_suffix_text(struct expo_parser *p, enum expo_token t, struct err *err)
{
	if (t != TOKEN_VALUE)
		return expo_fail_token(p, "expected value after metric", t,
		    err);
	if (expo_parse_float(p, str_from(p->b + p->token, p->i - p->token),
	    &p->value, err) == -1)
		return -1;
	p->has_ts = false;
	t = expo_token(p);
	if (t == TOKEN_LINEBREAK)
		return 0;
	if (t != TOKEN_TIMESTAMP)
		return expo_fail_token(p, "expected timestamp or new record",
		    t, err);
	if (parse_timestamp(p, err) == -1)
		return -1;
	t = expo_token(p);
	if (t != TOKEN_LINEBREAK)
		return expo_fail_token(p,
		    "expected next entry after timestamp", t, err);
	return 0;
}
