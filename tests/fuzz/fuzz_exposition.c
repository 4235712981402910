/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as an exposition body. Properties: every slice lies in the
 * body; a second pass by prediction sees the same entries, values and end as
 * the first.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/exposition/series_cache.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	size_t		n;
	uint64_t	sum;
	enum expo_entry	end;
};

static void
mix(struct outcome *o, uint64_t v)
{
	o->sum = (o->sum ^ v) * 0x9e3779b97f4a7c15ULL;
	o->sum ^= o->sum >> 29;
}

static void
take_series(struct series_cache *c, struct expo_parser *p,
    struct cached_line *line, struct outcome *o)
{
	struct err err = ERR_INIT;
	struct labels ls;
	struct arena a;
	bool had_id;

	if (p->series.p < p->b || p->series.p + p->series.n > p->b + p->n)
		abort();
	mix(o, double_bits(p->value));
	mix(o, p->has_ts ? (uint64_t)p->ts_ms : 1);
	mix(o, p->series.n);
	if (line == NULL) {
		arena_init(&a, 1 << 20);
		if (expo_labels(p, &a, &ls, &err) == 0)
			for (size_t i = 1; i < ls.n; i++)
				if (str_cmp(ls.l[i - 1].name,
				    ls.l[i].name) > 0)
					abort();
		arena_clear(&a);
		line = series_cache_add(c, p, CACHED_SAMPLE, &had_id);
	}
	if (line != NULL)
		series_cache_track(c, line);
}

static struct outcome
pass(struct series_cache *c, enum expo_format format, struct str body)
{
	struct outcome o = { 0, 0, EXPO_END };
	struct cached_line *line;
	struct expo_parser p;
	struct err err = ERR_INIT;
	enum expo_entry e;

	expo_parser_init(&p);
	expo_parser_start(&p, format, body, 0);
	series_cache_begin(c);
	while ((e = series_cache_next(c, &p, &line, &err)) > EXPO_END) {
		o.n++;
		mix(&o, (uint64_t)e);
		mix(&o, (uint64_t)p.type);
		if (e == EXPO_SERIES)
			take_series(c, &p, line, &o);
	}
	o.end = e;
	(void)series_cache_end(c, e == EXPO_END, NULL, NULL);
	expo_parser_clear(&p);
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct series_cache c;
	struct outcome first, second;
	enum expo_format f;
	char *body;

	if (size == 0 || (body = malloc(size)) == NULL)
		return 0;
	f = data[0] & 1 ? EXPO_OPENMETRICS : EXPO_TEXT;
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\n';
	series_cache_init(&c);
	first = pass(&c, f, str_from(body, size - 1));
	second = pass(&c, f, str_from(body, size - 1));
	if (first.n != second.n || first.sum != second.sum ||
	    first.end != second.end)
		abort();
	series_cache_clear(&c);
	free(body);
	return 0;
}
