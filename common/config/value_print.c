/* SPDX-License-Identifier: ISC */
/*
 * Values → YAML text as the reference prints its configuration: fields in
 * the order of the tables, maps sorted, secrets and passwords in URLs
 * hidden. Which quotes a text gets follows go.yaml.in/yaml/v2, layout is
 * libyaml's.
 */

#include <stdio.h>
#include <stdlib.h>

#include <yaml.h>

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/secret.h"
#include "common/config/value.h"

struct printer {
	yaml_emitter_t	 e;
	struct buf	*out;
	bool		 failed;
};

static int
write_cb(void *arg, unsigned char *p, size_t n)
{
	struct printer *pr = arg;

	buf_add(pr->out, p, n);
	return !buf_failed(pr->out);
}

/* ok: the event was made; it belongs to the emitter from here on. */
static void
emit(struct printer *p, int ok, yaml_event_t *ev)
{
	if (!ok || p->failed || !yaml_emitter_emit(&p->e, ev)) {
		if (ok && p->failed)
			yaml_event_delete(ev);
		p->failed = true;
	}
}

static void
scalar(struct printer *p, struct str s, yaml_scalar_style_t style)
{
	yaml_event_t ev;

	emit(p, yaml_scalar_event_initialize(&ev, NULL, NULL,
	    (const yaml_char_t *)(s.n == 0 ? "" : s.p), (int)s.n, 1, 1,
	    style), &ev);
}

static void
plain(struct printer *p, const char *text)
{
	scalar(p, str_c(text), YAML_PLAIN_SCALAR_STYLE);
}

/* 1:30, 190:20:30.15: sexagesimal numbers of YAML 1.1. */
static bool
is_base60(struct str s)
{
	size_t i = 0, colons = 0;

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
		i++;
	if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
		return false;
	for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') ||
	    s.p[i] == '_'); i++)
		;
	while (i < s.n && s.p[i] == ':') {
		if (++i >= s.n || s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (i + 1 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '9') {
			if (s.p[i] > '5')
				return false;
			i++;
		}
		i++;
		colons++;
	}
	if (colons == 0)
		return false;
	if (i < s.n && s.p[i] == '.')
		for (i++; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') ||
		    s.p[i] == '_'); i++)
			;
	return i == s.n;
}

static void
text(struct printer *p, struct str s)
{
	yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;

	if (memchr(s.p, '\n', s.n) != NULL)
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (yaml_resolve(s) == YAML_TAG_STR && !is_base60(s))
		style = YAML_PLAIN_SCALAR_STYLE;
	scalar(p, s, style);
}

static void
print_secret(struct printer *p, struct str s)
{
	if (s.n == 0)
		plain(p, "null");
	else
		text(p, STR_LIT(SECRET_SHOWN));
}

/* scheme://user:password@host → scheme://user:xxxxx@host */
static void
print_url(struct printer *p, struct str s)
{
	const char *start = memmem(s.p, s.n, "://", 3), *at, *colon, *slash;
	struct buf b;

	if (start == NULL) {
		text(p, s);
		return;
	}
	start += 3;
	slash = memchr(start, '/', (size_t)(s.p + s.n - start));
	if (slash == NULL)
		slash = s.p + s.n;
	at = memrchr(start, '@', (size_t)(slash - start));
	colon = at == NULL ? NULL : memchr(start, ':', (size_t)(at - start));
	if (colon == NULL) {
		text(p, s);
		return;
	}
	buf_init(&b, 0);
	buf_add(&b, s.p, (size_t)(colon + 1 - s.p));
	buf_add_c(&b, "xxxxx");
	buf_add(&b, at, (size_t)(s.p + s.n - at));
	if (buf_failed(&b))
		p->failed = true;
	text(p, buf_str(&b));
	buf_clear(&b);
}

static void print_value(struct printer *, const struct cfg_val *, bool flow);

static void
print_list(struct printer *p, const struct cfg_val *v, bool flow)
{
	yaml_event_t ev;
	size_t i, n = v->is_nil ? 0 : v->u.list.n;

	emit(p, yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1,
	    flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE),
	    &ev);
	for (i = 0; i < n; i++)
		print_value(p, &v->u.list.v[i], false);
	emit(p, yaml_sequence_end_event_initialize(&ev), &ev);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    ((unsigned char)c & 0x80);
}

/* Numbers inside keys are compared as numbers, letters come last. */
static int
cmp_keys(const void *va, const void *vb)
{
	const struct cfg_entry *const *ea = va, *const *eb = vb;
	struct str a = (*ea)->key, b = (*eb)->key;
	size_t i = 0, ai, bi;
	uint64_t an = 0, bn = 0;

	while (i < a.n && i < b.n && a.p[i] == b.p[i])
		i++;
	if (i == a.n || i == b.n)
		return (a.n > b.n) - (a.n < b.n);
	if (is_letter(a.p[i]) != is_letter(b.p[i]))
		return is_letter(a.p[i]) ? 1 : -1;
	if (!is_digit(a.p[i]) || !is_digit(b.p[i]))
		return (unsigned char)a.p[i] < (unsigned char)b.p[i] ? -1 : 1;
	for (ai = i; ai < a.n && is_digit(a.p[ai]); ai++)
		an = an * 10 + (uint64_t)(a.p[ai] - '0');
	for (bi = i; bi < b.n && is_digit(b.p[bi]); bi++)
		bn = bn * 10 + (uint64_t)(b.p[bi] - '0');
	if (an != bn)
		return an < bn ? -1 : 1;
	return ai != bi ? (ai < bi ? -1 : 1) :
	    (a.p[i] < b.p[i] ? -1 : 1);
}

