/* SPDX-License-Identifier: ISC */

/*
 * Values of the command line: setting, reading and printing one. The words
 * of the command line are taken apart in flags_parse.c.
 */

#include "supervisor/flags.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/duration.h"
#include "common/base/quote.h"
#include "common/base/vec.h"

const struct flag_def flag_defs[FLAG_COUNT] = {
#define X(id, name, type, def, mode, attrs, since, values, help) \
	[FLAG_##id] = { name, FLAG_TYPE_##type, def, FLAG_MODE_##mode, attrs, \
	    since, values, help },
	FLAG_TABLE(X)
#undef X
};

const struct feature_def feature_defs[FEATURE_COUNT] = {
#define X(id, name, state, flag) \
	[FEATURE_##id] = { name, FEATURE_STATE_##state, flag },
	FEATURE_TABLE(X)
#undef X
};

static void
value_drop_items(struct flag_value *v)
{
	for (size_t i = 0; i < v->n_items; i++)
		free(v->items[i]);
	v->n_items = 0;
}

static void
value_add_item(struct flag_value *v, const char *text)
{
	if (vec_grow(&v->items, &v->cap_items, v->n_items + 1,
	    sizeof(*v->items)) == -1)
		fatal("out of memory");
	v->items[v->n_items++] = xstrdup(text);
}

/* Index of text in "a,b,c", -1 when it is none of them. */
static int
words_find(const char *words, const char *text, bool any_case)
{
	size_t n = strlen(text);
	int i = 0;

	for (const char *w = words;; i++) {
		size_t len = strcspn(w, ",");

		if (len == n && (any_case ? strncasecmp(w, text, n) :
		    strncmp(w, text, n)) == 0)
			return i;
		if (w[len] == '\0')
			return -1;
		w += len + 1;
	}
}

static int
refuse_number(struct err *err, const char *call, const char *text,
    const char *why)
{
	struct buf quoted;

	buf_init(&quoted, 0);
	quote_add(&quoted, str_c(text));
	err_set(err, ERR_BAD_DATA, "strconv.%s: parsing %.*s: %s", call,
	    STR_ARG(buf_str(&quoted)), why);
	buf_clear(&quoted);
	return -1;
}

static int
parse_float(const char *text, double *out, struct err *err)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	if (*text == '\0' || isspace((unsigned char)*text) || *end != '\0')
		return refuse_number(err, "ParseFloat", text, "invalid syntax");
	if (errno == ERANGE && isinf(*out))
		return refuse_number(err, "ParseFloat", text,
		    "value out of range");
	return 0;
}

static int
parse_int(const char *text, int64_t *out, struct err *err)
{
	double f;

	if (parse_float(text, &f, err) == -1)
		return -1;
	if (!(f > -9.2e18 && f < 9.2e18))
		return refuse_number(err, "ParseFloat", text,
		    "value out of range");
	*out = (int64_t)f;
	return 0;
}

static int
parse_int64(const char *text, int64_t *out, struct err *err)
{
	const char *p = text + (*text == '-' || *text == '+');
	int base = 0;
	char *end;

	/* Go's two prefixes that strtoll does not know. */
	if (p[0] == '0' && (p[1] == 'b' || p[1] == 'B'))
		base = 2;
	else if (p[0] == '0' && (p[1] == 'o' || p[1] == 'O'))
		base = 8;
	if (base != 0)
		p += 2;
	errno = 0;
	*out = strtoll(p, &end, base);
	if (!isalnum((unsigned char)*p) || *end != '\0')
		return refuse_number(err, "ParseInt", text, "invalid syntax");
	if (errno == ERANGE)
		return refuse_number(err, "ParseInt", text, "value out of range");
	if (base != 0 && *text == '-')
		*out = -*out;	/* its sign stood before the prefix */
	return 0;
}

static int
parse_enum(const struct flag_def *d, const char *text, int64_t *out,
    struct err *err)
{
	bool is_level = d->type == FLAG_TYPE_LOG_LEVEL;
	int i = words_find(d->values, text, is_level);

	if (i >= 0) {
		*out = i;
		return 0;
	}
	if (is_level)
		return err_set(err, ERR_BAD_DATA, "unrecognized log level %s", text);
	if (d->type == FLAG_TYPE_LOG_FORMAT)
		return err_set(err, ERR_BAD_DATA, "unrecognized log format %s", text);
	if (d->type == FLAG_TYPE_ENUMS)
		return err_set(err, ERR_BAD_DATA,
		    "unknown type for remote write protobuf message %s, "
		    "supported: %s", text, d->values);
	return err_set(err, ERR_BAD_DATA,
	    "enum value must be one of %s, got '%s'", d->values, text);
}

/* Checks text and computes the number; changes nothing but *i and *f. */
static int
value_parse(const struct flag_def *d, const char *text, int64_t *i, double *f,
    struct err *err)
{
	switch (d->type) {
	case FLAG_TYPE_BOOL:
		*i = strcmp(text, "true") == 0;
		return 0;
	case FLAG_TYPE_STRING:
	case FLAG_TYPE_STRINGS:
		return 0;
	case FLAG_TYPE_INT:
		return parse_int(text, i, err);
	case FLAG_TYPE_INT64:
		return parse_int64(text, i, err);
	case FLAG_TYPE_FLOAT:
		return parse_float(text, f, err);
	case FLAG_TYPE_DURATION:
		return duration_parse(str_c(text), i, err);
	case FLAG_TYPE_GO_DURATION:
		return duration_parse_go(str_c(text), i, err);
	case FLAG_TYPE_BYTES:
		return bytes_parse(str_c(text), i, err);
	case FLAG_TYPE_ENUM:
	case FLAG_TYPE_ENUMS:
	case FLAG_TYPE_LOG_LEVEL:
	case FLAG_TYPE_LOG_FORMAT:
		return parse_enum(d, text, i, err);
	}
	return 0;
}

