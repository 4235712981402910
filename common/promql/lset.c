/* SPDX-License-Identifier: ISC */

/* Symbols and label sets of one query; see lset.h. */

#include "common/promql/lset.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/vec.h"
#include "common/labels/labels.h"

struct import {
	uint32_t	sym;
	uint32_t	id;	/* + 1; 0 = empty */
};

struct symtab {
	struct source	*src;
	struct arena	*mem;
	bool		 interned;
	/* interned mode */
	struct str	*texts;		/* by id */
	uint64_t	*hashes;
	size_t		 n, cap, hcap;
	uint32_t	*slots;		/* id + 1, by text hash */
	size_t		 mask;
	struct import	*imports;	/* by source symbol */
	size_t		 n_imports;
	size_t		 import_mask;
};

static inline uint64_t
mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	return x;
}

struct symtab *
symtab_new(struct arena *a, struct source *src, bool interned)
{
	struct symtab *t = arena_zalloc(a, sizeof(*t));

	if (t != NULL) {
		t->src = src;
		t->mem = a;
		t->interned = interned;
	}
	return t;
}

void
symtab_clear(struct symtab *t)
{
	if (t == NULL)
		return;
	free(t->texts);
	free(t->hashes);
	free(t->slots);
	free(t->imports);
	t->texts = NULL;
	t->hashes = NULL;
	t->slots = NULL;
	t->imports = NULL;
	t->n = t->cap = t->hcap = t->mask = t->import_mask = 0;
	t->n_imports = 0;
}

struct str
symtab_text(const struct symtab *t, uint32_t id)
{
	if (!t->interned)
		return t->src->ops->symbol(t->src, id);
	return id < t->n ? t->texts[id] : STR_EMPTY;
}

static int
slots_grow(struct symtab *t)
{
	size_t size = t->mask == 0 ? 256 : (t->mask + 1) * 2;
	uint32_t *slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		size_t k = t->hashes[i] & (size - 1);

		while (slots[k] != 0)
			k = (k + 1) & (size - 1);
		slots[k] = (uint32_t)i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = size - 1;
	return 0;
}

/* copy: the text does not live as long as the query */
static bool
intern(struct symtab *t, struct str text, bool copy, uint32_t *id)
{
	uint64_t h = hash_xxh64(text.p, text.n);

	if ((t->n + 1) * 2 > t->mask && slots_grow(t) == -1)
		return false;
	size_t k = h & t->mask;
	for (; t->slots[k] != 0; k = (k + 1) & t->mask) {
		uint32_t i = t->slots[k] - 1;

		if (t->hashes[i] == h && str_eq(t->texts[i], text)) {
			*id = i;
			return true;
		}
	}
	if (vec_grow(&t->texts, &t->cap, t->n + 1, sizeof(*t->texts)) == -1 ||
	    vec_grow(&t->hashes, &t->hcap, t->n + 1, sizeof(*t->hashes)) == -1)
		return false;
	if (copy) {
		text = arena_str(t->mem, text);
		if (text.p == NULL)
			return false;
	}
	t->texts[t->n] = text;
	t->hashes[t->n] = h;
	*id = (uint32_t)t->n++;
	t->slots[k] = *id + 1;
	return true;
}

bool
symtab_intern(struct symtab *t, struct str text, uint32_t *id)
{
	return intern(t, text, true, id);
}

static bool
import(struct symtab *t, uint32_t sym, uint32_t *id)
{
	if ((t->n_imports + 1) * 2 > t->import_mask) {
		size_t size = t->import_mask == 0 ? 256 :
		    (t->import_mask + 1) * 2;
		struct import *m = calloc(size, sizeof(*m));

		if (m == NULL)
			return false;
		for (size_t i = 0; t->import_mask != 0 && i <= t->import_mask;
		    i++) {
			if (t->imports[i].id == 0)
				continue;
			size_t k = mix(t->imports[i].sym) & (size - 1);

			while (m[k].id != 0)
				k = (k + 1) & (size - 1);
			m[k] = t->imports[i];
		}
		free(t->imports);
		t->imports = m;
		t->import_mask = size - 1;
	}
	size_t k = mix(sym) & t->import_mask;
	for (; t->imports[k].id != 0; k = (k + 1) & t->import_mask)
		if (t->imports[k].sym == sym) {
			*id = t->imports[k].id - 1;
			return true;
		}
	if (!intern(t, t->src->ops->symbol(t->src, sym), false, id))
		return false;
	t->imports[k] = (struct import){ sym, *id + 1 };
	t->n_imports++;
	return true;
}

