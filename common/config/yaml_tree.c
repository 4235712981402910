/* SPDX-License-Identifier: ISC */
/*
 * libyaml's events → nodes. The stack of open collections is our own, so
 * depth costs no C stack; the last key of an open mapping waits in its
 * kids array until its value comes.
 */

#include "common/config/yaml_tree.h"

#include <yaml.h>

#include "common/base/hash.h"
#include "common/base/map.h"

/* Merging compares every key with every other. */
#define MERGE_KIDS_MAX	4096

struct anchor {
	struct str	  name;
	struct yaml_node *node;
};

struct builder {
	yaml_parser_t	  parser;
	struct yaml_doc	 *doc;
	struct yaml_node *stack[YAML_DEPTH_MAX];
	size_t		  depth;
	size_t		  n_nodes;
	struct map	  anchors;
	uint32_t	 *err_line;
	struct err	 *err;
};

static int
no_memory(struct builder *b)
{
	return err_set(b->err, ERR_NOMEM, "yaml: out of memory");
}

/* Line and words as the reference takes them from its copy of libyaml. */
static int
parser_failed(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem = p->problem != NULL && p->problem[0] != '\0' ?
	    p->problem : "unknown problem parsing YAML content";
	size_t line = 0;

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(b);
	if (p->problem_mark.line != 0) {
		line = p->problem_mark.line;
		/* The scanner stops before it counts the line. */
		if (p->error == YAML_SCANNER_ERROR)
			line++;
	} else if (p->context_mark.line != 0)
		line = p->context_mark.line;
	*b->err_line = (uint32_t)line;
	if (line == 0)
		return err_set(b->err, ERR_BAD_DATA, "yaml: %s", problem);
	return err_set(b->err, ERR_BAD_DATA, "yaml: line %zu: %s", line,
	    problem);
}

static int
refuse(struct builder *b, const yaml_event_t *ev, enum err_kind kind,
    const char *what, const char *name)
{
	*b->err_line = (uint32_t)ev->start_mark.line + 1;
	return err_set(b->err, kind, "yaml: %s%s%s%s", what,
	    name == NULL ? "" : " '", name == NULL ? "" : name,
	    name == NULL ? "" : "' referenced");
}

static bool
anchor_eq(const void *val, const void *key)
{
	const struct anchor *a = val;
	const struct str *name = key;

	return str_eq(a->name, *name);
}

static uint64_t
anchor_hash(struct str name)
{
	return hash_fnv64a(HASH_FNV64_INIT, name.p, name.n);
}

static int
set_anchor(struct builder *b, const yaml_char_t *name, struct yaml_node *node)
{
	struct str key;
	struct anchor *a;

	if (name == NULL)
		return 0;
	key = str_c((const char *)name);
	a = map_get(&b->anchors, anchor_hash(key), anchor_eq, &key);
	if (a != NULL) {
		a->node = node;
		return 0;
	}
	a = arena_alloc(&b->doc->mem, sizeof(*a));
	if (a == NULL)
		return no_memory(b);
	a->name = arena_str(&b->doc->mem, key);
	a->node = node;
	if (a->name.p == NULL ||
	    map_put(&b->anchors, anchor_hash(key), a) == -1)
		return no_memory(b);
	return 0;
}

static enum yaml_tag
explicit_tag(const yaml_char_t *tag)
{
	static const struct { const char *name; enum yaml_tag tag; } tags[] = {
		{ YAML_STR_TAG, YAML_TAG_STR },
		{ YAML_NULL_TAG, YAML_TAG_NULL },
		{ YAML_BOOL_TAG, YAML_TAG_BOOL },
		{ YAML_INT_TAG, YAML_TAG_INT },
		{ YAML_FLOAT_TAG, YAML_TAG_FLOAT },
		{ YAML_TIMESTAMP_TAG, YAML_TAG_TIMESTAMP },
		{ "tag:yaml.org,2002:binary", YAML_TAG_BINARY },
	};
	size_t i;

	for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (strcmp((const char *)tag, tags[i].name) == 0)
			return tags[i].tag;
	return YAML_TAG_OTHER;
}

