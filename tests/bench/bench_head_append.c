/* SPDX-License-Identifier: ISC */

/*
 * The head alone: making series, appending batches as 20 targets of 5,000
 * series send them (records encoded, thrown away), and capturing all of them
 * as a reader does. Prints Go's benchmark format and bytes a series.
 */

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/tsdb/head_reader.h"
#include "workers/storage/head.h"

#define TARGETS	20
#define SERIES	5000
#define ROUNDS	240

static int
drop_log(void *arg, struct str series, struct str samples, struct err *err)
{
	(void)err;
	*(uint64_t *)arg += series.n + samples.n;
	return 0;
}

static void
make_series(struct head *h, struct head_sample *s)
{
	struct err err = ERR_INIT;
	int64_t began = mono_now().ns;
	bool created;

	for (uint32_t t = 0; t < TARGETS; t++) {
		for (uint32_t i = 0; i < SERIES; i++) {
			char name[40], instance[24], code[16], path[32];
			struct label l[6] = {
				{ STR_LIT("__name__"), { name, 0 } },
				{ STR_LIT("code"), { code, 0 } },
				{ STR_LIT("instance"), { instance, 0 } },
				{ STR_LIT("job"), STR_LIT("bench") },
				{ STR_LIT("method"), STR_LIT("GET") },
				{ STR_LIT("path"), { path, 0 } },
			};

			l[0].value.n = (size_t)snprintf(name, sizeof(name),
			    "http_metric_number_%u_total", i / 50);
			l[1].value.n = (size_t)snprintf(code, sizeof(code),
			    "%u", 200 + i % 5);
			l[2].value.n = (size_t)snprintf(instance,
			    sizeof(instance), "10.0.0.%u:9100", t);
			l[5].value.n = (size_t)snprintf(path, sizeof(path),
			    "/api/v1/%u", i % 50 / 5);
			s[t * SERIES + i].slot = head_series(h,
			    (struct labels){ l, 6 }, &created, &err);
		}
	}
	printf("BenchmarkHeadSeries %d %.1f ns/op\n", TARGETS * SERIES,
	    (double)(mono_now().ns - began) / (TARGETS * SERIES));
}

int
main(void)
{
	struct head_options o = { .ceiling_bytes = 1 << 30 };
	struct err err = ERR_INIT;
	struct head *h = head_new(&o, &err);
	struct head_sample *s = calloc(TARGETS * SERIES, sizeof(*s));
	struct head_result res;
	struct head_reader r;
	struct head_capture *cap;
	struct postings all;
	struct arena a;
	uint64_t logged = 0, used, ceiling;
	int64_t began;

	if (h == NULL || s == NULL)
		return 1;
	head_set_log(h, drop_log, &logged);
	make_series(h, s);
	began = mono_now().ns;
	for (uint32_t k = 0; k < ROUNDS; k++) {
		for (uint32_t t = 0; t < TARGETS; t++) {
			struct head_sample *b = s + t * SERIES;

			for (uint32_t i = 0; i < SERIES; i++) {
				b[i].t_ms = 1700000000000LL + k * 1000 + t;
				b[i].v = i % 3 == 0 ? 1 : (double)k *
				    (1 + i % 7) + (i % 5 == 0 ? 0.5 : 0);
			}
			if (head_append(h, b, SERIES, 0, &res, &err) == -1)
				return 1;
		}
		if (k == 110) {
			head_memory(h, &used, &ceiling);
			printf("# %.1f arena bytes a series at 111 samples, "
			    "%.1f touched; 64 more in tables\n",
			    (double)used / (TARGETS * SERIES),
			    (double)head_touched_bytes(h) /
			    (TARGETS * SERIES));
		}
	}
	printf("BenchmarkHeadAppend %d %.1f ns/op\n",
	    ROUNDS * TARGETS * SERIES, (double)(mono_now().ns - began) /
	    ((double)ROUNDS * TARGETS * SERIES));
	if (head_reader_open(&r, head_reader_fd(h), -1, &err) == -1)
		return 1;
	arena_init(&a, 0);
	began = mono_now().ns;
	if (head_match(&r, &a, NULL, 0, &all, &err) == -1 ||
	    head_reader_capture(&r, &a, all, &cap, &err) == -1)
		return 1;
	printf("BenchmarkHeadCapture %zu %.1f ns/op\n", all.n,
	    (double)(mono_now().ns - began) / (double)all.n);
	arena_clear(&a);
	head_reader_close(&r);
	head_free(h);
	free(s);
	return 0;
}
