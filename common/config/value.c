/* SPDX-License-Identifier: ISC */
/*
 * Decoding YAML nodes into values by the tables. Printing is value_print.c,
 * paths are value_path.c.
 */

#include "common/config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/duration.h"
#include "common/base/quote.h"
#include "common/base/regex.h"

const struct cfg_type cfg_bool = { .kind = CFG_BOOL, .go_name = "bool" };
const struct cfg_type cfg_int = { .kind = CFG_INT, .go_name = "int" };
const struct cfg_type cfg_int64 = { .kind = CFG_INT, .go_name = "int64" };
const struct cfg_type cfg_uint = { .kind = CFG_UINT, .go_name = "uint" };
const struct cfg_type cfg_uint64 = { .kind = CFG_UINT, .go_name = "uint64" };
const struct cfg_type cfg_float = { .kind = CFG_FLOAT,
    .go_name = "float64" };
const struct cfg_type cfg_string = { .kind = CFG_STR, .go_name = "string" };
const struct cfg_type cfg_path = { .kind = CFG_PATH, .go_name = "string" };
const struct cfg_type cfg_secret = { .kind = CFG_SECRET,
    .go_name = "config.plain" };
const struct cfg_type cfg_url = { .kind = CFG_URL, .go_name = "string" };
const struct cfg_type cfg_regex = { .kind = CFG_REGEX, .go_name = "string" };
const struct cfg_type cfg_duration = { .kind = CFG_DURATION,
    .go_name = "string" };
const struct cfg_type cfg_bytes = { .kind = CFG_BYTES,
    .go_name = "units.Base2Bytes" };
const struct cfg_type cfg_strings = { .kind = CFG_LIST, .elem = &cfg_string };
const struct cfg_type cfg_paths = { .kind = CFG_LIST, .elem = &cfg_path };
const struct cfg_type cfg_secrets = { .kind = CFG_LIST, .elem = &cfg_secret,
    .go_name = "[]config.Secret" };
const struct cfg_type cfg_string_map = { .kind = CFG_MAP,
    .elem = &cfg_string };
const struct cfg_type cfg_secrets_map = { .kind = CFG_MAP,
    .elem = &cfg_secrets };
const struct cfg_type cfg_strings_map = { .kind = CFG_MAP,
    .elem = &cfg_strings };

static const struct cfg_type any = { .kind = CFG_ANY,
    .go_name = "interface {}" };
const struct cfg_type cfg_any_map = { .kind = CFG_MAP, .elem = &any };

/* Type errors beyond these are not kept. */
#define TYPE_ERRORS_BYTES	600

void
cfg_reader_init(struct cfg_reader *r, struct arena *mem, struct err *err)
{
	*r = (struct cfg_reader){ .mem = mem, .err = err };
	buf_init(&r->type_errors, 0);
}

void
cfg_reader_clear(struct cfg_reader *r)
{
	buf_clear(&r->type_errors);
}

/* --- errors --- */

int
cfg_fail(struct cfg_reader *r, uint32_t line, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (r->failed)
		return -1;
	r->failed = true;
	r->err_line = line;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(r->err, ERR_BAD_DATA, "%s", text);
}

int
cfg_fail_quoted(struct cfg_reader *r, uint32_t line, struct str s,
    const char *fmt, ...)
{
	struct buf text;
	va_list ap;

	buf_init(&text, ERR_TEXT_MAX);
	quote_add(&text, s);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	(void)cfg_fail(r, line, "%.*s", STR_ARG(buf_str(&text)));
	buf_clear(&text);
	return -1;
}

static int
no_memory(struct cfg_reader *r)
{
	if (!r->failed) {
		r->failed = true;
		(void)err_set(r->err, ERR_NOMEM, "out of memory");
	}
	return -1;
}