static struct yaml_node *
new_node(struct builder *b, const yaml_event_t *ev, enum yaml_kind kind)
{
	struct yaml_node *n;

	if (++b->n_nodes > YAML_NODES_MAX) {
		(void)refuse(b, ev, ERR_LIMIT, "too many nodes", NULL);
		return NULL;
	}
	n = arena_zalloc(&b->doc->mem, sizeof(*n));
	if (n == NULL) {
		(void)no_memory(b);
		return NULL;
	}
	n->kind = kind;
	n->line = (uint32_t)ev->start_mark.line + 1;
	n->column = (uint32_t)ev->start_mark.column + 1;
	return n;
}

/* Puts a finished or just opened node where it belongs. */
static int
attach(struct builder *b, struct yaml_node *node)
{
	struct yaml_node *top, **kids;
	size_t cap;

	if (b->depth == 0) {
		b->doc->root = node;
		return 0;
	}
	top = b->stack[b->depth - 1];
	if (top->n_kids == top->cap_kids) {
		cap = top->cap_kids == 0 ? 4 : top->cap_kids * 2;
		kids = arena_array(&b->doc->mem, cap, sizeof(*kids));
		if (kids == NULL)
			return no_memory(b);
		if (top->n_kids > 0)
			memcpy(kids, top->kids, top->n_kids * sizeof(*kids));
		top->kids = kids;
		top->cap_kids = cap;
	}
	top->kids[top->n_kids++] = node;
	return 0;
}

static int
base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

/* !!binary: the value becomes the bytes it stands for. */
static int
decode_binary(struct builder *b, const yaml_event_t *ev, struct yaml_node *n)
{
	char *out = arena_alloc(&b->doc->mem, n->value.n + 1);
	uint32_t bits = 0;
	size_t i, n_bits = 0, len = 0;
	int digit;

	if (out == NULL)
		return no_memory(b);
	for (i = 0; i < n->value.n; i++) {
		if (strchr("= \n\r", n->value.p[i]) != NULL)
			continue;
		digit = base64_digit(n->value.p[i]);
		if (digit == -1)
			return refuse(b, ev, ERR_BAD_DATA,
			    "!!binary value contains invalid base64 data",
			    NULL);
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[len++] = (char)(bits >> n_bits);
		}
	}
	out[len] = '\0';
	n->value = str_from(out, len);
	n->tag = YAML_TAG_STR;
	return 0;
}

static int
on_scalar(struct builder *b, const yaml_event_t *ev)
{
	struct yaml_node *n = new_node(b, ev, YAML_KIND_SCALAR);
	const yaml_char_t *tag = ev->data.scalar.tag;

	if (n == NULL)
		return -1;
	n->value = arena_str(&b->doc->mem,
	    str_from((const char *)ev->data.scalar.value,
	    ev->data.scalar.length));
	if (n->value.p == NULL)
		return no_memory(b);
	if (tag != NULL && strcmp((const char *)tag, "!") != 0)
		n->tag = explicit_tag(tag);
	else if (ev->data.scalar.plain_implicit)
		n->tag = yaml_resolve(n->value);
	else
		n->tag = YAML_TAG_STR;
	if (n->tag == YAML_TAG_BINARY && decode_binary(b, ev, n) == -1)
		return -1;
	if (set_anchor(b, ev->data.scalar.anchor, n) == -1)
		return -1;
	return attach(b, n);
}

static int
on_start(struct builder *b, const yaml_event_t *ev, enum yaml_kind kind)
{
	const yaml_char_t *anchor = kind == YAML_KIND_MAPPING ?
	    ev->data.mapping_start.anchor : ev->data.sequence_start.anchor;
	struct yaml_node *n;

	if (b->depth == YAML_DEPTH_MAX)
		return refuse(b, ev, ERR_LIMIT, "exceeded max depth", NULL);
	n = new_node(b, ev, kind);
	if (n == NULL)
		return -1;
	n->tag = kind == YAML_KIND_MAPPING ? YAML_TAG_MAP : YAML_TAG_SEQ;
	if (attach(b, n) == -1 || set_anchor(b, anchor, n) == -1)
		return -1;
	b->stack[b->depth++] = n;
	return 0;
}

static int
on_alias(struct builder *b, const yaml_event_t *ev)
{
	struct str name = str_c((const char *)ev->data.alias.anchor);
	struct anchor *a = map_get(&b->anchors, anchor_hash(name), anchor_eq,
	    &name);
	size_t i;

	if (a == NULL)
		return refuse(b, ev, ERR_BAD_DATA, "unknown anchor", name.p);
	for (i = 0; i < b->depth; i++)
		if (b->stack[i] == a->node) {
			*b->err_line = (uint32_t)ev->start_mark.line + 1;
			return err_set(b->err, ERR_BAD_DATA,
			    "yaml: anchor '%s' value contains itself",
			    name.p);
		}
	return attach(b, a->node);
}

