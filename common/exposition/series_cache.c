/* SPDX-License-Identifier: ISC */
/*
 * Lines live in one array in the order of the body that brought them, so
 * that a scrape reads memory forwards. A hash table of line numbers finds a
 * line when the prediction misses.
 *
 * Forgetting is lazy: a good scrape raises `flushed`, and lines not seen
 * since count as gone; their memory goes when a quarter of the lines is
 * gone. Metadata lines stay for ten more scrapes, as the reference keeps
 * metadata.
 */

#include "common/exposition/series_cache.h"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/vec.h"

#define SLOTS_MIN		64
#define COMPACT_MIN_GONE	256
#define METADATA_ITERATIONS	10

void
series_cache_init(struct series_cache *c)
{
	memset(c, 0, sizeof(*c));
	text_archive_init(&c->texts);
	c->iter = c->flushed = 1;
	c->first = c->prev = c->expected = SERIES_CACHE_NONE;
}

void
series_cache_clear(struct series_cache *c)
{
	free(c->lines);
	free(c->slots);
	text_archive_clear(&c->texts);
	series_cache_init(c);
}

size_t
series_cache_bytes(const struct series_cache *c)
{
	return c->cap * sizeof(*c->lines) +
	    text_archive_bytes(&c->texts) +
	    (c->slots == NULL ? 0 : ((size_t)c->mask + 1) * sizeof(*c->slots));
}

void
series_cache_begin(struct series_cache *c)
{
	c->prev = SERIES_CACHE_NONE;
	c->expected = c->first;
}

struct str
series_cache_text(struct series_cache *c, const struct cached_line *line)
{
	uint32_t i = (uint32_t)(line - c->lines), first;
	struct str run = text_archive_run(&c->texts, i, &first);
	size_t at = 0;

	for (; first < i; first++)
		at += c->lines[first].text_n;
	if (run.n < at + line->text_n)
		return STR_EMPTY;
	return str_from(run.p + at, line->text_n);
}

static uint32_t
find(const struct series_cache *c, size_t text_n, uint64_t hash)
{
	uint32_t slot, i;

	if (c->slots == NULL)
		return SERIES_CACHE_NONE;
	for (slot = (uint32_t)hash & c->mask; (i = c->slots[slot]) != 0;
	    slot = (slot + 1) & c->mask) {
		const struct cached_line *l = &c->lines[i - 1];

		if (l->hash == hash && l->text_n == text_n)
			return i - 1;
	}
	return SERIES_CACHE_NONE;
}

static void
insert(struct series_cache *c, uint32_t line)
{
	uint32_t slot = (uint32_t)c->lines[line].hash & c->mask;

	while (c->slots[slot] != 0)
		slot = (slot + 1) & c->mask;
	c->slots[slot] = line + 1;
}

/* Room for n lines at a load of at most 3/4. */
static int
reserve_slots(struct series_cache *c, size_t n)
{
	size_t want = SLOTS_MIN;
	uint32_t *slots;

	if (c->slots != NULL && n <= ((size_t)c->mask + 1) / 4 * 3)
		return 0;
	while (n > want / 4 * 3)
		want *= 2;
	if (want > UINT32_MAX / 2 ||
	    (slots = calloc(want, sizeof(*slots))) == NULL)
		return -1;
	free(c->slots);
	c->slots = slots;
	c->mask = (uint32_t)(want - 1);
	for (size_t i = 0; i < c->n; i++)
		insert(c, (uint32_t)i);
	return 0;
}

/* The body goes on after this line: mend the chain, move the guess. */
static inline void
visit(struct series_cache *c, uint32_t line)
{
	struct cached_line *l = &c->lines[line];

	if (c->prev == SERIES_CACHE_NONE)
		c->first = line;
	else if (c->lines[c->prev].next != line)
		c->lines[c->prev].next = line;
	c->prev = line;
	c->expected = l->next;
	c->again = l->seen == c->iter;
	c->n_seen += !c->again;
	l->seen = c->iter;
}

static uint32_t
append(struct series_cache *c, struct str text, uint64_t hash,
    enum cached_kind kind)
{
	struct cached_line *l;

	if (c->n >= SERIES_CACHE_NONE - 1 ||
	    vec_grow(&c->lines, &c->cap, c->n + 1, sizeof(*l)) == -1 ||
	    reserve_slots(c, c->n + 1) == -1 ||
	    text_archive_add(&c->texts, (uint32_t)c->n, text) == -1)
		return SERIES_CACHE_NONE;
	l = &c->lines[c->n];
	memset(l, 0, sizeof(*l));
	l->text_n = (uint32_t)text.n;
	l->hash = hash;
	l->kind = (uint8_t)kind;
	l->id = SERIES_CACHE_NONE;
	l->next = c->expected;		/* it was put in before that one */
	insert(c, (uint32_t)c->n);
	return (uint32_t)c->n++;
}