struct lset
symtab_import(struct symtab *t, const struct label_sym *l, uint32_t n)
{
	if (!t->interned)
		return (struct lset){ l, n };
	struct label_sym *out = arena_array(t->mem, n, sizeof(*out));

	for (uint32_t i = 0; out != NULL && i < n; i++)
		if (!import(t, l[i].name, &out[i].name) ||
		    !import(t, l[i].value, &out[i].value))
			out = NULL;
	return (struct lset){ out, out == NULL && n == 0 ? 1 : n };
}

int
lnames_init(struct lnames *ln, struct arena *a, struct symtab *syms,
    const struct str *names, size_t n)
{
	*ln = (struct lnames){ .syms = syms, .n = n };
	ln->names = arena_array(a, n, sizeof(*ln->names));
	if (ln->names == NULL)
		return -1;
	if (n != 0)
		memcpy(ln->names, names, n * sizeof(*names));
	return 0;
}

int
lnames_lookup(struct lnames *ln, uint32_t id)
{
	struct str text = symtab_text(ln->syms, id);
	uint32_t k = (id ^ id >> 5) % LNAMES_CACHE;
	int slot = -1;

	for (size_t i = 0; i < ln->n; i++)
		if (str_eq(ln->names[i], text)) {
			slot = (int)i;
			break;
		}
	ln->cache[k].id = id;
	ln->cache[k].slot = slot;
	ln->cache[k].used = true;
	return slot;
}

uint64_t
lset_hash(struct lset ls)
{
	uint64_t h = 0x9e3779b97f4a7c15ULL;

	for (uint32_t i = 0; i < ls.n; i++) {
		h ^= (uint64_t)ls.l[i].name << 32 | ls.l[i].value;
		h *= 0xd6e8feb86659fd93ULL;
		h ^= h >> 32;
	}
	return h;
}

bool
lset_eq(struct lset a, struct lset b)
{
	return a.n == b.n && (a.n == 0 ||
	    memcmp(a.l, b.l, a.n * sizeof(*a.l)) == 0);
}