static bool
has_key(const struct yaml_node *map, size_t n_kids, struct str key)
{
	size_t i;

	for (i = 0; i < n_kids; i += 2)
		if (str_eq(map->kids[i]->value, key))
			return true;
	return false;
}

/* Appends the entries of from that map does not have yet. */
static int
merge_from(struct builder *b, const yaml_event_t *ev, struct yaml_node *map,
    const struct yaml_node *from)
{
	size_t i;

	if (from->kind != YAML_KIND_MAPPING)
		return refuse(b, ev, ERR_BAD_DATA,
		    "map merge requires map or sequence of maps as the value",
		    NULL);
	if (map->n_kids + from->n_kids > MERGE_KIDS_MAX)
		return refuse(b, ev, ERR_LIMIT, "merge is too large", NULL);
	for (i = 0; i + 1 < from->n_kids; i += 2) {
		if (has_key(map, map->n_kids, from->kids[i]->value))
			continue;
		if (++b->n_nodes > YAML_NODES_MAX)
			return refuse(b, ev, ERR_LIMIT, "too many nodes",
			    NULL);
		if (attach(b, from->kids[i]) == -1 ||
		    attach(b, from->kids[i + 1]) == -1)
			return -1;
	}
	return 0;
}

/* Called when a mapping is complete, while it is still on the stack. */
static int
resolve_merges(struct builder *b, const yaml_event_t *ev,
    struct yaml_node *map)
{
	struct yaml_node *from;
	size_t i = 0, j;

	while (i + 1 < map->n_kids) {
		if (map->kids[i]->tag != YAML_TAG_MERGE) {
			i += 2;
			continue;
		}
		from = map->kids[i + 1];
		memmove(map->kids + i, map->kids + i + 2,
		    (map->n_kids - i - 2) * sizeof(*map->kids));
		map->n_kids -= 2;
		if (from->kind != YAML_KIND_SEQUENCE) {
			if (merge_from(b, ev, map, from) == -1)
				return -1;
			continue;
		}
		for (j = 0; j < from->n_kids; j++)
			if (merge_from(b, ev, map, from->kids[j]) == -1)
				return -1;
	}
	return 0;
}

/* 1: go on, 0: the document is complete, -1: failed. */
static int
on_event(struct builder *b, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(b, ev) == -1 ? -1 : 1;
	case YAML_ALIAS_EVENT:
		return on_alias(b, ev) == -1 ? -1 : 1;
	case YAML_SEQUENCE_START_EVENT:
		return on_start(b, ev, YAML_KIND_SEQUENCE) == -1 ? -1 : 1;
	case YAML_MAPPING_START_EVENT:
		return on_start(b, ev, YAML_KIND_MAPPING) == -1 ? -1 : 1;
	case YAML_MAPPING_END_EVENT:
		if (resolve_merges(b, ev, b->stack[b->depth - 1]) == -1)
			return -1;
		b->depth--;
		return 1;
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		return 1;
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return 0;
	default:
		return 1;
	}
}

int
yaml_doc_parse(struct yaml_doc *d, struct str text, uint32_t *err_line_out,
    struct err *err)
{
	struct builder b = { .doc = d, .err_line = err_line_out, .err = err };
	yaml_event_t ev;
	int rc;

	arena_init(&d->mem, 0);
	d->root = NULL;
	*err_line_out = 0;
	if (text.n > YAML_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "yaml: file of %zu bytes is "
		    "larger than %u", text.n, YAML_TEXT_MAX);
	if (!yaml_parser_initialize(&b.parser))
		return no_memory(&b);
	map_init(&b.anchors);
	yaml_parser_set_input_string(&b.parser,
	    (const unsigned char *)text.p, text.n);
	do {
		if (!yaml_parser_parse(&b.parser, &ev)) {
			rc = parser_failed(&b);
			break;
		}
		rc = on_event(&b, &ev);
		yaml_event_delete(&ev);
	} while (rc == 1);
	map_clear(&b.anchors);
	yaml_parser_delete(&b.parser);
	return rc;
}

void
yaml_doc_clear(struct yaml_doc *d)
{
	arena_clear(&d->mem);
	d->root = NULL;
}
