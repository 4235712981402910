/* SPDX-License-Identifier: ISC */
/* Own metrics: writer and reader, sums over processes, hostile regions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>

#include <fcntl.h>
#include <unistd.h>

#include "common/metrics/metrics.h"

static int
region(void)
{
	int fd = memfd_create("metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, METRICS_REGION_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

/* What could shrink under its mapping, or is too short, is not mapped. */
static void
test_not_solid(void **state)
{
	struct metrics_reader *r = metrics_reader_new();
	struct err e = ERR_INIT;
	int fd = memfd_create("metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, METRICS_REGION_BYTES), 0);
	assert_null(metrics_open(dup(fd), &e));
	assert_int_equal(metrics_reader_add(r, 1, dup(fd), &e), -1);
	assert_int_equal(ftruncate(fd, METRICS_REGION_BYTES - 1), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_null(metrics_open(dup(fd), &e));
	assert_int_equal(metrics_reader_add(r, 1, fd, &e), -1);
	metrics_reader_free(r);
}

static void
test_print(void **state)
{
	int a = region(), b = region();
	struct metrics_reader *r = metrics_reader_new();
	struct err e = ERR_INIT;
	struct metrics *ma, *mb;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 0);
	ma = metrics_open(dup(a), &e);
	mb = metrics_open(dup(b), &e);
	assert_int_equal(metrics_reader_add(r, 1, a, &e), 0);
	assert_int_equal(metrics_reader_add(r, 2, b, &e), 0);
	metrics_add(metrics_get(ma, METRIC_TSDB_SAMPLES, "type=\"float\""), 3);
	metrics_add(metrics_get(mb, METRIC_TSDB_SAMPLES, "type=\"float\""), 4);
	metrics_set(metrics_get(ma, METRIC_READY, ""), 1);
	metrics_set(metrics_get(mb, METRIC_TSDB_SERIES, ""), 9);
	metrics_histogram_observe(metrics_histogram(ma, METRIC_HTTP_DURATION,
	    "handler=\"/\""), 0.15);
	metrics_histogram_observe(metrics_histogram(ma, METRIC_HTTP_DURATION,
	    "handler=\"/\""), 500);
	for (i = 1; i <= 1000; i++)
		metrics_summary_observe(metrics_summary(ma,
		    METRIC_TARGET_INTERVAL, "interval=\"1s\""), (double)i);
	metrics_reader_print(r, NULL, 0, &out);
	buf_add_byte(&out, 0);
	assert_non_null(strstr(out.p, "prometheus_tsdb_head_samples_appended_total{type=\"float\"} 7\n"));
	assert_non_null(strstr(out.p, "# TYPE prometheus_ready gauge\nprometheus_ready 1\n"));
	assert_non_null(strstr(out.p, "_bucket{handler=\"/\",le=\"0.1\"} 0\n"));
	assert_non_null(strstr(out.p, "_bucket{handler=\"/\",le=\"0.2\"} 1\n"));
	assert_non_null(strstr(out.p, "_bucket{handler=\"/\",le=\"120\"} 1\n"));
	assert_non_null(strstr(out.p, "_bucket{handler=\"/\",le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(out.p, "_count{interval=\"1s\"} 1000\n"));
	{
		const char *p = strstr(out.p, "quantile=\"0.9\"} ");
		assert_non_null(p);
		assert_in_range((int)atof(strchr(p, ' ') + 1), 810, 990);
	}
	/* a process ends: its counters stay, its gauges go */
	metrics_reader_remove(r, 2);
	buf_reset(&out);
	metrics_reader_print(r, NULL, 0, &out);
	buf_add_byte(&out, 0);
	assert_non_null(strstr(out.p, "appended_total{type=\"float\"} 7\n"));
	assert_null(strstr(out.p, "prometheus_tsdb_head_series "));
	metrics_drop(ma, METRIC_READY, "");
	buf_reset(&out);
	metrics_reader_print(r, NULL, 0, &out);
	buf_add_byte(&out, 0);
	assert_null(strstr(out.p, "prometheus_ready"));
	metrics_reader_free(r);
	metrics_close(ma);
	metrics_close(mb);
	buf_clear(&out);
}

static void
test_full_and_hostile(void **state)
{
	struct metrics_reader *r = metrics_reader_new();
	struct err e = ERR_INIT;
	int fd = region();
	struct metrics *m = metrics_open(dup(fd), &e);
	char label[64];
	struct buf out;
	char *p;
	size_t i;

	(void)state;
	buf_init(&out, 0);
	for (i = 0; i < METRICS_REGION_BYTES / 32; i++) {
		snprintf(label, sizeof(label), "job=\"%zu\"", i);
		metrics_inc(metrics_get(m, METRIC_POOL_TARGETS, label));
	}
	p = mmap(NULL, METRICS_REGION_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	assert_int_equal(metrics_reader_add(r, 1, fd, &e), 0);
	metrics_reader_print(r, NULL, 0, &out);
	buf_add_byte(&out, 0);
	assert_non_null(strstr(out.p, "brazier_metrics_lost "));
	assert_null(strstr(out.p, "brazier_metrics_lost 0\n"));
	/* the reader survives whatever the writer left there */
	srand(3);
	for (i = 0; i < 300; i++) {
		size_t at = (size_t)rand() % 4096;

		p[at] ^= (char)(1 << (rand() % 8));
		buf_reset(&out);
		metrics_reader_print(r, NULL, 0, &out);
	}
	metrics_reader_free(r);
	metrics_close(m);
	munmap(p, METRICS_REGION_BYTES);
	buf_clear(&out);
}

/* Names that come and go use each other's places, after a second. */
static void
test_reuse(void **state)
{
	struct metrics_reader *r = metrics_reader_new();
	struct err e = ERR_INIT;
	struct metrics *m;
	struct buf out;
	char job[64];
	int fd = region(), i, round;

	(void)state;
	buf_init(&out, 0);
	m = metrics_open(dup(fd), &e);
	assert_int_equal(metrics_reader_add(r, 1, fd, &e), 0);
	for (round = 0; round < 3; round++) {
		/* half of what the region holds */
		for (i = 0; i < 450; i++) {
			snprintf(job, sizeof(job), "scrape_job=\"%d%03d\"",
			    round, i);
			metrics_summary_observe(metrics_summary(m,
			    METRIC_TARGET_SYNC_LENGTH, job), 1);
			metrics_inc(metrics_get(m, METRIC_POOL_SYNCS, job));
		}
		buf_reset(&out);
		metrics_reader_print(r, NULL, 0, &out);
		buf_add_byte(&out, 0);
		snprintf(job, sizeof(job), "{scrape_job=\"%d007\"} 1\n", round);
		assert_non_null(strstr(out.p, job));
		snprintf(job, sizeof(job), "scrape_job=\"%d", round - 1);
		assert_null(strstr(out.p, job));
		assert_non_null(strstr(out.p, "brazier_metrics_lost 0\n"));
		for (i = 0; i < 450; i++) {
			snprintf(job, sizeof(job), "scrape_job=\"%d%03d\"",
			    round, i);
			metrics_drop(m, METRIC_TARGET_SYNC_LENGTH, job);
			metrics_drop(m, METRIC_POOL_SYNCS, job);
		}
		sleep(1);
		usleep(50000);
	}
	buf_clear(&out);
	metrics_reader_free(r);
	metrics_close(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_not_solid),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_full_and_hostile)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
