/* SPDX-License-Identifier: ISC */
/* Label sets, their builder (against a naive twin), hash and text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/labels/labels.h"

#define TWIN_NAMES	300

static struct label
lab(const char *n, const char *v)
{
	return (struct label){ str_c(n), str_c(v) };
}

static void
assert_text(struct buf *b, const char *want)
{
	buf_add_byte(b, 0);
	assert_false(buf_failed(b));
	assert_string_equal(b->p, want);
	buf_clear(b);
}

static void
test_text(void **state)
{
	struct label l[] = { lab("__name__", "up"), lab("a.b", "x\ny\"\\"),
	    lab("job", "\xc3\xa9\xff\x01") };
	struct labels ls = { l, 3 };
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	labels_format(ls, &b);
	assert_text(&b, "{__name__=\"up\", \"a.b\"=\"x\\ny\\\"\\\\\", "
	    "job=\"\xc3\xa9\\xff\\x01\"}");
	labels_format_metric((struct labels){ l, 1 }, &b);
	assert_text(&b, "up");
	labels_format_metric((struct labels){ l + 2, 1 }, &b);
	assert_text(&b, "{job=\"\xc3\xa9\\xff\\x01\"}");
	labels_format_metric((struct labels){ NULL, 0 }, &b);
	assert_text(&b, "{}");
	labels_format(ls, &b);
	buf_clear(&b);
}

/* From 255 bytes on a length takes four. */
static void
test_hash_of_long_values(void **state)
{
	char value[2000], packed[2 + 4 + sizeof(value)];
	struct label l = { STR_LIT("a"), { value, 0 } };

	(void)state;
	memset(value, 'v', sizeof(value));
	l.value.n = 254;
	memcpy(packed, "\1a\376", 3);
	memcpy(packed + 3, value, 254);
	assert_true(labels_hash((struct labels){ &l, 1 }) ==
	    hash_xxh64(packed, 3 + 254));
	l.value.n = sizeof(value);
	memcpy(packed, "\1a\377\320\007\0", 6);
	memcpy(packed + 6, value, sizeof(value));
	assert_true(labels_hash((struct labels){ &l, 1 }) ==
	    hash_xxh64(packed, sizeof(packed)));
}

static void
test_order_and_hash(void **state)
{
	struct label a[] = { lab("a", "1"), lab("b", "2") };
	struct label c[] = { lab("a", "1"), lab("b", "3") };
	struct labels la = { a, 2 }, lc = { c, 2 };
	struct arena ar;
	struct labels copy;

	(void)state;
	assert_true(labels_cmp(la, lc) < 0);
	assert_true(labels_cmp((struct labels){ a, 1 }, la) < 0);
	assert_true(labels_cmp(la, la) == 0);
	assert_true(labels_eq(la, la) && !labels_eq(la, lc));
	assert_true(labels_hash(la) != labels_hash(lc));
	assert_true(labels_hash(la) == hash_xxh64("\1a\0011\1b\0012", 8));
	arena_init(&ar, 0);
	copy = labels_copy(&ar, la);
	assert_true(labels_eq(copy, la));
	assert_true(labels_hash(copy) == labels_hash(la));
	assert_true(copy.l != la.l);
	assert_true(str_eq_c(labels_get(copy, STR_LIT("b")), "2"));
	assert_null(labels_get(copy, STR_LIT("x")).p);
	arena_clear(&ar);
}

static void
test_names(void **state)
{
	(void)state;
	assert_true(label_name_is_legacy(STR_LIT("_a9")));
	assert_false(label_name_is_legacy(STR_LIT("9a")));
	assert_false(label_name_is_legacy(STR_LIT("a:b")));
	assert_true(metric_name_is_legacy(STR_LIT("a:b")));
	assert_false(label_name_is_legacy(STR_EMPTY));
	assert_false(label_name_is_valid(STR_EMPTY));
	assert_false(label_name_is_valid(STR_LIT("\xff")));
	assert_true(label_name_is_valid(STR_LIT("a.b")));
}

static void
check_twin(struct labels_builder *b, char names[][16],
    const char *values[TWIN_NAMES])
{
	struct labels ls = labels_builder_labels(b);
	size_t i, n = 0;

	for (i = 0; i < TWIN_NAMES; i++) {
		if (values[i] == NULL)
			continue;
		assert_true(n < ls.n);
		assert_true(str_eq_c(ls.l[n].name, names[i]));
		assert_true(str_eq_c(ls.l[n].value, values[i]));
		n++;
	}
	assert_int_equal(ls.n, n);
}

static void
test_builder_against_twin(void **state)
{
	static const char *const some[] = { "x", "yy", "zzz" };
	const char *values[TWIN_NAMES] = { NULL };
	char names[TWIN_NAMES][16];
	struct labels_builder b;
	unsigned seed = 42, k, what;
	struct str got;
	int i;

	(void)state;
	for (i = 0; i < TWIN_NAMES; i++)
		(void)snprintf(names[i], sizeof(names[i]), "n%04d", i);
	labels_builder_init(&b);
	for (i = 0; i < 20000; i++) {
		k = (unsigned)rand_r(&seed) % TWIN_NAMES;
		what = (unsigned)rand_r(&seed) % 16;
		if (what == 0 && i % 50 == 0)
			check_twin(&b, names, values);
		else if (what < 5) {
			labels_builder_del(&b, str_c(names[k]));
			values[k] = NULL;
		} else if (what < 13) {
			values[k] = some[(unsigned)rand_r(&seed) % 3];
			labels_builder_set(&b, str_c(names[k]),
			    str_c(values[k]));
		}
		got = labels_builder_get(&b, str_c(names[k]));
		assert_true(str_eq_c(got, values[k] == NULL ? "" : values[k]));
		if (i % 5000 == 4999) {
			check_twin(&b, names, values);
			memset(values, 0, sizeof(values));
			labels_builder_reset(&b, (struct labels){ NULL, 0 });
		}
	}
	assert_false(b.failed);
	labels_builder_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_order_and_hash),
		cmocka_unit_test(test_hash_of_long_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_builder_against_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
