/* SPDX-License-Identifier: ISC */

/*
 * The engine over series in memory: bench_promql [SERIES] [QUERY STEP_S [RUNS]].
 * 6 h of samples at 15 s, counters of 100 jobs. Prints Go's format.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/promql/engine.h"
#include "common/promql/source_memory.h"

#define HOURS		6
#define INTERVAL_MS	15000
#define SAMPLES		(HOURS * 3600000 / INTERVAL_MS)

static double
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
fill(struct source_memory *m, int n)
{
	unsigned seed = 1;

	for (int i = 0; i < n; i++) {
		char job[32], inst[32], le[16];
		struct label l[5] = {
			{ STR_LIT("__name__"), STR_LIT("m_total") },
			{ STR_LIT("env"), STR_LIT("prod") },
			{ STR_LIT("instance"), { inst, 0 } },
			{ STR_LIT("job"), { job, 0 } },
			{ STR_LIT("le"), { le, 0 } } };
		double v = 0;

		l[2].value.n = (size_t)snprintf(inst, sizeof(inst),
		    "host-%d:9100", i / 10);
		l[3].value.n = (size_t)snprintf(job, sizeof(job), "job-%d",
		    i % 1000 / 10);
		l[4].value.n = i % 10 == 9 ? (size_t)snprintf(le, sizeof(le),
		    "+Inf") : (size_t)snprintf(le, sizeof(le), "%d",
		    1 << i % 10);
		for (int k = 0; k < SAMPLES; k++) {
			v += (double)(rand_r(&seed) % 100);
			if (rand_r(&seed) % 5000 == 0)
				v = 0;
			(void)source_memory_add(m, (struct labels){ l, 5 },
			    (int64_t)k * INTERVAL_MS + i * 7919 % 14000 +
			    (rand_r(&seed) % 50 == 0), 0,
			    v, NULL);
		}
		if (i % 64 == 63)
			(void)source_memory_freeze(m);
	}
	(void)source_memory_freeze(m);
}

static void
run(struct source_memory *m, const char *name, const char *query,
    int64_t hours, int64_t step_s, int runs)
{
	struct promql_opts o = { .max_samples = 500000000 };
	int64_t end = (int64_t)HOURS * 3600000 - INTERVAL_MS;
	int64_t start = step_s == 0 ? end : end - hours * 3600000 +
	    (int64_t)INTERVAL_MS;
	struct promql_result *r;
	struct err e = ERR_INIT;
	double best = INFINITY;
	size_t peak = 0, n = 0;

	for (int i = 0; i < runs; i++) {
		double t = cpu_now();

		if (promql_exec(source_memory_source(m), str_c(query), start,
		    end, step_s * 1000, &o, &r, &e) == -1) {
			printf("%s: %s\n", name, e.text);
			return;
		}
		t = cpu_now() - t;
		if (t < best)
			best = t;
		peak = r->stats.peak_bytes;
		n = r->n_series;
		promql_result_free(r);
	}
	printf("Benchmark%s 1 %.0f ns/op %zu B/op # %.2f ms, %zu series\n",
	    name, best * 1e9, peak, best * 1e3, n);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct source_memory *m = source_memory_new();

	fill(m, argc > 1 ? atoi(argv[1]) : 10000);
	if (argc > 3) {
		run(m, "Query", argv[2], HOURS, atoi(argv[3]),
		    argc > 4 ? atoi(argv[4]) : 3);
		source_memory_free(m);
		return 0;
	}
	run(m, "SumByRate6h", "sum by (job) (rate(m_total[5m]))", 6, 60, 3);
	run(m, "SumByRate1h", "sum by (job) (rate(m_total[5m]))", 1, 15, 3);
	run(m, "SumByRateInstant", "sum by (job) (rate(m_total[5m]))", 0, 0, 3);
	run(m, "Rate1h", "rate(m_total[5m])", 1, 60, 3);
	run(m, "Raw1h", "m_total", 1, 60, 3);
	run(m, "RawInstant", "m_total", 0, 0, 3);
	run(m, "MaxOverTime6h", "max by (job) (max_over_time(m_total[1h]))",
	    6, 60, 3);
	run(m, "AvgOverTime6h", "avg by (job) (avg_over_time(m_total[1h]))",
	    6, 60, 3);
	run(m, "TopkRate6h", "topk(5, rate(m_total[5m]))", 6, 60, 3);
	run(m, "Quantile6h", "histogram_quantile(0.9, sum by (le) "
	    "(rate(m_total[5m])))", 6, 60, 3);
	run(m, "QuantileByJob", "histogram_quantile(0.9, sum by (job, le) "
	    "(rate(m_total[5m])))", 6, 60, 3);
	run(m, "Binop1h", "m_total / on (instance, job, le) m_total", 1, 60, 3);
	run(m, "ManyToOne1h", "m_total * on (job) group_left () "
	    "sum by (job) (m_total)", 1, 60, 3);
	run(m, "Subquery", "max by (job) (max_over_time(rate("
	    "m_total[5m])[30m:1m]))", 1, 60, 3);
	run(m, "Regex", "sum (rate(m_total{instance=~\"host-1.*\"}[5m]))", 6,
	    60, 3);
	run(m, "One", "m_total{instance=\"host-1:9100\",le=\"1\"}", 0, 0, 3);
	source_memory_free(m);
	return 0;
}