static void
note(struct cfg_reader *r, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
note(struct cfg_reader *r, uint32_t line, const char *fmt, ...)
{
	va_list ap;

	if (r->n_type_errors++ == 0)
		r->err_line = line;
	if (r->type_errors.n > TYPE_ERRORS_BYTES)
		return;
	buf_printf(&r->type_errors, "\n  line %u: ", line);
	va_start(ap, fmt);
	buf_vprintf(&r->type_errors, fmt, ap);
	va_end(ap);
}

static void
add_type_name(struct buf *b, const struct cfg_type *t)
{
	for (; t->go_name == NULL; t = t->elem) {
		buf_add_c(b, t->kind == CFG_LIST ? "[]" : "map[string]");
		if (t->elem_is_ptr)
			buf_add_byte(b, '*');
	}
	buf_add_c(b, t->go_name);
}

static int
wrong_type(struct cfg_reader *r, const struct yaml_node *n,
    const struct cfg_type *t)
{
	struct buf name;

	buf_init(&name, 0);
	add_type_name(&name, t);
	buf_add_byte(&name, '\0');
	if (n->kind != YAML_KIND_SCALAR)
		note(r, n->line, "cannot unmarshal %s into %s",
		    yaml_tag_name(n->tag), name.p);
	else
		note(r, n->line, "cannot unmarshal %s `%.*s%s` into %s",
		    yaml_tag_name(n->tag),
		    (int)(n->value.n > 10 ? 7 : n->value.n), n->value.p,
		    n->value.n > 10 ? "..." : "", name.p);
	buf_clear(&name);
	return -1;
}

/* --- zero and default --- */

static int
new_fields(struct cfg_reader *r, struct cfg_val *v)
{
	v->u.fields = arena_zalloc(r->mem,
	    v->type->n_fields * sizeof(*v->u.fields));
	return v->u.fields == NULL ? no_memory(r) : 0;
}

static int
set_zero(struct cfg_reader *r, struct cfg_val *v, const struct cfg_type *t,
    unsigned flags)
{
	uint32_t line = v->line;
	size_t i;

	*v = (struct cfg_val){ .type = t, .line = line };
	v->is_nil = (flags & CFG_PTR) || t->kind == CFG_LIST ||
	    t->kind == CFG_MAP;
	if (t->kind == CFG_STR || t->kind == CFG_PATH ||
	    t->kind == CFG_SECRET || t->kind == CFG_URL ||
	    t->kind == CFG_REGEX)
		v->u.s = STR_EMPTY;
	if (t->kind != CFG_STRUCT || v->is_nil)
		return 0;
	if (new_fields(r, v) == -1)
		return -1;
	for (i = 0; i < t->n_fields; i++)
		if (set_zero(r, &v->u.fields[i], t->fields[i].type,
		    t->fields[i].flags) == -1)
			return -1;
	return 0;
}

static int decode(struct cfg_reader *, const struct yaml_node *,
    struct cfg_val *, unsigned);

static int
init_field(struct cfg_reader *r, struct cfg_val *v, const struct cfg_field *f)
{
	struct yaml_node n = { .kind = YAML_KIND_SCALAR };

	*v = (struct cfg_val){ 0 };
	if (f->type->kind == CFG_STRUCT && !(f->flags & CFG_PTR))
		return cfg_init_default(r, v, f->type);
	if (set_zero(r, v, f->type, f->flags) == -1)
		return -1;
	if (f->def == NULL)
		return 0;
	n.value = str_c(f->def);
	n.tag = yaml_resolve(n.value);
	if (decode(r, &n, v, f->flags) == -1)
		return -1;
	v->present = false;
	v->is_zero_regex = f->type->kind == CFG_REGEX;
	return 0;
}

int
cfg_init_default(struct cfg_reader *r, struct cfg_val *v,
    const struct cfg_type *type)
{
	size_t i;

	*v = (struct cfg_val){ .type = type };
	if (type->kind != CFG_STRUCT)
		return set_zero(r, v, type, 0);
	if (new_fields(r, v) == -1)
		return -1;
	for (i = 0; i < type->n_fields; i++)
		if (init_field(r, &v->u.fields[i], &type->fields[i]) == -1)
			return -1;
	return 0;
}

/* --- scalars --- */

static int
decode_number(struct cfg_reader *r, const struct yaml_node *n,
    struct cfg_val *v)
{
	double f;

	switch (v->type->kind) {
	case CFG_INT:
		if (n->tag == YAML_TAG_INT && yaml_to_int(n->value, &v->u.i))
			return 0;
		if (n->tag == YAML_TAG_FLOAT && yaml_to_float(n->value, &f) &&
		    f >= -9e18 && f <= 9e18) {
			v->u.i = (int64_t)f;
			return 0;
		}
		break;
	case CFG_UINT:
		if (n->tag == YAML_TAG_INT && yaml_to_uint(n->value, &v->u.u))
			return 0;
		if (n->tag == YAML_TAG_FLOAT && yaml_to_float(n->value, &f) &&
		    f >= 0 && f <= 1.8e19) {
			v->u.u = (uint64_t)f;
			return 0;
		}
		break;
	default:
		if ((n->tag == YAML_TAG_INT || n->tag == YAML_TAG_FLOAT) &&
		    yaml_to_float(n->value, &v->u.f))
			return 0;
		if (n->tag == YAML_TAG_INT && yaml_to_int(n->value, &v->u.i)) {
			v->u.f = (double)v->u.i;	/* 0x10 */
			return 0;
		}
		break;
	}
	return wrong_type(r, n, v->type);
}

static int
decode_measure(struct cfg_reader *r, const struct yaml_node *n,
    struct cfg_val *v)
{
	struct err e = ERR_INIT;
	int rc;

	if (v->type->kind == CFG_DURATION)
		rc = duration_parse(n->value, &v->u.i, &e);
	else
		rc = bytes_parse(n->value, &v->u.i, &e);
	return rc == 0 ? 0 : cfg_fail(r, n->line, "%s", e.text);
}

/* Wrapped as the reference does it, because its errors show that. */
static int
check_regex(struct cfg_reader *r, const struct yaml_node *n)
{
	struct err e = ERR_INIT;
	struct regex *re;
	struct buf text;

	buf_init(&text, 0);
	buf_add_c(&text, "^(?s:");
	buf_add_str(&text, n->value);
	buf_add_c(&text, ")$");
	re = regex_new(buf_str(&text), 0, &e);
	buf_clear(&text);
	if (re == NULL)
		return cfg_fail(r, n->line, "%s", e.text);
	regex_free(re);
	return 0;
}

static int
decode_scalar(struct cfg_reader *r, const struct yaml_node *n,
    struct cfg_val *v)
{
	if (n->kind != YAML_KIND_SCALAR)
		return wrong_type(r, n, v->type);
	switch (v->type->kind) {
	case CFG_BOOL:
		if (n->tag != YAML_TAG_BOOL)
			return wrong_type(r, n, v->type);
		v->u.b = yaml_to_bool(n->value);
		return 0;
	case CFG_INT:
	case CFG_UINT:
	case CFG_FLOAT:
		return decode_number(r, n, v);
	case CFG_DURATION:
	case CFG_BYTES:
		return decode_measure(r, n, v);
	case CFG_REGEX:
		if (check_regex(r, n) == -1)
			return -1;
		/* FALLTHROUGH */
	default:
		v->u.s = arena_str(r->mem, n->value);
		return v->u.s.p == NULL ? no_memory(r) : 0;
	}
}

/* --- collections --- */

static int
init_elem(struct cfg_reader *r, struct cfg_val *v, const struct cfg_type *t,
    unsigned flags)
{
	return t->kind == CFG_STRUCT && !(flags & CFG_PTR) ?
	    cfg_init_default(r, v, t) : set_zero(r, v, t, flags);
}

static int
decode_list(struct cfg_reader *r, const struct yaml_node *n,
    struct cfg_val *v)
{
	const struct cfg_type *elem = v->type->elem;
	unsigned flags = v->type->elem_is_ptr ? CFG_PTR : 0;
	struct cfg_val *e;
	size_t i;

	if (n->kind != YAML_KIND_SEQUENCE)
		return wrong_type(r, n, v->type);
	v->u.list.v = arena_zalloc(r->mem, n->n_kids * sizeof(*e));
	if (v->u.list.v == NULL)
		return no_memory(r);
	for (i = 0; i < n->n_kids; i++) {
		e = &v->u.list.v[i];
		if (init_elem(r, e, elem, flags) == -1)
			return -1;
		if (decode(r, n->kids[i], e, flags) == -1 && r->failed)
			return -1;
	}
	v->u.list.n = n->n_kids;
	return 0;
}

static int
cmp_entries(const void *a, const void *b)
{
	const struct cfg_entry *x = a, *y = b;
	int c = str_cmp(x->key, y->key);

	return c != 0 ? c : (x->val.line > y->val.line) -
	    (x->val.line < y->val.line);
}

static int
decode_entry(struct cfg_reader *r, const struct yaml_node *key,
    const struct yaml_node *val, const struct cfg_type *t,
    struct cfg_entry *e)
{
	struct cfg_val k = { .type = &cfg_string, .line = key->line };

	if (key->kind != YAML_KIND_SCALAR)
		return wrong_type(r, key, &cfg_string);
	e->key = k.u.s = arena_str(r->mem, key->value);
	if (e->key.p == NULL)
		return no_memory(r);
	if (t->check_key != NULL && t->check_key(r, &k) == -1)
		return -1;
	if (init_elem(r, &e->val, t->elem, 0) == -1)
		return -1;
	if (decode(r, val, &e->val, 0) == -1 && r->failed)
		return -1;
	e->val.line = key->line;
	return 0;
}

static int
decode_map(struct cfg_reader *r, const struct yaml_node *n, struct cfg_val *v)
{
	struct cfg_entry *e;
	size_t i, n_entries = 0;

	if (n->kind != YAML_KIND_MAPPING)
		return wrong_type(r, n, v->type);
	e = arena_zalloc(r->mem, n->n_kids / 2 * sizeof(*e));
	if (e == NULL)
		return no_memory(r);
	for (i = 0; i + 1 < n->n_kids; i += 2) {
		if (decode_entry(r, n->kids[i], n->kids[i + 1], v->type,
		    &e[n_entries]) == 0)
			n_entries++;
		else if (r->failed)
			return -1;
	}
	if (n_entries > 1)
		qsort(e, n_entries, sizeof(*e), cmp_entries);
	for (i = 1; i < n_entries; i++)
		if (str_eq(e[i - 1].key, e[i].key))
			note(r, e[i].val.line,
			    "key \"%.*s\" already set in map",
			    STR_ARG(e[i].key));
	v->u.map.e = e;
	v->u.map.n = n_entries;
	return 0;
}

/* --- structs --- */

static struct cfg_val *
find_field(const struct cfg_val *v, struct str key, unsigned *flags_out)
{
	const struct cfg_field *f;
	struct cfg_val *got;
	size_t i;

	for (i = 0; i < v->type->n_fields; i++) {
		f = &v->type->fields[i];
		if (f->flags & CFG_INLINE) {
			got = find_field(&v->u.fields[i], key, flags_out);
			if (got != NULL)
				return got;
		} else if (!(f->flags & CFG_HIDDEN) &&
		    str_eq_c(key, f->key)) {
			*flags_out = f->flags;
			return &v->u.fields[i];
		}
	}
	return NULL;
}

static int
decode_field(struct cfg_reader *r, const struct yaml_node *key,
    const struct yaml_node *val, struct cfg_val *v)
{
	struct cfg_val *field;
	unsigned flags = 0;

	if (key->kind != YAML_KIND_SCALAR)
		return wrong_type(r, key, &cfg_string);
	field = find_field(v, key->value, &flags);
	if (field == NULL) {
		note(r, key->line, "field %.*s not found in type %s",
		    (int)(key->value.n > 200 ? 200 : key->value.n),
		    key->value.p, v->type->go_name);
		return -1;
	}
	if (field->line != 0) {
		note(r, key->line, "field %.*s already set in type %s",
		    STR_ARG(key->value), v->type->go_name);
		return -1;
	}
	if (decode(r, val, field, flags) == -1)
		return -1;
	field->line = key->line;
	return 0;
}

static int
decode_struct(struct cfg_reader *r, const struct yaml_node *n,
    struct cfg_val *v)
{
	size_t i;

	if (n->kind != YAML_KIND_MAPPING)
		return wrong_type(r, n, v->type);
	for (i = 0; i + 1 < n->n_kids; i += 2)
		if (decode_field(r, n->kids[i], n->kids[i + 1], v) == -1 &&
		    r->failed)
			return -1;
	return 0;
}

/* Counts every node, so that whoever walks it later is bounded too. */
static int
decode_any(struct cfg_reader *r, const struct yaml_node *n, struct cfg_val *v)
{
	size_t i;

	if (++r->visits > YAML_VISITS_MAX)
		return cfg_fail(r, n->line,
		    "yaml: document contains excessive aliasing");
	for (i = 0; i < n->n_kids; i++)
		if (decode_any(r, n->kids[i], NULL) == -1)
			return -1;
	if (v != NULL)
		v->u.node = n;
	return 0;
}

/* v holds its default; -1: a type error was noted, or r->failed. */
static int
decode(struct cfg_reader *r, const struct yaml_node *n, struct cfg_val *v,
    unsigned flags)
{
	const struct cfg_type *t = v->type;
	size_t errors = r->n_type_errors;
	int rc;

	if (++r->visits > YAML_VISITS_MAX)
		return cfg_fail(r, n->line,
		    "yaml: document contains excessive aliasing");
	v->line = n->line;
	if (n->kind == YAML_KIND_SCALAR && n->tag == YAML_TAG_NULL)
		return set_zero(r, v, t, flags);
	if (t->kind == CFG_STRUCT && (v->is_nil || (flags & CFG_PTR)) &&
	    cfg_init_default(r, v, t) == -1)
		return -1;
	v->line = n->line;
	if (t->kind == CFG_STRUCT)
		rc = decode_struct(r, n, v);
	else if (t->kind == CFG_LIST)
		rc = decode_list(r, n, v);
	else if (t->kind == CFG_MAP)
		rc = decode_map(r, n, v);
	else if (t->kind == CFG_ANY)
		rc = decode_any(r, n, v);
	else
		rc = decode_scalar(r, n, v);
	if (rc == -1 || r->n_type_errors != errors)
		return -1;
	v->present = true;
	v->is_nil = false;
	v->is_zero_regex = false;
	return t->check == NULL ? 0 : t->check(r, v);
}

int
cfg_decode(struct cfg_reader *r, const struct yaml_node *root,
    const struct cfg_type *type, struct cfg_val *out)
{
	if (cfg_init_default(r, out, type) == -1)
		return -1;
	if (root != NULL)
		(void)decode(r, root, out, 0);
	if (r->failed)
		return -1;
	if (r->n_type_errors == 0)
		return 0;
	buf_add_byte(&r->type_errors, '\0');
	if (buf_failed(&r->type_errors))
		return no_memory(r);
	r->failed = true;
	return err_set(r->err, ERR_BAD_DATA, "yaml: unmarshal errors:%s",
	    r->type_errors.p);
}

/* --- access --- */

struct cfg_val *
cfg_get(const struct cfg_val *v, const char *key)
{
	unsigned flags;
	struct cfg_val *got = find_field(v, str_c(key), &flags);

	if (got == NULL)
		fatal("no field %s in %s", key, v->type->go_name);
	return got;
}

struct str
cfg_get_str(const struct cfg_val *v, const char *key)
{
	return cfg_get(v, key)->u.s;
}

int64_t
cfg_get_int(const struct cfg_val *v, const char *key)
{
	return cfg_get(v, key)->u.i;
}

uint64_t
cfg_get_uint(const struct cfg_val *v, const char *key)
{
	return cfg_get(v, key)->u.u;
}

bool
cfg_get_bool(const struct cfg_val *v, const char *key)
{
	const struct cfg_val *f = cfg_get(v, key);

	return !f->is_nil && f->u.b;
}

double
cfg_get_float(const struct cfg_val *v, const char *key)
{
	return cfg_get(v, key)->u.f;
}

bool
cfg_has(const struct cfg_val *v, const char *key)
{
	return !cfg_is_zero(cfg_get(v, key));
}

bool
cfg_is_zero(const struct cfg_val *v)
{
	size_t i;

	if (v->is_nil)
		return true;
	switch (v->type->kind) {
	case CFG_BOOL:
		return !v->u.b;
	case CFG_INT:
	case CFG_DURATION:
	case CFG_BYTES:
		return v->u.i == 0;
	case CFG_UINT:
		return v->u.u == 0;
	case CFG_FLOAT:
		return v->u.f == 0;
	case CFG_REGEX:
		return v->is_zero_regex;
	case CFG_LIST:
		return v->u.list.n == 0;
	case CFG_MAP:
		return v->u.map.n == 0;
	case CFG_ANY:
		return v->u.node == NULL;
	case CFG_STRUCT:
		for (i = 0; i < v->type->n_fields; i++)
			/* A pointer to zero is not zero. */
			if ((v->type->fields[i].flags & CFG_PTR) ?
			    !v->u.fields[i].is_nil :
			    !cfg_is_zero(&v->u.fields[i]))
				return false;
		return true;
	default:
		return v->u.s.n == 0;
	}
}

void
cfg_set_bool(struct cfg_val *v, bool b)
{
	v->is_nil = false;
	v->u.b = b;
}

void
cfg_set_str(struct cfg_val *v, struct str s)
{
	v->is_nil = false;
	v->u.s = s;
}
