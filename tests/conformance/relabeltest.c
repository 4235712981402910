/* SPDX-License-Identifier: ISC */
/*
 * Runs the reference's relabelling cases: DIR/relabel.json (labels in,
 * rules, labels out) and DIR/validate.json (a rule and the error it gives).
 * Each set of rules is also sent through its encoding. Usage: relabeltest DIR
 */

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/labels/relabel.h"

struct tally { int passed, failed; };

static void
fail(struct tally *t, const char *file, size_t i, const char *what)
{
	t->failed++;
	printf("%s[%zu]: %s\n", file, i, what);
}

static struct str
text(const json_t *v)
{
	if (!json_is_string(v))
		return STR_EMPTY;
	return str_from(json_string_value(v), json_string_length(v));
}

static void
set_text(const json_t *obj, const char *key, struct str *out)
{
	const json_t *v = json_object_get(obj, key);

	if (v != NULL)
		*out = text(v);
}

/* Source label names are kept in names (room for 16). */
static int
read_spec(const json_t *c, struct str *names, struct relabel_spec *spec)
{
	json_t *src = json_object_get(c, "source_labels");
	json_t *action = json_object_get(c, "action");
	size_t i;

	*spec = relabel_spec_default();
	if (src != NULL) {
		spec->has_source_labels = true;
		spec->n_source_labels = json_array_size(src);
		if (spec->n_source_labels > 16)
			return -1;
		for (i = 0; i < spec->n_source_labels; i++)
			names[i] = text(json_array_get(src, i));
		spec->source_labels = names;
	}
	spec->has_regex = json_object_get(c, "regex") != NULL;
	set_text(c, "separator", &spec->separator);
	set_text(c, "target_label", &spec->target_label);
	set_text(c, "regex", &spec->regex);
	set_text(c, "replacement", &spec->replacement);
	spec->modulus = (uint64_t)json_integer_value(
	    json_object_get(c, "modulus"));
	if (action != NULL &&
	    !relabel_action_parse(text(action), &spec->action))
		return -1;
	return 0;
}

static int
read_rules(const json_t *configs, struct relabel_rules *out, struct err *err)
{
	struct relabel_rules rs;
	struct relabel_spec spec;
	struct wire_reader r;
	struct str names[16];
	struct buf bytes;
	json_t *c;
	size_t i;
	int rc = 0;

	relabel_rules_init(&rs);
	json_array_foreach(configs, i, c) {
		if (read_spec(c, names, &spec) == -1)
			rc = err_set(err, ERR_BAD_DATA, "unreadable case");
		else if (relabel_rules_add(&rs, &spec, err) == -1)
			rc = -1;
		if (rc == -1)
			break;
	}
	if (rc == 0) {
		buf_init(&bytes, 0);
		relabel_rules_encode(&rs, &bytes);
		wire_reader_init(&r, bytes.p, bytes.n);
		rc = relabel_rules_decode(out, &r, err);
		if (rc == 0 && !wire_end(&r))
			rc = err_set(err, ERR_BAD_DATA, "left-over bytes");
		buf_clear(&bytes);
	}
	relabel_rules_clear(&rs);
	return rc;
}

static bool
same_labels(struct labels ls, json_t *want)
{
	const char *name;
	json_t *v;
	struct str got;

	if (ls.n != json_object_size(want))
		return false;
	json_object_foreach(want, name, v) {
		got = labels_get(ls, str_c(name));
		if (got.p == NULL || !str_eq(got, text(v)))
			return false;
	}
	return true;
}

static void
run_case(struct tally *t, const char *file, size_t i, json_t *c)
{
	json_t *in = json_object_get(c, "input"), *v;
	bool drop = json_is_true(json_object_get(c, "drop")), keep;
	struct err err = ERR_INIT;
	struct relabel_rules rs;
	struct labels_builder b;
	const char *name;
	struct arena a;

	relabel_rules_init(&rs);
	labels_builder_init(&b);
	arena_init(&a, 0);
	json_object_foreach(in, name, v)
		labels_builder_set(&b, str_c(name), text(v));
	if (read_rules(json_object_get(c, "relabel_configs"), &rs,
	    &err) == -1)
		fail(t, file, i, err.text);
	else {
		keep = relabel_apply(&rs, &b, &a);
		if (keep == drop)
			fail(t, file, i, keep ? "kept" : "dropped");
		else if (keep && !same_labels(labels_builder_labels(&b),
		    json_object_get(c, "output")))
			fail(t, file, i, "other labels");
		else
			t->passed++;
	}
	relabel_rules_clear(&rs);
	labels_builder_clear(&b);
	arena_clear(&a);
}

static void
validate_case(struct tally *t, const char *file, size_t i, json_t *c)
{
	const char *want = json_string_value(
	    json_object_get(c, "error_contains"));
	struct err err = ERR_INIT;
	struct relabel_spec spec;
	struct str names[16];
	int rc;

	if (want == NULL ||
	    read_spec(json_object_get(c, "config"), names, &spec) == -1) {
		fail(t, file, i, "unreadable case");
		return;
	}
	spec.names = str_eq_c(text(json_object_get(c, "name_validation")),
	    "legacy") ? NAME_VALIDATION_LEGACY : NAME_VALIDATION_UTF8;
	rc = relabel_spec_check(&spec, &err);
	if (rc == 0 ? want[0] != '\0' :
	    want[0] == '\0' || strstr(err.text, want) == NULL)
		fail(t, file, i, rc == 0 ? "accepted" : err.text);
	else
		t->passed++;
}

static void
run_file(struct tally *t, const char *dir, const char *file,
    void (*run)(struct tally *, const char *, size_t, json_t *))
{
	char path[4096];
	json_error_t jerr;
	json_t *doc, *c;
	size_t i;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	doc = json_load_file(path, JSON_ALLOW_NUL, &jerr);
	if (!json_is_array(doc)) {
		fail(t, file, 0, jerr.text);
		return;
	}
	json_array_foreach(doc, i, c)
		run(t, file, i, c);
	json_decref(doc);
}

int
main(int argc, char **argv)
{
	struct tally t = { 0, 0 };

	if (argc != 2) {
		fprintf(stderr, "usage: relabeltest DIR\n");
		return 2;
	}
	run_file(&t, argv[1], "relabel.json", run_case);
	run_file(&t, argv[1], "validate.json", validate_case);
	printf("%d passed, %d failed\n", t.passed, t.failed);
	return t.failed != 0;
}