int
lset_cmp(const struct symtab *t, struct lset a, struct lset b)
{
	uint32_t n = a.n < b.n ? a.n : b.n;

	for (uint32_t i = 0; i < n; i++) {
		int c = 0;

		if (a.l[i].name != b.l[i].name)
			c = str_cmp(symtab_text(t, a.l[i].name),
			    symtab_text(t, b.l[i].name));
		if (c == 0 && a.l[i].value != b.l[i].value)
			c = str_cmp(symtab_text(t, a.l[i].value),
			    symtab_text(t, b.l[i].value));
		if (c != 0)
			return c;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool
lset_find(struct lset ls, struct lnames *ln, uint32_t *value)
{
	for (uint32_t i = 0; i < ls.n; i++)
		if (lnames_slot(ln, ls.l[i].name) == 0) {
			*value = ls.l[i].value;
			return true;
		}
	return false;
}

struct str
lset_get(const struct symtab *t, struct lset ls, struct str name)
{
	for (uint32_t i = 0; i < ls.n; i++)
		if (str_eq(symtab_text(t, ls.l[i].name), name))
			return symtab_text(t, ls.l[i].value);
	return STR_EMPTY;
}

struct lset
lset_filter(struct arena *a, struct lset ls, struct lnames *ln, bool keep)
{
	uint32_t n = 0, first = 0, last = 0;

	for (uint32_t i = 0; i < ls.n; i++)
		if ((lnames_slot(ln, ls.l[i].name) >= 0) == keep) {
			if (n++ == 0)
				first = i;
			last = i;
		}
	if (n == 0)
		return LSET_EMPTY;
	if (last - first + 1 == n)
		return (struct lset){ ls.l + first, n };
	struct label_sym *out = arena_array(a, n, sizeof(*out));
	if (out == NULL)
		return (struct lset){ NULL, n };
	n = 0;
	for (uint32_t i = first; i <= last; i++)
		if ((lnames_slot(ln, ls.l[i].name) >= 0) == keep)
			out[n++] = ls.l[i];
	return (struct lset){ out, n };
}

struct lset
lset_with(struct arena *a, struct symtab *t, struct lset ls, struct str name,
    struct str value)
{
	struct label_sym *out = arena_array(a, ls.n + 1, sizeof(*out));
	struct label_sym add = { 0, 0 };
	bool pending = value.n != 0;
	uint32_t n = 0;

	if (out == NULL || (pending && (!symtab_intern(t, name, &add.name) ||
	    !symtab_intern(t, value, &add.value))))
		return (struct lset){ NULL, ls.n + 1 };
	for (uint32_t i = 0; i < ls.n; i++) {
		int c = str_cmp(symtab_text(t, ls.l[i].name), name);

		if (c == 0)
			continue;
		if (c > 0 && pending) {
			out[n++] = add;
			pending = false;
		}
		out[n++] = ls.l[i];
	}
	if (pending)
		out[n++] = add;
	return (struct lset){ out, n };
}

void
lset_format(const struct symtab *t, struct lset ls, struct buf *out)
{
	struct label *l = calloc(ls.n + 1, sizeof(*l));

	if (l == NULL)
		return;
	for (uint32_t i = 0; i < ls.n; i++) {
		l[i].name = symtab_text(t, ls.l[i].name);
		l[i].value = symtab_text(t, ls.l[i].value);
	}
	labels_format((struct labels){ l, ls.n }, out);
	free(l);
}

/* As the reference keeps labels: each text behind its length. */
static void
add_sized(struct buf *b, struct str s)
{
	if (s.n < 255)
		buf_add_byte(b, (uint8_t)s.n);
	else {
		buf_add_byte(b, 255);
		buf_add_byte(b, (uint8_t)s.n);
		buf_add_byte(b, (uint8_t)(s.n >> 8));
		buf_add_byte(b, (uint8_t)(s.n >> 16));
	}
	buf_add_str(b, s);
}

uint64_t
lset_text_hash(const struct symtab *t, struct lset ls, struct buf *scratch)
{
	buf_reset(scratch);
	for (uint32_t i = 0; i < ls.n; i++) {
		add_sized(scratch, symtab_text(t, ls.l[i].name));
		add_sized(scratch, symtab_text(t, ls.l[i].value));
	}
	struct str s = buf_str(scratch);
	return hash_xxh64(s.p, s.n);
}

/* --- index --- */

void
lset_index_init(struct lset_index *x, struct arena *account)
{
	*x = (struct lset_index){ .account = account };
}

void
lset_index_clear(struct lset_index *x)
{
	if (x->accounted != 0)
		arena_release(x->account, x->accounted);
	free(x->sets);
	free(x->hashes);
	free(x->slots);
	lset_index_init(x, x->account);
}

static int
index_grow(struct lset_index *x)
{
	size_t size = x->mask == 0 ? 16 : (x->mask + 1) * 2;
	size_t bytes = size * sizeof(uint32_t) + size / 2 *
	    (sizeof(struct lset) + sizeof(uint64_t)) - x->accounted;

	if (!arena_account(x->account, bytes))
		return -1;
	x->accounted += bytes;
	uint32_t *slots = calloc(size, sizeof(*slots));
	struct lset *sets = realloc(x->sets, size / 2 * sizeof(*sets));

	if (sets != NULL)
		x->sets = sets;
	uint64_t *hashes = realloc(x->hashes, size / 2 * sizeof(*hashes));
	if (hashes != NULL)
		x->hashes = hashes;
	if (slots == NULL || sets == NULL || hashes == NULL) {
		free(slots);
		return -1;
	}
	x->cap = size / 2;
	for (size_t i = 0; i < x->n; i++) {
		size_t k = x->hashes[i] & (size - 1);

		while (slots[k] != 0)
			k = (k + 1) & (size - 1);
		slots[k] = (uint32_t)i + 1;
	}
	free(x->slots);
	x->slots = slots;
	x->mask = size - 1;
	return 0;
}

int64_t
lset_index_get(const struct lset_index *x, struct lset ls)
{
	uint64_t h = lset_hash(ls);

	if (x->mask == 0)
		return -1;
	for (size_t k = h & x->mask; x->slots[k] != 0; k = (k + 1) & x->mask) {
		uint32_t i = x->slots[k] - 1;

		if (x->hashes[i] == h && lset_eq(x->sets[i], ls))
			return i;
	}
	return -1;
}

int64_t
lset_index_add(struct lset_index *x, struct lset ls, bool *is_new)
{
	uint64_t h = lset_hash(ls);

	if (x->n == x->cap && index_grow(x) == -1)
		return -1;
	size_t k = h & x->mask;
	for (; x->slots[k] != 0; k = (k + 1) & x->mask) {
		uint32_t i = x->slots[k] - 1;

		if (x->hashes[i] == h && lset_eq(x->sets[i], ls)) {
			*is_new = false;
			return i;
		}
	}
	x->sets[x->n] = ls;
	x->hashes[x->n] = h;
	x->slots[k] = (uint32_t)++x->n;
	*is_new = true;
	return (int64_t)x->n - 1;
}