/* A metadata line after expo_next; it is always remembered. */
static enum expo_entry
next_meta(struct series_cache *c, struct expo_parser *p, enum expo_entry e,
    struct err *err)
{
	struct str text = expo_line(p);
	uint64_t hash = hash_xxh3(text.p, text.n);
	uint32_t i = find(c, text.n, hash);

	if (i == SERIES_CACHE_NONE &&
	    (i = append(c, text, hash, CACHED_META)) == SERIES_CACHE_NONE) {
		err_set(err, ERR_NOMEM, "out of memory for scrape cache");
		return EXPO_ERROR;
	}
	c->lines[i].entry = (uint8_t)e;
	c->lines[i].type = (uint8_t)p->type;
	visit(c, i);
	return e;
}

/* A line whose text is as expected, or EXPO_END. */
static inline enum expo_entry
next_expected(struct series_cache *c, struct expo_parser *p,
    struct cached_line **line)
{
	struct cached_line *l = &c->lines[c->expected];

	if (l->kind == CACHED_META) {
		/* a unit has to be read, for the label made of it */
		if (l->entry == EXPO_UNIT || !expo_skip_if(p, l->text_n,
		    l->hash))
			return EXPO_END;
		/* the same HELP line may come under two types */
		if (l->entry == EXPO_TYPE)
			expo_set_type(p, (enum metric_type)l->type);
		visit(c, c->expected);
		return (enum expo_entry)l->entry;
	}
	if (l->seen < c->flushed || !expo_next_if(p, l->text_n, l->hash))
		return EXPO_END;
	visit(c, c->expected);
	*line = l;
	return EXPO_SERIES;
}

enum expo_entry
series_cache_next(struct series_cache *c, struct expo_parser *p,
    struct cached_line **line, struct err *err)
{
	enum expo_entry e;
	uint32_t i;

	*line = NULL;
	c->again = false;
	if (c->expected != SERIES_CACHE_NONE &&
	    (e = next_expected(c, p, line)) != EXPO_END)
		return e;
	e = expo_next(p, err);
	if (e == EXPO_HELP || e == EXPO_TYPE || e == EXPO_UNIT)
		return next_meta(c, p, e, err);
	if (e != EXPO_SERIES)
		return e;
	i = find(c, p->series.n, hash_xxh3(p->series.p, p->series.n));
	if (i == SERIES_CACHE_NONE || c->lines[i].seen < c->flushed)
		return e;
	visit(c, i);
	*line = &c->lines[i];
	return e;
}

struct cached_line *
series_cache_add(struct series_cache *c, const struct expo_parser *p,
    enum cached_kind kind, bool *had_id)
{
	uint64_t hash = hash_xxh3(p->series.p, p->series.n);
	uint32_t i = find(c, p->series.n, hash);

	*had_id = i != SERIES_CACHE_NONE && c->lines[i].kind == kind;
	if (i == SERIES_CACHE_NONE &&
	    (i = append(c, p->series, hash, kind)) == SERIES_CACHE_NONE)
		return NULL;
	c->lines[i].kind = (uint8_t)kind;
	c->lines[i].entry = EXPO_SERIES;
	c->lines[i].type = (uint8_t)p->type;
	visit(c, i);
	return &c->lines[i];
}

