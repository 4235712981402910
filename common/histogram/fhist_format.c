/* SPDX-License-Identifier: ISC */

/* Histograms as text, in the reference's two notations. */

#include "common/histogram/fhist.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/float_text.h"

void
fhist_add_g(struct buf *out, double v)
{
	char e[FLOAT_TEXT_MAX + 1];
	size_t n = float_format_e(v, e);
	const char *x = memchr(e, 'e', n);
	char *p = buf_reserve(out, FLOAT_TEXT_MAX);

	if (p == NULL)
		return;
	e[n] = '\0';
	int exp = x != NULL ? atoi(x + 1) : 0;
	if (x != NULL && v != 0 && (exp < -4 || exp >= 6)) {
		memcpy(p, e, n);
		out->n += n;
		return;
	}
	out->n += float_format_f(v, p);
}

static void
add_float(struct buf *out, double v)
{
	fhist_add_g(out, v);
}

static void
add_bucket(struct buf *out, const struct hbucket *b)
{
	buf_add_c(out, b->lower_inclusive ? ", [" : ", (");
	add_float(out, b->lower);
	buf_add_byte(out, ',');
	add_float(out, b->upper);
	buf_add_c(out, b->upper_inclusive ? "]:" : "):");
	add_float(out, b->count);
}

void
fhist_format(const struct fhist *h, struct buf *out)
{
	struct hiter it;

	buf_add_c(out, "{count:");
	add_float(out, h->count);
	buf_add_c(out, ", sum:");
	add_float(out, h->sum);
	hiter_init(&it, h, HITER_NEG_REVERSE);
	while (hiter_next(&it))
		if (it.b.count != 0)
			add_bucket(out, &it.b);
	if (h->zero_count != 0 && !fhist_is_custom(h)) {
		struct hbucket z = { .lower = -h->zero_threshold,
		    .upper = h->zero_threshold, .lower_inclusive = true,
		    .upper_inclusive = true, .count = h->zero_count };

		add_bucket(out, &z);
	}
	hiter_init(&it, h, HITER_POS);
	while (hiter_next(&it))
		if (it.b.count != 0)
			add_bucket(out, &it.b);
	buf_add_byte(out, '}');
}

static void
add_key(struct buf *out, bool *first, const char *key)
{
	if (!*first)
		buf_add_byte(out, ' ');
	*first = false;
	buf_add_c(out, key);
	buf_add_byte(out, ':');
}

/* One span from the first to the last populated bucket, gaps as zeros. */
static void
add_side(struct buf *out, bool *first, const struct fhist *h, bool positive)
{
	struct hiter it;
	int32_t lo = 0, next = 0;
	bool open = false;

	hiter_init(&it, h, positive ? HITER_POS : HITER_NEG);
	while (hiter_next(&it)) {
		if (it.b.count == 0)
			continue;
		if (!open) {
			lo = it.b.index;
			if (lo != 0) {
				add_key(out, first,
				    positive ? "offset" : "n_offset");
				buf_printf(out, "%d", lo);
			}
			add_key(out, first, positive ? "buckets" : "n_buckets");
			buf_add_byte(out, '[');
			open = true;
		} else {
			for (; next < it.b.index; next++)
				buf_add_c(out, " 0");
			buf_add_byte(out, ' ');
		}
		add_float(out, it.b.count);
		next = it.b.index + 1;
	}
	if (open)
		buf_add_byte(out, ']');
}

void
fhist_format_test(const struct fhist *h, struct buf *out)
{
	static const char *const hints[] = { "unknown", "reset", "not_reset",
	    "gauge" };
	bool first = true;

	buf_add_c(out, "{{");
	if (h->schema != 0) {
		add_key(out, &first, "schema");
		buf_printf(out, "%d", h->schema);
	}
	if (h->count != 0) {
		add_key(out, &first, "count");
		add_float(out, h->count);
	}
	if (h->sum != 0) {
		add_key(out, &first, "sum");
		add_float(out, h->sum);
	}
	if (h->zero_count != 0) {
		add_key(out, &first, "z_bucket");
		add_float(out, h->zero_count);
	}
	if (h->zero_threshold != 0) {
		add_key(out, &first, "z_bucket_w");
		add_float(out, h->zero_threshold);
	}
	if (fhist_is_custom(h)) {
		add_key(out, &first, "custom_values");
		buf_add_byte(out, '[');
		for (uint32_t i = 0; i < h->n_custom; i++) {
			if (i > 0)
				buf_add_byte(out, ' ');
			add_float(out, h->custom[i]);
		}
		buf_add_byte(out, ']');
	}
	if (h->hint != FHIST_UNKNOWN && h->hint <= FHIST_GAUGE) {
		add_key(out, &first, "counter_reset_hint");
		buf_add_c(out, hints[h->hint]);
	}
	add_side(out, &first, h, true);
	add_side(out, &first, h, false);
	buf_add_c(out, "}}");
}
