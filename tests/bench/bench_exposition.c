/* SPDX-License-Identifier: ISC */
/*
 * Cost of one sample: known lines (prediction), the first sight of a body
 * and the grammar alone. Prints Go's benchmark format.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/exposition/series_cache.h"

#define N_SERIES 5000

static void
make_body(struct buf *b, int round)
{
	unsigned int seed = (unsigned int)round;

	buf_reset(b);
	for (int i = 0; i < N_SERIES; i++) {
		if (i % 10 == 0)
			buf_printf(b, "# HELP bench_metric_%d Some help text "
			    "here.\n# TYPE bench_metric_%d gauge\n", i / 10,
			    i / 10);
		buf_printf(b, "bench_metric_%d{instance_group=\"g%d\","
		    "device=\"sd%d\",mode=\"m%d\"} ", i / 10, i % 7, i % 5, i);
		if (i % 2 == 0)
			buf_printf(b, "%d\n", rand_r(&seed) % 1000000);
		else
			buf_printf(b, "%.15g\n", rand_r(&seed) / 977.0);
	}
	buf_add_byte(b, '\n');
}

static size_t
scrape(struct series_cache *c, struct str body)
{
	struct cached_line *line;
	struct expo_parser p;
	struct err err = ERR_INIT;
	enum expo_entry e;
	size_t n = 0;
	bool had_id;

	expo_parser_init(&p);
	expo_parser_start(&p, EXPO_TEXT, body, 0);
	series_cache_begin(c);
	while ((e = series_cache_next(c, &p, &line, &err)) > EXPO_END) {
		if (e != EXPO_SERIES)
			continue;
		if (line == NULL)
			line = series_cache_add(c, &p, CACHED_SAMPLE, &had_id);
		series_cache_track(c, line);
		n++;
	}
	(void)series_cache_end(c, true, NULL, NULL);
	expo_parser_clear(&p);
	return n;
}

/* CPU time, so that a busy machine does not count. */
static double
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
report(const char *name, size_t n, double since)
{
	printf("Benchmark%s-1 %zu %.1f ns/op\n", name, n,
	    (cpu_ns() - since) / (double)n);
}

int
main(void)
{
	struct buf bodies[4];
	struct series_cache c;
	struct expo_parser p;
	struct err err = ERR_INIT;
	double t;
	size_t n = 0;

	for (int i = 0; i < 4; i++) {
		buf_init(&bodies[i], 0);
		make_body(&bodies[i], i);
	}
	t = cpu_ns();
	for (int i = 0; i < 40; i++) {
		series_cache_init(&c);
		n += scrape(&c, str_from(bodies[0].p, bodies[0].n - 1));
		series_cache_clear(&c);
	}
	report("ExpositionNew", n, t);
	series_cache_init(&c);
	t = cpu_ns();
	n = 0;
	for (int i = 0; i < 400; i++)
		n += scrape(&c, str_from(bodies[i % 4].p,
		    bodies[i % 4].n - 1));
	report("ExpositionPredicted", n, t);
	series_cache_clear(&c);
	expo_parser_init(&p);
	t = cpu_ns();
	n = 0;
	for (int i = 0; i < 40; i++) {
		expo_parser_start(&p, EXPO_TEXT, str_from(bodies[0].p,
		    bodies[0].n - 1), 0);
		while (expo_next(&p, &err) > EXPO_END)
			n++;
	}
	report("ExpositionGrammar", n, t);
	expo_parser_clear(&p);
	for (int i = 0; i < 4; i++)
		buf_clear(&bodies[i]);
	return 0;
}
