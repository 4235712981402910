/* SPDX-License-Identifier: ISC */

/*
 * See api.h. The answer comes from a server that may be anything: every
 * member is checked for its type before it is used.
 */

#include "supervisor/ctl/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/float_text.h"
#include "common/base/quote.h"
#include "common/base/vec.h"
#include "supervisor/ctl/http_get.h"

static json_t *
api_decode(struct str body, long status, struct err *err)
{
	json_error_t why;
	json_t *root = json_loadb(body.p, body.n, 0, &why), *data;
	const char *word;

	if (!json_is_object(root)) {
		json_decref(root);
		if (status / 100 == 2)
			err_set(err, ERR_BAD_DATA, "bad_response: the answer is "
			    "no JSON object");
		else
			err_set(err, ERR_BAD_DATA, "%s_error: %s error: %ld",
			    status / 100 == 5 ? "server" : "client",
			    status / 100 == 5 ? "server" : "client", status);
		return NULL;
	}
	word = json_string_value(json_object_get(root, "status"));
	data = json_object_get(root, "data");
	if (word != NULL && strcmp(word, "success") == 0 && data != NULL) {
		json_incref(data);
		json_decref(root);
		return data;
	}
	word = json_string_value(json_object_get(root, "errorType"));
	err_set(err, ERR_BAD_DATA, "%s: %s", word == NULL ? "bad_response" : word,
	    json_is_string(json_object_get(root, "error")) ?
	    json_string_value(json_object_get(root, "error")) : "");
	json_decref(root);
	return NULL;
}

json_t *
api_request(const char *server, const char *path, struct str form,
    struct err *err)
{
	json_t *data = NULL;
	long status = 0;
	struct buf body;

	buf_init(&body, HTTP_ANSWER_MAX);
	if (http_request(server, path, form, &body, &status, err) == 0)
		data = api_decode(buf_str(&body), status, err);
	buf_clear(&body);
	return data;
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
api_print_metric(struct buf *out, const json_t *metric)
{
	json_t *m = json_incref((json_t *)(uintptr_t)metric);
	const char *name = json_string_value(json_object_get(m, "__name__"));
	char **pairs = xcalloc(json_object_size(m) + 1, sizeof(*pairs));
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach(m, key, value) {
		struct buf b;

		if (strcmp(key, "__name__") == 0 || !json_is_string(value))
			continue;
		buf_init(&b, 0);
		buf_printf(&b, "%s=", key);
		quote_add(&b, str_from(json_string_value(value),
		    json_string_length(value)));
		buf_add_byte(&b, '\0');
		pairs[n++] = b.p;
	}
	qsort(pairs, n, sizeof(*pairs), compare_text);
	if (name != NULL)
		buf_add_c(out, name);
	if (n > 0 || name == NULL) {
		buf_add_byte(out, '{');
		for (size_t i = 0; i < n; i++)
			buf_printf(out, "%s%s", i == 0 ? "" : ", ", pairs[i]);
		buf_add_byte(out, '}');
	}
	for (size_t i = 0; i < n; i++)
		free(pairs[i]);
	free(pairs);
	json_decref(m);
}

static void
print_float(struct buf *out, double v)
{
	char text[FLOAT_TEXT_MAX];

	buf_add(out, text, float_format_f(v, text));
}

static void
print_value_text(struct buf *out, const json_t *v)
{
	const char *text = json_string_value(v);
	double d;

	if (text != NULL && float_parse(text, strlen(text), &d))
		print_float(out, d);
	else if (text != NULL)
		buf_add_c(out, text);
}

/* " @[1435781451.781]": milliseconds, no zeros at the end. */
static void
print_time(struct buf *out, const json_t *t)
{
	buf_add_c(out, " @[");
	print_float(out, round(json_number_value(t) * 1000) / 1000);
	buf_add_byte(out, ']');
}

static double
number_of(const json_t *v)
{
	double d = 0;

	if (json_is_string(v))
		(void)float_parse(json_string_value(v), json_string_length(v), &d);
	else
		d = json_number_value(v);
	return d;
}

static void
print_histogram(struct buf *out, const json_t *h)
{
	json_t *buckets = json_object_get(h, "buckets"), *b;
	size_t i;

	buf_printf(out, "Count: %f, Sum: %f, Buckets: [",
	    number_of(json_object_get(h, "count")),
	    number_of(json_object_get(h, "sum")));
	json_array_foreach(buckets, i, b) {
		json_int_t rule = json_integer_value(json_array_get(b, 0));

		buf_printf(out, "%s%c%g,%g%c:%g", i == 0 ? "" : " ",
		    rule == 1 || rule == 3 ? '[' : '(',
		    number_of(json_array_get(b, 1)),
		    number_of(json_array_get(b, 2)),
		    rule == 0 || rule == 3 ? ']' : ')',
		    number_of(json_array_get(b, 3)));
	}
	buf_add_byte(out, ']');
}

static void
print_pair(struct buf *out, const json_t *pair, bool is_histogram)
{
	if (is_histogram)
		print_histogram(out, json_array_get(pair, 1));
	else
		print_value_text(out, json_array_get(pair, 1));
	print_time(out, json_array_get(pair, 0));
}

static void
print_series(struct buf *out, const json_t *series)
{
	static const struct { const char *key; bool many, histogram; } keys[] = {
		{ "value", false, false }, { "histogram", false, true },
		{ "values", true, false }, { "histograms", true, true },
	};

	api_print_metric(out, json_object_get(series, "metric"));
	buf_add_c(out, " =>");
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		json_t *v = json_object_get(series, keys[k].key), *pair;
		size_t i;

		if (v == NULL)
			continue;
		if (!keys[k].many) {
			buf_add_byte(out, ' ');
			print_pair(out, v, keys[k].histogram);
			continue;
		}
		json_array_foreach(v, i, pair) {
			buf_add_byte(out, '\n');
			print_pair(out, pair, keys[k].histogram);
		}
	}
	buf_add_byte(out, '\n');
}

int
api_print_value(struct buf *out, const json_t *data, struct err *err)
{
	const char *type = json_string_value(json_object_get(data, "resultType"));
	json_t *result = json_object_get(data, "result"), *series;
	size_t i;

	if (type == NULL || !json_is_array(result))
		return err_set(err, ERR_BAD_DATA, "bad_response: no result");
	if (strcmp(type, "scalar") == 0) {
		buf_add_c(out, "scalar: ");
		print_pair(out, result, false);
		buf_add_byte(out, '\n');
	} else if (strcmp(type, "string") == 0) {
		buf_printf(out, "%s\n", json_is_string(json_array_get(result, 1)) ?
		    json_string_value(json_array_get(result, 1)) : "");
	} else
		json_array_foreach(result, i, series)
			print_series(out, series);
	return 0;
}