static int
value_check_duplicate(const struct flag_value *v, const char *text,
    struct err *err)
{
	for (size_t i = 0; i < v->n_items; i++)
		if (strcmp(v->items[i], text) == 0)
			return err_set(err, ERR_BAD_DATA,
			    "duplicated %s flag value, got %s already", text, text);
	return 0;
}

int
flags_set(struct flags *f, enum flag_id id, const char *text, struct err *err)
{
	const struct flag_def *d = &flag_defs[id];
	struct flag_value *v = &f->v[id];
	int64_t i = 0;
	double x = 0;

	if (v->set && (d->attrs & FA_REPEAT) == 0)
		return err_set(err, ERR_BAD_DATA, "flag '%s' cannot be repeated",
		    d->name);
	if (value_parse(d, text, &i, &x, err) == -1)
		return -1;
	if (v->set && d->type == FLAG_TYPE_ENUMS &&
	    value_check_duplicate(v, text, err) == -1)
		return -1;
	if (!v->set)
		value_drop_items(v);	/* the default */
	v->set = true;
	v->i = i;
	v->f = x;
	value_add_item(v, text);
	return 0;
}

static void
value_set_default(struct flag_value *v, const struct flag_def *d)
{
	struct err err = ERR_INIT;

	if (d->def == NULL)
		return;
	if (d->type != FLAG_TYPE_ENUMS &&
	    value_parse(d, d->def, &v->i, &v->f, &err) == -1)
		fatal("default of --%s: %s", d->name, err.text);
	if (d->type != FLAG_TYPE_ENUMS) {
		value_add_item(v, d->def);
		return;
	}
	for (const char *w = d->def; *w != '\0'; ) {
		size_t len = strcspn(w, ",");
		char *one = str_dup(str_from(w, len));

		if (one == NULL)
			fatal("out of memory");
		value_add_item(v, one);
		free(one);
		w += len + (w[len] == ',');
	}
}

void
flags_init(struct flags *f)
{
	memset(f, 0, sizeof(*f));
	for (size_t id = 0; id < FLAG_COUNT; id++)
		value_set_default(&f->v[id], &flag_defs[id]);
}

void
flags_clear(struct flags *f)
{
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		value_drop_items(&f->v[id]);
		free(f->v[id].items);
	}
	memset(f, 0, sizeof(*f));
}

void
flags_result_init(struct flags_result *r)
{
	r->exit_code = FLAGS_GO_ON;
	buf_init(&r->out, 0);
	buf_init(&r->err, 0);
}

void
flags_result_clear(struct flags_result *r)
{
	buf_clear(&r->out);
	buf_clear(&r->err);
}

enum flag_id
flags_find(struct str name)
{
	for (size_t id = 0; id < FLAG_COUNT; id++)
		if (str_eq_c(name, flag_defs[id].name))
			return (enum flag_id)id;
	return FLAG_COUNT;
}

const char *
flags_str(const struct flags *f, enum flag_id id)
{
	return f->v[id].n_items == 0 ? "" : f->v[id].items[0];
}

static void
format_items(const struct flag_value *v, const char *separator,
    struct buf *out)
{
	for (size_t i = 0; i < v->n_items; i++) {
		if (i > 0)
			buf_add_c(out, separator);
		buf_add_c(out, v->items[i]);
	}
}

void
flags_format(const struct flags *f, enum flag_id id, struct buf *out)
{
	const struct flag_value *v = &f->v[id];
	char text[64];

	switch (flag_defs[id].type) {
	case FLAG_TYPE_BOOL:
		buf_add_c(out, v->i != 0 ? "true" : "false");
		return;
	case FLAG_TYPE_INT:
	case FLAG_TYPE_INT64:
		buf_add_i64_text(out, v->i);
		return;
	case FLAG_TYPE_FLOAT:
		buf_printf(out, "%.15g", v->f);
		return;
	case FLAG_TYPE_DURATION:
		duration_format(v->i, text);
		break;
	case FLAG_TYPE_GO_DURATION:
		duration_format_go(v->i, text);
		break;
	case FLAG_TYPE_BYTES:
		bytes_format(v->i, text);
		break;
	case FLAG_TYPE_ENUMS:
		format_items(v, ", ", out);
		return;
	case FLAG_TYPE_LOG_LEVEL:
		for (const char *p = flags_str(f, id); *p != '\0'; p++)
			buf_add_byte(out, (uint8_t)tolower((unsigned char)*p));
		return;
	case FLAG_TYPE_STRING:
	case FLAG_TYPE_STRINGS:
	case FLAG_TYPE_ENUM:
	case FLAG_TYPE_LOG_FORMAT:
		format_items(v, ",", out);
		return;
	}
	buf_add_c(out, text);
}

void
flags_override_str(struct flags *f, enum flag_id id, const char *text)
{
	char *copy = xstrdup(text);	/* text may be the old value */

	value_drop_items(&f->v[id]);
	value_add_item(&f->v[id], copy);
	free(copy);
}

void
flags_override_int(struct flags *f, enum flag_id id, int64_t i)
{
	f->v[id].i = i;
}
