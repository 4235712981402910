/* SPDX-License-Identifier: ISC */

/* Runs PromQL test scripts: build/tests/promqltest FILE… */

#include "tests/conformance/promqltest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct str
regex_group(struct arena *a, const char *pattern, struct str text, int group)
{
	struct err e = ERR_INIT;
	struct regex *re = regex_new(str_c(pattern), 0, &e);
	char tmpl[16];
	struct buf b;
	struct str out = { NULL, 0 };

	if (re == NULL)
		return out;
	buf_init(&b, 0);
	snprintf(tmpl, sizeof(tmpl), "${%d}", group);
	if (regex_expand(re, text, str_c(tmpl), &b))
		out = arena_str(a, buf_str(&b));
	buf_clear(&b);
	regex_free(re);
	return out;
}

bool
expect_matches(const struct expect *e, struct str text)
{
	return e->re != NULL ? regex_matches(e->re, text) :
	    str_eq(e->message, text);
}

static int
read_file(struct test *t, struct str *out)
{
	FILE *f = fopen(t->file, "rb");
	struct buf b;
	char block[65536];
	size_t n;

	if (f == NULL)
		return -1;
	buf_init(&b, 0);
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&b, block, n);
	fclose(f);
	*out = arena_str(&t->mem, buf_str(&b));
	buf_clear(&b);
	return 0;
}

/* Lines trimmed; comments are empty lines. */
static void
split_lines(struct test *t, struct str text)
{
	size_t n = 1, start = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	t->lines = arena_array(&t->mem, n, sizeof(*t->lines));
	for (size_t i = 0; i <= text.n; i++) {
		if (i < text.n && text.p[i] != '\n')
			continue;
		struct str l = str_trim(str_from(text.p + start, i - start));

		if (l.n > 0 && l.p[0] == '#')
			l = STR_EMPTY;
		t->lines[t->n_lines++] = l;
		start = i + 1;
	}
}

static void
report(struct test *t, size_t line, struct str expr, const struct buf *why)
{
	printf("%s:%zu: %.*s\n\t%.*s\n", t->file, line, STR_ARG(expr),
	    STR_ARG(buf_str(why)));
	t->failed++;
}

static void
free_eval(struct eval_cmd *c)
{
	regex_free(c->fail_re);
	for (size_t i = 0; i < c->n_expects; i++)
		regex_free(c->expects[i].re);
}

static void
run_commands(struct test *t)
{
	struct buf why;
	size_t next;

	buf_init(&why, 0);
	for (size_t i = 0; i < t->n_lines; i = next) {
		struct str l = t->lines[i];
		struct eval_cmd c;
		int rc = 0;

		next = i + 1;
		if (l.n == 0)
			continue;
		buf_reset(&why);
		if (str_has_prefix(l, STR_LIT("clear")))
			source_memory_reset(t->store);
		else if (str_has_prefix(l, STR_LIT("load"))) {
			if (run_load(t, i, &next, &why) == -1) {
				report(t, i + 1, l, &why);
				break;
			}
		} else if (str_has_prefix(l, STR_LIT("eval"))) {
			memset(&c, 0, sizeof(c));
			rc = parse_eval(t, i, &next, &c, &why);
			if (rc == -1) {
				report(t, i + 1, l, &why);
				free_eval(&c);
				continue;
			}
			rc = run_eval(t, &c, &why);
			if (rc == -1)
				report(t, i + 1, c.expr, &why);
			else
				t->passed++;
			free_eval(&c);
		} else {
			buf_printf(&why, "invalid command");
			report(t, i + 1, l, &why);
			break;
		}
	}
	buf_clear(&why);
}

int
main(int argc, char **argv)
{
	size_t passed = 0, failed = 0;

	for (int i = 1; i < argc; i++) {
		struct test t = { .file = argv[i] };
		struct str text;

		arena_init(&t.mem, 0);
		t.store = source_memory_new();
		if (t.store == NULL || read_file(&t, &text) == -1) {
			fprintf(stderr, "%s: cannot be read\n", argv[i]);
			failed++;
		} else {
			split_lines(&t, text);
			run_commands(&t);
		}
		passed += t.passed;
		failed += t.failed;
		source_memory_free(t.store);
		arena_clear(&t.mem);
	}
	printf("%zu passed, %zu failed\n", passed, failed);
	return failed != 0;
}
