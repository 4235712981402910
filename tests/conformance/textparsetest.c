/* SPDX-License-Identifier: ISC */
/*
 * textparsetest DIR: runs the reference's exposition cases (DIR/valid.json
 * and DIR/errors.json) against common/exposition. Each body is parsed twice,
 * the second time by prediction, and both must give the same. Prints each
 * failure, the cases that need what is not built, and the counts.
 */

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/exposition/exposition.h"

struct tally {
	int	passed;
	int	failed;
	int	later;
};

struct bytes {
	char	*p;	/* with the newline the parser wants behind it */
	size_t	 n;
};

static int
b64_value(char c)
{
	const char *set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(set, c);

	return at == NULL ? -1 : (int)(at - set);
}

/* A JSON string, or {"b64": …} for what is not UTF-8. */
static struct bytes
bytes_of(const json_t *j)
{
	struct bytes b;
	const char *s;
	unsigned int acc = 0, bits = 0;

	if (json_is_string(j)) {
		b.n = json_string_length(j);
		b.p = malloc(b.n + 1);
		memcpy(b.p, json_string_value(j), b.n);
		b.p[b.n] = '\n';
		return b;
	}
	s = json_string_value(json_object_get(j, "b64"));
	b.p = malloc(strlen(s) + 1);
	b.n = 0;
	for (; b64_value(*s) != -1; s++) {
		acc = acc << 6 | (unsigned int)b64_value(*s);
		if ((bits += 6) >= 8) {
			bits -= 8;
			b.p[b.n++] = (char)(acc >> bits);
		}
	}
	b.p[b.n] = '\n';
	return b;
}

static enum expo_format
format_of(const json_t *c)
{
	return strcmp(json_string_value(json_object_get(c, "format")),
	    "openmetrics") == 0 ? EXPO_OPENMETRICS : EXPO_TEXT;
}

static bool
text_is(const json_t *want, struct str got)
{
	struct bytes b = bytes_of(want);
	bool same = str_eq(got, str_from(b.p, b.n));

	free(b.p);
	return same;
}

static bool
labels_are(const json_t *want, struct labels got)
{
	if (json_object_size(want) != got.n)
		return false;
	for (size_t i = 0; i < got.n; i++) {
		char *name = str_dup(got.l[i].name);
		json_t *v = json_object_get(want, name);

		free(name);
		if (v == NULL || !text_is(v, got.l[i].value))
			return false;
	}
	return true;
}

static bool
value_is(const json_t *want, double got)
{
	if (json_is_string(want))	/* the one word used: normal NaN */
		return double_bits(got) == NORMAL_NAN_BITS;
	return json_number_value(want) == got;
}

static bool
exemplars_are(const json_t *want, const struct expo_exemplar *got)
{
	json_t *e = json_array_get(want, 0);
	struct labels ls = { got->l, got->n };

	if (e == NULL)
		return !got->present;
	return got->present && labels_are(json_object_get(e, "Labels"), ls) &&
	    json_number_value(json_object_get(e, "Value")) == got->value &&
	    json_is_true(json_object_get(e, "HasTs")) == got->has_ts &&
	    (!got->has_ts || got->ts_ms ==
	    json_integer_value(json_object_get(e, "Ts")));
}

static bool
series_is(struct expo_parser *p, const json_t *want, bool predicted)
{
	struct arena a;
	struct labels ls;
	struct expo_exemplar ex;
	struct err err = ERR_INIT;
	json_t *ts = json_object_get(want, "timestamp_ms");
	bool ok;

	arena_init(&a, 0);
	ok = text_is(json_object_get(want, "series"), p->series) &&
	    value_is(json_object_get(want, "value"), p->value) &&
	    p->has_ts == (ts != NULL) &&
	    (ts == NULL || p->ts_ms == json_integer_value(ts));
	if (ok && !predicted)
		ok = expo_labels(p, &a, &ls, &err) == 0 &&
		    labels_are(json_object_get(want, "labels"), ls) &&
		    expo_exemplar(p, &a, &ex, &err) == 0 &&
		    exemplars_are(json_object_get(want, "exemplars"), &ex);
	arena_clear(&a);
	return ok;
}

static bool
entry_is(struct expo_parser *p, enum expo_entry got, const json_t *want,
    bool predicted)
{
	struct arena a;
	bool ok = false;

	arena_init(&a, 0);
	if (json_object_get(want, "type") != NULL)
		ok = got == EXPO_TYPE && strcmp(metric_type_name(p->type),
		    json_string_value(json_object_get(want, "type"))) == 0;
	else if (json_object_get(want, "help") != NULL)
		ok = got == EXPO_HELP && text_is(json_object_get(want,
		    "help"), expo_help_text(p, &a));
	else if (json_object_get(want, "unit") != NULL)
		ok = got == EXPO_UNIT &&
		    text_is(json_object_get(want, "unit"), p->text);
	else if (json_object_get(want, "comment") != NULL)
		ok = got == EXPO_COMMENT &&
		    text_is(json_object_get(want, "comment"), p->text);
	else
		ok = got == EXPO_SERIES && series_is(p, want, predicted);
	arena_clear(&a);
	return ok;
}

