/* SPDX-License-Identifier: ISC */

/* Symbols of merged sources; see merge_symbols.h. */

#include "common/promql/merge_symbols.h"

#include <string.h>

#include "common/base/hash.h"

#define FIRST_CAP	16
#define TABLE_FIRST	1024	/* slots; a power of two */
#define RECENT		16	/* places; a power of two */

struct cache_slot {
	uint32_t	key;	/* symbol of the source + 1; 0 = empty */
	uint32_t	val;
};

/* A label by its place in the set, as it was translated last. */
struct recent {
	struct label_sym	in, out;
	bool			used;
};

/* From the symbols of one source to the merged ones. */
struct merge_cache {
	struct recent		 recent[RECENT];
	struct cache_slot	*slots;
	uint32_t		 mask;
	uint32_t		 n;
};

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "query memory limit reached");
}

int
merge_grow(struct arena *a, void *pp, size_t *cap, size_t used, size_t need,
    size_t size, struct err *err)
{
	size_t want = *cap == 0 ? FIRST_CAP : *cap;
	void *old, *grown;

	if (need <= *cap)
		return 0;
	while (want < need)
		want *= 2;
	grown = arena_array(a, want, size);
	if (grown == NULL)
		return no_memory(err);
	memcpy(&old, pp, sizeof(old));
	if (used != 0)
		memcpy(grown, old, used * size);
	memcpy(pp, &grown, sizeof(grown));
	*cap = want;
	return 0;
}

static uint32_t
spread(uint32_t v)
{
	return (uint32_t)((v * 0x9e3779b97f4a7c15ULL) >> 32);
}

static int
grow_texts_table(struct merge_symbols *m, struct err *err)
{
	size_t slots = m->by_text == NULL ? TABLE_FIRST :
	    ((size_t)m->by_text_mask + 1) * 2;
	uint32_t *t = arena_zalloc(m->a, slots * sizeof(*t)), h;
	size_t i;

	if (t == NULL)
		return no_memory(err);
	m->by_text = t;
	m->by_text_mask = (uint32_t)slots - 1;
	for (i = 0; i < m->n_texts; i++) {
		h = (uint32_t)hash_xxh64(m->texts[i].p, m->texts[i].n);
		while (t[h & m->by_text_mask] != 0)
			h++;
		t[h & m->by_text_mask] = (uint32_t)i + 1;
	}
	return 0;
}

/* The merged symbol of a text, which lives until the end of the query. */
static int
symbol_of_text(struct merge_symbols *m, struct str text, uint32_t *out,
    struct err *err)
{
	uint32_t h = (uint32_t)hash_xxh64(text.p, text.n), sym;

	if ((m->by_text == NULL || m->n_texts * 2 > m->by_text_mask) &&
	    grow_texts_table(m, err) == -1)
		return -1;
	for (; (sym = m->by_text[h & m->by_text_mask]) != 0; h++)
		if (str_eq(m->texts[sym - 1], text)) {
			*out = sym - 1;
			return 0;
		}
	if (merge_grow(m->a, &m->texts, &m->texts_cap, m->n_texts, m->n_texts + 1,
	    sizeof(*m->texts), err) == -1)
		return -1;
	m->texts[m->n_texts++] = text;
	m->by_text[h & m->by_text_mask] = (uint32_t)m->n_texts;
	*out = (uint32_t)m->n_texts - 1;
	return 0;
}

static int
grow_cache(struct merge_symbols *m, struct merge_cache *c, struct err *err)
{
	size_t slots = c->slots == NULL ? TABLE_FIRST :
	    ((size_t)c->mask + 1) * 2;
	struct cache_slot *t = arena_zalloc(m->a, slots * sizeof(*t));
	uint32_t h, mask = (uint32_t)slots - 1;
	size_t i;

	if (t == NULL)
		return no_memory(err);
	for (i = 0; c->slots != NULL && i <= c->mask; i++) {
		if (c->slots[i].key == 0)
			continue;
		h = spread(c->slots[i].key);
		while (t[h & mask].key != 0)
			h++;
		t[h & mask] = c->slots[i];
	}
	c->slots = t;
	c->mask = mask;
	return 0;
}

static int
translate(struct merge_symbols *m, size_t sub, uint32_t sym, uint32_t *out,
    struct err *err)
{
	struct merge_cache *c = &m->caches[sub];
	const struct source *s = m->subs[sub];
	uint32_t key = sym + 1, h = spread(key);

	if (key == 0)
		return err_set(err, ERR_INTERNAL, "corrupt symbol %u", sym);
	if ((c->slots == NULL || c->n * 2 > c->mask) &&
	    grow_cache(m, c, err) == -1)
		return -1;
	for (; c->slots[h & c->mask].key != 0; h++)
		if (c->slots[h & c->mask].key == key) {
			*out = c->slots[h & c->mask].val;
			return 0;
		}
	if (symbol_of_text(m, s->ops->symbol(s, sym), out, err) == -1)
		return -1;
	c->slots[h & c->mask] = (struct cache_slot){ key, *out };
	c->n++;
	return 0;
}

/* Neighbours share most of their labels: those of the last series first. */
static int
translate_label(struct merge_symbols *m, size_t sub, uint32_t i,
    struct label_sym in, struct label_sym *out, struct err *err)
{
	struct recent *r = &m->caches[sub].recent[i % RECENT];

	if ((!r->used || r->in.name != in.name) &&
	    translate(m, sub, in.name, &r->out.name, err) == -1)
		return -1;
	if ((!r->used || r->in.value != in.value) &&
	    translate(m, sub, in.value, &r->out.value, err) == -1)
		return -1;
	r->in = in;
	r->used = true;
	*out = r->out;
	return 0;
}

int
merge_symbols_labels(struct merge_symbols *m, size_t sub,
    const struct source_series *in, struct label_sym *out, struct err *err)
{
	uint32_t i;

	for (i = 0; i < in->n_labels; i++)
		if (translate_label(m, sub, i, in->labels[i], &out[i], err) ==
		    -1)
			return -1;
	return 0;
}

int
merge_symbols_cmp(const struct merge_symbols *m, const struct label_sym *x,
    uint32_t n_x, const struct label_sym *y, uint32_t n_y)
{
	uint32_t i, n = n_x < n_y ? n_x : n_y;

	for (i = 0; i < n; i++) {
		if (x[i].name != y[i].name)
			return str_cmp(m->texts[x[i].name],
			    m->texts[y[i].name]);
		if (x[i].value != y[i].value)
			return str_cmp(m->texts[x[i].value],
			    m->texts[y[i].value]);
	}
	return (n_x > n_y) - (n_x < n_y);
}

int
merge_symbols_init(struct merge_symbols *m, struct arena *a,
    struct source *const *subs, size_t n, struct err *err)
{
	*m = (struct merge_symbols){ .a = a, .subs = subs };
	m->caches = arena_zalloc(a, n * sizeof(*m->caches));
	return m->caches == NULL ? no_memory(err) : 0;
}