static int
by_hash(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Sorted label hashes of what is tracked now; NULL when none or no memory. */
static uint64_t *
tracked_hashes(const struct series_cache *c, size_t *n_out)
{
	uint64_t *h;
	size_t n = 0;

	*n_out = 0;
	if (c->n_tracked == 0 ||
	    (h = malloc(c->n_tracked * sizeof(*h))) == NULL)
		return NULL;
	for (size_t i = 0; i < c->n && n < c->n_tracked; i++)
		if (c->lines[i].tracked == c->iter)
			h[n++] = c->lines[i].labels_hash;
	qsort(h, n, sizeof(*h), by_hash);
	*n_out = n;
	return h;
}

void
series_cache_vanished(struct series_cache *c, series_cache_fn *fn, void *arg)
{
	uint64_t *now;
	size_t n;

	if (c->n_kept == c->n_tracked_before)
		return;
	now = tracked_hashes(c, &n);
	for (size_t i = 0; i < c->n; i++) {
		struct cached_line *l = &c->lines[i];

		if (l->tracked != c->iter - 1 || l->tracked == 0)
			continue;
		if (n == 0 || bsearch(&l->labels_hash, now, n, sizeof(*now),
		    by_hash) == NULL)
			fn(arg, l);
	}
	free(now);
}

static bool
is_gone(const struct series_cache *c, const struct cached_line *l)
{
	if (l->kind == CACHED_META)
		return c->iter - l->seen > METADATA_ITERATIONS;
	return l->seen < c->flushed;
}

/* Marks in the table of new places. */
#define NOT_YET	SERIES_CACHE_NONE
#define GONE	(SERIES_CACHE_NONE - 1)

/* Where the line goes in the new cache; -1 without memory. */
static int
move(struct series_cache *c, uint32_t old, struct series_cache *new,
    uint32_t *to)
{
	const struct cached_line *l = &c->lines[old];
	struct str text;

	if (is_gone(c, l)) {
		*to = GONE;
		return 0;
	}
	text = series_cache_text(c, l);
	*to = text.p == NULL ? SERIES_CACHE_NONE : append(new, text, l->hash,
	    (enum cached_kind)l->kind);
	if (*to == SERIES_CACHE_NONE)
		return -1;
	new->lines[*to] = *l;
	return 0;
}

/* In the order of the chain, then what the chain does not reach. */
static int
move_all(struct series_cache *c, struct series_cache *new,
    uint32_t *to)
{
	uint32_t at;

	for (at = c->first; at != SERIES_CACHE_NONE && to[at] == NOT_YET;
	    at = c->lines[at].next)
		if (move(c, at, new, &to[at]) == -1)
			return -1;
	for (at = 0; at < c->n; at++)
		if (to[at] == NOT_YET && move(c, at, new, &to[at]) == -1)
			return -1;
	return 0;
}

static uint32_t
moved(const uint32_t *to, uint32_t old)
{
	return old == SERIES_CACHE_NONE || to[old] == GONE ?
	    SERIES_CACHE_NONE : to[old];
}

/* Drops the gone lines. Without memory everything stays as it was. */
static void
compact(struct series_cache *c, series_cache_fn *fn, void *arg)
{
	uint32_t *to = malloc(c->n * sizeof(*to));
	struct series_cache new;

	if (to == NULL)
		return;
	memset(to, 0xff, c->n * sizeof(*to));
	series_cache_init(&new);
	if (move_all(c, &new, to) == -1) {
		series_cache_clear(&new);
		free(to);
		return;
	}
	for (size_t i = 0; i < c->n; i++)
		if (to[i] == GONE && fn != NULL)
			fn(arg, &c->lines[i]);
	for (size_t i = 0; i < new.n; i++)
		new.lines[i].next = moved(to, new.lines[i].next);
	free(c->lines);
	free(c->slots);
	text_archive_clear(&c->texts);
	c->lines = new.lines;
	c->n = new.n;
	c->cap = new.cap;
	c->slots = new.slots;
	c->mask = new.mask;
	c->texts = new.texts;
	c->first = moved(to, c->first);
	free(to);
}

/* A target that exposes the same as last time gives its spare room back. */
static void
trim(struct series_cache *c)
{
	size_t lines = c->n + c->n / 16 + 8;
	void *p;

	if (c->cap > lines + lines / 8 && (p = realloc(c->lines,
	    lines * sizeof(*c->lines))) != NULL) {
		c->lines = p;
		c->cap = lines;
	}
	text_archive_trim(&c->texts, (uint32_t)c->n);
}

bool
series_cache_end(struct series_cache *c, bool flush, series_cache_fn *fn,
    void *arg)
{
	bool forced = false;

	if (flush) {
		if (c->n_success == c->n)
			trim(c);
		c->n_success = c->n;
	} else if (c->n > c->n_success * 2 + 1000)
		flush = forced = true;
	if (flush) {
		c->flushed = c->iter;
		if (forced || c->n - c->n_seen > c->n / 4 + COMPACT_MIN_GONE)
			compact(c, fn, arg);
	}
	c->n_tracked_before = c->n_tracked;
	c->n_tracked = c->n_kept = c->n_seen = 0;
	c->iter++;
	return forced;
}

void
series_cache_drop(struct series_cache *c, series_cache_fn *fn, void *arg)
{
	for (size_t i = 0; i < c->n; i++)
		fn(arg, &c->lines[i]);
	series_cache_clear(c);
}