/* Parses the body; with predict, guesses every series from the case. */
static bool
run_valid(const json_t *c, bool predict)
{
	struct bytes body = bytes_of(json_object_get(c, "input"));
	json_t *entries = json_object_get(c, "entries"), *want;
	bool units = json_is_true(json_object_get(c, "type_and_unit_labels"));
	struct expo_parser p;
	struct err err = ERR_INIT;
	enum expo_entry got = EXPO_END;
	bool ok = true, hit = false;
	size_t i;

	expo_parser_init(&p);
	expo_parser_start(&p, format_of(c), str_from(body.p, body.n),
	    units ? EXPO_TYPE_AND_UNIT_LABELS : 0);
	json_array_foreach(entries, i, want) {
		struct bytes s = { NULL, 0 };

		hit = false;
		if (predict && json_object_get(want, "series") != NULL) {
			s = bytes_of(json_object_get(want, "series"));
			hit = expo_next_if(&p, s.n,
			    hash_xxh3(s.p, s.n));
		}
		got = hit ? EXPO_SERIES : expo_next(&p, &err);
		free(s.p);
		if (!entry_is(&p, got, want, hit)) {
			char *dump = json_dumps(want, 0);

			printf("FAIL %s entry %zu%s: want %s, got %d \"%.*s\" "
			    "%g %s\n", json_string_value(json_object_get(c,
			    "name")), i, predict ? " (predicted)" : "", dump,
			    got, STR_ARG(p.series), p.value, err.text);
			free(dump);
			ok = false;
			break;
		}
	}
	if (ok && (got = expo_next(&p, &err)) != EXPO_END) {
		printf("FAIL %s: end expected, got %d %s\n",
		    json_string_value(json_object_get(c, "name")), got,
		    err.text);
		ok = false;
	}
	expo_parser_clear(&p);
	free(body.p);
	return ok;
}

static bool
run_error(const json_t *c)
{
	struct bytes body = bytes_of(json_object_get(c, "input"));
	const char *want = json_string_value(json_object_get(c, "error"));
	struct expo_parser p;
	struct err err = ERR_INIT;
	enum expo_entry got;
	bool ok;

	expo_parser_init(&p);
	expo_parser_start(&p, format_of(c), str_from(body.p, body.n), 0);
	do
		got = expo_next(&p, &err);
	while (got > EXPO_END);
	ok = *want == '\0' ? got == EXPO_END :
	    got == EXPO_ERROR && strcmp(err.text, want) == 0;
	if (!ok) {
		char *dump = json_dumps(json_object_get(c, "input"),
		    JSON_ENCODE_ANY);

		printf("FAIL error case %s\n  want %s\n  got  %s\n", dump,
		    want, err.text);
		free(dump);
	}
	expo_parser_clear(&p);
	free(body.p);
	return ok;
}

static json_t *
load(const char *dir, const char *file)
{
	char path[4096];
	json_error_t e;
	json_t *j;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	j = json_load_file(path, JSON_ALLOW_NUL, &e);
	if (j == NULL) {
		fprintf(stderr, "textparsetest: %s: %s\n", path, e.text);
		exit(2);
	}
	return j;
}

int
main(int argc, char **argv)
{
	struct tally t = { 0, 0, 0 };
	json_t *cases, *c;
	bool ok;
	size_t i;

	if (argc != 2) {
		fprintf(stderr, "usage: textparsetest DIR\n");
		return 2;
	}
	cases = load(argv[1], "valid.json");
	json_array_foreach(cases, i, c) {
		if (json_is_true(json_object_get(c,
		    "created_lines_as_start_timestamp"))) {
			printf("later: %s (start timestamps)\n",
			    json_string_value(json_object_get(c, "name")));
			t.later++;
			continue;
		}
		ok = run_valid(c, false) && run_valid(c, true);
		*(ok ? &t.passed : &t.failed) += 1;
	}
	json_decref(cases);
	cases = load(argv[1], "errors.json");
	json_array_foreach(cases, i, c) {
		ok = run_error(c);
		*(ok ? &t.passed : &t.failed) += 1;
	}
	json_decref(cases);
	if (t.later != 0)
		printf("%d cases for later\n", t.later);
	printf("%d passed, %d failed\n", t.passed, t.failed);
	return t.failed != 0;
}