static void
print_map(struct printer *p, const struct cfg_val *v)
{
	const struct cfg_entry **sorted;
	size_t i, n = v->is_nil ? 0 : v->u.map.n;
	yaml_event_t ev;

	emit(p, yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1,
	    YAML_BLOCK_MAPPING_STYLE), &ev);
	sorted = calloc(n + 1, sizeof(*sorted));
	if (sorted == NULL) {
		p->failed = true;
		return;
	}
	for (i = 0; i < n; i++)
		sorted[i] = &v->u.map.e[i];
	qsort(sorted, n, sizeof(*sorted), cmp_keys);
	for (i = 0; i < n; i++) {
		text(p, sorted[i]->key);
		print_value(p, &sorted[i]->val, false);
	}
	free(sorted);
	emit(p, yaml_mapping_end_event_initialize(&ev), &ev);
}

static void
print_fields(struct printer *p, const struct cfg_val *v)
{
	const struct cfg_field *f;
	size_t i;

	for (i = 0; i < v->type->n_fields; i++) {
		f = &v->type->fields[i];
		if (f->flags & CFG_HIDDEN)
			continue;
		if (f->flags & CFG_INLINE) {
			print_fields(p, &v->u.fields[i]);
			continue;
		}
		/* A pointer to zero is not empty. */
		if ((f->flags & CFG_OMIT) && ((f->flags & CFG_PTR) ?
		    v->u.fields[i].is_nil : cfg_is_zero(&v->u.fields[i])))
			continue;
		plain(p, f->key);
		print_value(p, &v->u.fields[i], f->flags & CFG_FLOW);
	}
}

static void
print_struct(struct printer *p, const struct cfg_val *v)
{
	yaml_event_t ev;

	emit(p, yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1,
	    YAML_BLOCK_MAPPING_STYLE), &ev);
	print_fields(p, v);
	emit(p, yaml_mapping_end_event_initialize(&ev), &ev);
}

static void
print_number(struct printer *p, const struct cfg_val *v)
{
	char out[FLOAT_TEXT_MAX + 1];
	size_t n;

	switch (v->type->kind) {
	case CFG_INT:
		(void)snprintf(out, sizeof(out), "%lld",
		    (long long)v->u.i);
		break;
	case CFG_UINT:
		(void)snprintf(out, sizeof(out), "%llu",
		    (unsigned long long)v->u.u);
		break;
	case CFG_DURATION:
		duration_format(v->u.i, out);
		break;
	case CFG_BYTES:
		bytes_format(v->u.i, out);
		break;
	default:
		n = float_format_g(v->u.f, out);
		out[n] = '\0';
		break;
	}
	if (v->type->kind == CFG_DURATION || v->type->kind == CFG_BYTES)
		text(p, str_c(out));
	else
		plain(p, out);
}

static void
print_node(struct printer *p, const struct yaml_node *n)
{
	yaml_event_t ev;
	size_t i;

	if (n == NULL) {
		plain(p, "null");
		return;
	}
	if (n->kind == YAML_KIND_SCALAR) {
		if (n->tag == YAML_TAG_STR)
			text(p, n->value);
		else
			plain(p, n->tag == YAML_TAG_NULL ? "null" :
			    n->value.p);
		return;
	}
	if (n->kind == YAML_KIND_SEQUENCE)
		emit(p, yaml_sequence_start_event_initialize(&ev, NULL, NULL,
		    1, YAML_BLOCK_SEQUENCE_STYLE), &ev);
	else
		emit(p, yaml_mapping_start_event_initialize(&ev, NULL, NULL,
		    1, YAML_BLOCK_MAPPING_STYLE), &ev);
	for (i = 0; i < n->n_kids && !p->failed; i++)
		print_node(p, n->kids[i]);
	if (n->kind == YAML_KIND_SEQUENCE)
		emit(p, yaml_sequence_end_event_initialize(&ev), &ev);
	else
		emit(p, yaml_mapping_end_event_initialize(&ev), &ev);
}

static void
print_value(struct printer *p, const struct cfg_val *v, bool flow)
{
	if (v->is_nil && v->type->kind != CFG_LIST &&
	    v->type->kind != CFG_MAP) {
		plain(p, "null");
		return;
	}
	switch (v->type->kind) {
	case CFG_BOOL:
		plain(p, v->u.b ? "true" : "false");
		break;
	case CFG_INT:
	case CFG_UINT:
	case CFG_FLOAT:
	case CFG_DURATION:
	case CFG_BYTES:
		print_number(p, v);
		break;
	case CFG_SECRET:
		print_secret(p, v->u.s);
		break;
	case CFG_URL:
		print_url(p, v->u.s);
		break;
	case CFG_LIST:
		print_list(p, v, flow);
		break;
	case CFG_MAP:
		print_map(p, v);
		break;
	case CFG_STRUCT:
		print_struct(p, v);
		break;
	case CFG_ANY:
		print_node(p, v->u.node);
		break;
	default:
		text(p, v->u.s);
		break;
	}
}

int
cfg_print(const struct cfg_val *v, struct buf *out, struct err *err)
{
	struct printer p = { .out = out };
	yaml_event_t ev;

	if (!yaml_emitter_initialize(&p.e))
		return err_set(err, ERR_NOMEM, "out of memory");
	yaml_emitter_set_output(&p.e, write_cb, &p);
	yaml_emitter_set_unicode(&p.e, 1);
	emit(&p, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING),
	    &ev);
	emit(&p, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL,
	    1), &ev);
	print_value(&p, v, false);
	emit(&p, yaml_document_end_event_initialize(&ev, 1), &ev);
	emit(&p, yaml_stream_end_event_initialize(&ev), &ev);
	yaml_emitter_delete(&p.e);
	if (p.failed || buf_failed(out))
		return err_set(err, ERR_INTERNAL,
		    "the configuration cannot be printed");
	return 0;
}
