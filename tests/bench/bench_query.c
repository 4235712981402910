/* SPDX-License-Identifier: ISC */

/*
 * Queries over blocks and their JSON, without a server:
 * bench_query DIR [NAME [RUNS]], DIR as tests/bench/query.py makes it
 * (build/bench-data/blocks-6h), NAME one of the rows below. Prints Go's
 * format. One row alone under callgrind shows where its work is.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/promql/engine.h"
#include "common/promql/source_block.h"
#include "common/promql/source_merge.h"
#include "common/tsdb/block_dir.h"
#include "workers/query/render.h"

#define BLOCKS_MAX	64
/* As in query.py. */
#define START_S		1700006400
#define HOURS		6
#define INTERVAL_S	15

/* hours 0: instant */
static const struct row {
	const char	*name;
	const char	*query;
	int		 hours;
	int		 step_s;
} rows[] = {
	{ "SumByRate6h", "sum by (job)(rate(m_total[5m]))", 6, 60 },
	{ "SumByRate1h", "sum by (job)(rate(m_total[5m]))", 1, 15 },
	{ "SumByRateInstant", "sum by (job)(rate(m_total[5m]))", 0, 0 },
	{ "Rate1h", "rate(m_total[5m])", 1, 60 },
	{ "Quantile6h", "histogram_quantile(0.9, sum by (le)"
	    "(rate(h_bucket[5m])))", 6, 60 },
	{ "Topk1h", "topk(5, rate(m_total[5m]))", 1, 60 },
	{ "Regex1h", "sum(m_total{instance=~\".*[37]\","
	    "path=~\"/p/(1|2|3)\"})", 1, 60 },
	{ "MaxOverTime6h", "max by (job)(max_over_time(m_total[1h]))", 6, 60 },
	{ "Subquery1h", "max_over_time(sum by (job)(rate(m_total[5m]))"
	    "[30m:1m])", 1, 60 },
	{ "ManyToOne1h", "sum by (job, instance, path)(m_total) / on (job) "
	    "group_left sum by (job)(m_total)", 1, 60 },
	{ "RawInstant", "m_total", 0, 0 },
	{ "Raw1h", "m_total", 1, 60 },
	{ "OneInstant", "m_total{job=\"job-1\",instance=\"i-1\","
	    "path=\"/p/1\"}", 0, 0 },
};

struct bench {
	struct block_list	 blocks;
	struct source		*subs[BLOCKS_MAX];
	struct source		*source;
	size_t			 bytes;		/* of one answer */
};

static double
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
count_bytes(void *arg, struct str piece, bool last)
{
	struct bench *b = arg;

	(void)last;
	b->bytes += piece.n;
	return true;
}

/* CPU seconds of one run; INFINITY when it failed. */
static double
run_once(struct bench *b, const struct row *row, size_t *peak, size_t *n)
{
	struct promql_opts o = { .max_samples = 0 };
	int64_t end = (int64_t)(START_S + HOURS * 3600 - INTERVAL_S) * 1000;
	struct render_query q = { .start_ms = end - row->hours * 3600000,
	    .step_ms = row->step_s * 1000 };
	struct notes notes = { 0 };
	struct promql_result *r;
	struct err e = ERR_INIT;
	struct body body;
	double t = cpu_now();

	if (promql_exec(b->source, str_c(row->query), q.start_ms, end,
	    q.step_ms, &o, &r, &e) == -1) {
		printf("%s: %s\n", row->name, e.text);
		return INFINITY;
	}
	b->bytes = 0;
	promql_result_detach(r);
	body_init(&body, COMPRESS_NONE, count_bytes, b);
	render_begin(&body.text);
	if (render_result(&body, r, &q, &notes))
		render_end(&body.text, &notes);
	(void)body_end(&body);
	body_clear(&body);
	*peak = r->stats.peak_bytes;
	*n = r->n_series;
	promql_result_free(r);
	return cpu_now() - t;
}

static void
run(struct bench *b, const struct row *row, int runs)
{
	double best = INFINITY;
	size_t peak = 0, n = 0;

	for (int i = 0; i < runs; i++) {
		double t = run_once(b, row, &peak, &n);

		if (t < best)
			best = t;
	}
	printf("Benchmark%s %d %.0f ns/op %zu B/op # %.2f ms, %zu series, "
	    "%zu bytes\n", row->name, runs, best * 1e9, peak, best * 1e3, n,
	    b->bytes);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct bench b = { .bytes = 0 };

	if (argc < 2 || block_list_open(&b.blocks, argv[1], &err) == -1 ||
	    b.blocks.n > BLOCKS_MAX) {
		fprintf(stderr, "usage: bench_query DIR [NAME [RUNS]] %s\n",
		    err.text);
		return 2;
	}
	for (size_t i = 0; i < b.blocks.n; i++)
		b.subs[i] = source_block_new(b.blocks.v[i]);
	b.source = source_merge_new(b.subs, b.blocks.n);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (argc < 3 || strcmp(rows[i].name, argv[2]) == 0)
			run(&b, &rows[i], argc > 3 ? atoi(argv[3]) : 5);
	source_merge_free(b.source);
	for (size_t i = 0; i < b.blocks.n; i++)
		source_block_free(b.subs[i]);
	block_list_close(&b.blocks);
	return 0;
}
