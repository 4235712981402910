/* SPDX-License-Identifier: ISC */
/*
 * Relabelling beyond the reference's cases: fast paths against the general
 * one, case mapping, snapshots of labelmap, hostile bytes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/labels/relabel.h"
#include "common/labels/text_case.h"

struct fixture {
	struct relabel_rules	rs;
	struct labels_builder	b;
	struct arena		a;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	relabel_rules_init(&f->rs);
	labels_builder_init(&f->b);
	arena_init(&f->a, 1 << 20);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	relabel_rules_clear(&f->rs);
	labels_builder_clear(&f->b);
	arena_clear(&f->a);
	free(f);
	return 0;
}

static void
add_rule(struct fixture *f, enum relabel_action action, const char *source,
    const char *regex, const char *target, const char *replacement)
{
	struct relabel_spec s = relabel_spec_default();
	struct err err = ERR_INIT;
	struct str src = source == NULL ? STR_EMPTY : str_c(source);

	s.action = action;
	if (source != NULL) {
		s.source_labels = &src;
		s.n_source_labels = 1;
		s.has_source_labels = true;
	}
	if (regex != NULL)
		s.regex = str_c(regex);
	if (target != NULL)
		s.target_label = str_c(target);
	if (replacement != NULL)
		s.replacement = str_c(replacement);
	if (relabel_rules_add(&f->rs, &s, &err) == -1)
		fail_msg("%s", err.text);
}

static void
assert_label(struct fixture *f, const char *name, const char *want)
{
	struct str got = labels_builder_get(&f->b, str_c(name));

	if (!str_eq_c(got, want))
		fail_msg("%s: got %.*s, want %s", name, STR_ARG(got), want);
}

static void
test_replace_paths(void **state)
{
	struct fixture *f = *state;

	labels_builder_set(&f->b, STR_LIT("a"), STR_LIT("foo"));
	labels_builder_set(&f->b, STR_LIT("gone"), STR_LIT("x"));
	add_rule(f, RELABEL_REPLACE, "a", NULL, "copy", NULL);
	add_rule(f, RELABEL_REPLACE, "a", "foo|bar", "set", "yes");
	add_rule(f, RELABEL_REPLACE, "a", "baz|bar", "unset", "yes");
	add_rule(f, RELABEL_REPLACE, "a", "f(.*)", "rest", "<$1>");
	add_rule(f, RELABEL_REPLACE, "a", "(f)(?:.*)", "n_$1", "${1}${1}");
	add_rule(f, RELABEL_REPLACE, "none", NULL, "gone", NULL);
	add_rule(f, RELABEL_REPLACE, NULL, NULL, "plain", "static");
	assert_true(relabel_apply(&f->rs, &f->b, &f->a));
	assert_label(f, "copy", "foo");
	assert_label(f, "set", "yes");
	assert_label(f, "unset", "");
	assert_label(f, "rest", "<oo>");
	assert_label(f, "n_f", "ff");
	assert_label(f, "gone", "");
	assert_label(f, "plain", "static");
}

static void
test_labelmap_snapshot(void **state)
{
	struct fixture *f = *state;

	labels_builder_set(&f->b, STR_LIT("x"), STR_LIT("1"));
	labels_builder_set(&f->b, STR_LIT("xx"), STR_LIT("2"));
	add_rule(f, RELABEL_LABELMAP, NULL, "(x+)", NULL, "x$1");
	assert_true(relabel_apply(&f->rs, &f->b, &f->a));
	assert_label(f, "x", "1");
	assert_label(f, "xx", "1");
	assert_label(f, "xxx", "2");
	assert_label(f, "xxxx", "");
}

static void
test_label_sets(void **state)
{
	struct fixture *f = *state;

	labels_builder_set(&f->b, STR_LIT("a"), STR_LIT("1"));
	labels_builder_set(&f->b, STR_LIT("b"), STR_LIT("2"));
	labels_builder_set(&f->b, STR_LIT("b2"), STR_LIT("2"));
	labels_builder_set(&f->b, STR_LIT("c"), STR_LIT("3"));
	add_rule(f, RELABEL_LABELKEEP, NULL, "a|b.*", NULL, NULL);
	add_rule(f, RELABEL_LABELDROP, NULL, "b", NULL, NULL);
	assert_true(relabel_apply(&f->rs, &f->b, &f->a));
	assert_int_equal(labels_builder_labels(&f->b).n, 2);
	assert_label(f, "a", "1");
	assert_label(f, "b2", "2");
}

static void
test_arena_limit(void **state)
{
	struct fixture *f = *state;
	struct arena tiny;
	char big[4096];

	memset(big, 'x', sizeof(big));
	labels_builder_set(&f->b, STR_LIT("a"),
	    str_from(big, sizeof(big)));
	add_rule(f, RELABEL_UPPERCASE, "a", NULL, "b", NULL);
	arena_init(&tiny, 64);
	assert_false(relabel_apply(&f->rs, &f->b, &tiny));
	assert_true(f->b.failed);
	arena_clear(&tiny);
}

static void
assert_cases(const char *upper, const char *lower)
{
	struct buf b;

	buf_init(&b, 0);
	text_add_lower(&b, str_c(upper));
	assert_true(str_eq_c(buf_str(&b), lower));
	buf_reset(&b);
	text_add_upper(&b, str_c(lower));
	assert_true(str_eq_c(buf_str(&b), upper));
	buf_clear(&b);
}

static void
test_case(void **state)
{
	(void)state;
	assert_cases("ABC-123", "abc-123");
	assert_cases("ÀÖØÞĀŽŸ", "àöøþāžÿ");
	assert_cases("ΑΩΣΆΈΉΊΌΎΏ", "αωσάέήίόύώ");
	assert_cases("ЀЏАЯҐԀ", "ѐџаяґԁ");
	assert_cases("ԱՖ", "աֆ");
	assert_cases("Ａ", "ａ");
	assert_cases("日本", "日本");
}

static void
test_hostile_bytes(void **state)
{
	struct fixture *f = *state;
	struct relabel_rules got;
	struct err err = ERR_INIT;
	struct wire_reader r;
	struct buf b;
	size_t n;

	add_rule(f, RELABEL_REPLACE, "a", "f(.*)", "rest", "<$1>");
	add_rule(f, RELABEL_LABELKEEP, NULL, "a|b.*", NULL, NULL);
	buf_init(&b, 0);
	relabel_rules_encode(&f->rs, &b);
	for (n = 0; n < b.n; n++) {
		relabel_rules_init(&got);
		wire_reader_init(&r, b.p, n);
		assert_int_equal(relabel_rules_decode(&got, &r, &err), -1);
		relabel_rules_clear(&got);
	}
	for (n = 0; n < b.n; n++) {
		b.p[n] ^= 0x55;
		relabel_rules_init(&got);
		wire_reader_init(&r, b.p, b.n);
		(void)relabel_rules_decode(&got, &r, &err);
		relabel_rules_clear(&got);
		b.p[n] ^= 0x55;
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn)	cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		T(test_replace_paths),
		T(test_labelmap_snapshot),
		T(test_label_sets),
		T(test_arena_limit),
		T(test_case),
		T(test_hostile_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
