/* SPDX-License-Identifier: ISC */

/*
 * Answers queries over the blocks of a data directory: promqleval DIR.
 * Each line of the input is START_MS END_MS STEP_MS QUERY, parted by tabs;
 * each line of the output is the answer as the HTTP API would give it
 * (data, or error). For the differential test.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/float_text.h"
#include "common/base/json.h"
#include "common/promql/engine.h"
#include "common/promql/source_block.h"
#include "common/promql/source_merge.h"
#include "common/tsdb/block_dir.h"

#define BLOCKS_MAX	256

static void
print_value(double v)
{
	char text[FLOAT_TEXT_MAX];

	printf("\"%.*s\"", (int)float_format_f(v, text), text);
}

static void
print_string(struct str s)
{
	struct buf b;

	buf_init(&b, 0);
	json_add_str(&b, s, false);
	fwrite(b.p, 1, b.n, stdout);
	buf_clear(&b);
}

static void
print_series(struct promql_result *r, const struct promql_series *s)
{
	struct labels ls = promql_result_labels(r, s);

	printf("{\"metric\":{");
	for (size_t i = 0; i < ls.n; i++) {
		if (i > 0)
			putchar(',');
		print_string(ls.l[i].name);
		putchar(':');
		print_string(ls.l[i].value);
	}
	printf("},\"values\":[");
	for (uint32_t i = 0; i < s->n_floats; i++) {
		printf("%s[%.3f,", i > 0 ? "," : "",
		    (double)s->ft[i] / 1000);
		print_value(s->fv[i]);
		putchar(']');
	}
	printf("]}");
}

static void
answer(struct source *src, int64_t start, int64_t end, int64_t step,
    struct str query)
{
	struct promql_opts o = { .max_samples = 50000000 };
	struct promql_result *r;
	struct err e = ERR_INIT;

	if (promql_exec(src, query, start, end, step, &o, &r, &e) == -1) {
		printf("{\"error\":");
		print_string(str_c(e.text));
		printf("}\n");
		return;
	}
	printf("{\"resultType\":\"%s\",\"result\":[",
	    promql_result_type_name(r->type));
	if (r->type == PROMQL_RESULT_SCALAR) {
		print_value(r->scalar);
	} else if (r->type == PROMQL_RESULT_STRING) {
		print_string(r->string);
	}
	for (size_t i = 0; i < r->n_series; i++) {
		if (i > 0)
			putchar(',');
		print_series(r, &r->series[i]);
	}
	printf("]}\n");
	promql_result_free(r);
}

int
main(int argc, char **argv)
{
	struct block_list blocks;
	struct source *subs[BLOCKS_MAX], *src;
	struct err e = ERR_INIT;
	char *line = NULL;
	size_t cap = 0, n;
	ssize_t len;

	if (argc != 2) {
		fprintf(stderr, "usage: promqleval DIR\n");
		return 2;
	}
	if (block_list_open(&blocks, argv[1], &e) == -1) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	n = blocks.n < BLOCKS_MAX ? blocks.n : BLOCKS_MAX;
	for (size_t i = 0; i < n; i++)
		subs[i] = source_block_new(blocks.v[i]);
	src = source_merge_new(subs, n);
	while ((len = getline(&line, &cap, stdin)) > 0) {
		long long start, end, step;
		int at = 0;

		if (line[len - 1] == '\n')
			len--;
		if (sscanf(line, "%lld\t%lld\t%lld\t%n", &start, &end, &step,
		    &at) != 3 || at == 0)
			continue;
		answer(src, start, end, step, str_from(line + at,
		    (size_t)(len - at)));
		fflush(stdout);
	}
	free(line);
	source_merge_free(src);
	for (size_t i = 0; i < n; i++)
		source_block_free(subs[i]);
	block_list_close(&blocks);
	return 0;
}
