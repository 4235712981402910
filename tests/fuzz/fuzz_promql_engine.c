/* SPDX-License-Identifier: ISC */

/*
 * Evaluates the input as a query over a small store of floats and
 * histograms, with tight limits. The first byte chooses times. Whatever
 * comes out must be well formed: as many samples as said, times ascending,
 * and a second run must give the same.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/engine.h"
#include "common/promql/source_memory.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct source_memory *
make_store(void)
{
	struct source_memory *m = source_memory_new();
	static const char *const names[] = { "a_total", "b", "h_bucket" };
	static const char *const jobs[] = { "x", "y" };
	double counts[] = { 1, 2, 3 };
	struct hspan spans[] = { { -1, 2 }, { 1, 1 } };
	struct fhist h = { .count = 6, .sum = 5,
	    .pos = { spans, counts, 2, 3 } };

	for (int i = 0; i < 3 * 2 * 40; i++) {
		struct label l[3] = {
			{ STR_LIT("__name__"), str_c(names[i % 3]) },
			{ STR_LIT("job"), str_c(jobs[i / 3 % 2]) },
			{ STR_LIT("le"), i % 2 ? STR_LIT("1") :
			    STR_LIT("+Inf") } };

		(void)source_memory_add(m, (struct labels){ l, 3 },
		    i / 6 * 15000, 0, i % 7 == 0 ? 0 : i, NULL);
	}
	for (int i = 0; i < 40; i++) {
		struct label l[2] = {
			{ STR_LIT("__name__"), STR_LIT("n") },
			{ STR_LIT("job"), STR_LIT("x") } };

		h.count += i % 11 == 0 ? -h.count / 2 : 1;
		counts[i % 3]++;
		(void)source_memory_add(m, (struct labels){ l, 2 },
		    i * 15000, 0, 0, &h);
	}
	return m;
}

static void
check(const struct promql_result *r)
{
	for (size_t i = 0; i < r->n_series; i++) {
		const struct promql_series *s = &r->series[i];

		if (s->n_floats + s->n_hists == 0)
			abort();
		for (uint32_t k = 1; k < s->n_floats; k++)
			if (s->ft[k] <= s->ft[k - 1])
				abort();
		for (uint32_t k = 0; k < s->n_labels; k++)
			(void)promql_result_symbol(r, s->labels[k].name);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_memory *m;
	struct promql_opts o = { .max_samples = 20000,
	    .memory_limit_bytes = 16 << 20 };
	struct promql_result *r;
	size_t n[2] = { 0, 0 };

	if (size < 2)
		return 0;
	int64_t step = data[0] & 1 ? 0 : 7000 * (1 + (data[0] >> 4));
	int64_t end = (data[0] & 14) * 60000;
	o.features = data[0] & 2 ? 0xff & ~PROMQL_DELAYED_NAME_REMOVAL : 0xff;
	m = make_store();
	for (int i = 0; i < 2; i++) {
		struct err e = ERR_INIT;

		if (promql_exec(source_memory_source(m),
		    str_from((const char *)data + 1, size - 1),
		    step == 0 ? end : 0, end, step, &o, &r, &e) == -1) {
			if (e.kind == ERR_NONE || e.text[0] == '\0')
				abort();
			continue;
		}
		check(r);
		n[i] = r->n_series + 1;
		promql_result_free(r);
	}
	if (n[0] != n[1])
		abort();
	source_memory_free(m);
	return 0;
}
