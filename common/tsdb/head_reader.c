/* SPDX-License-Identifier: ISC */

/*
 * Checked access to the head arena: opening, epochs, symbols, pairs, series
 * and chunks. Which series match is head_match.c.
 *
 * Every pointer into the arena comes from at(), which checks offset and
 * length. Counts are loaded once and checked against the arena before use;
 * the memory may be hostile, so nothing is read twice and believed equal.
 */

#include "common/tsdb/head_reader.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"

/*
 * How long a capture that meets series written twice meanwhile tries again.
 * A try takes some 20 ns a series, and series are written at most a few times
 * a second, so one more is enough unless this process gets no CPU.
 */
#define CAPTURE_TRY_NS	(2 * 1000000000LL)

static int
corrupt(struct err *err, const char *what, uint64_t where)
{
	return err_set(err, ERR_INTERNAL, "corrupt head: %s at %llu", what,
	    (unsigned long long)where);
}

/* bytes at off, or NULL; off 0 and the superblock are never valid. */
static inline const void *
at(const struct head_reader *r, head_off off, uint64_t bytes)
{
	uint64_t pos = (uint64_t)off * HEAD_UNIT;

	if (pos < sizeof(struct head_super) || pos > r->size_bytes ||
	    bytes > r->size_bytes - pos)
		return NULL;
	return r->base + pos;
}

/* --- opening --- */

int
head_reader_init(struct head_reader *r, const void *base, uint64_t size_bytes,
    struct head_reader_page *page, struct err *err)
{
	const struct head_super *s = base;

	memset(r, 0, sizeof(*r));
	if (size_bytes < sizeof(*s) || s->magic != HEAD_MAGIC ||
	    s->version != HEAD_VERSION || s->size_bytes > size_bytes ||
	    s->size_bytes < sizeof(*s))
		return err_set(err, ERR_INTERNAL,
		    "corrupt head: bad superblock");
	r->base = base;
	r->size_bytes = s->size_bytes;
	r->super = s;
	r->page = page;
	return 0;
}

int
head_reader_open(struct head_reader *r, int fd, int page_fd, struct err *err)
{
	struct head_reader_page *page = NULL;
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1)
		return err_set_os(err, "head arena");
	if (st.st_size < (off_t)sizeof(struct head_super))
		return err_set(err, ERR_INTERNAL, "corrupt head: too short");
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_set_os(err, "mapping the head arena");
	if (page_fd != -1) {
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
		    MAP_SHARED, page_fd, 0);
		if (page == MAP_FAILED) {
			err_set_os(err, "mapping the epoch page");
			goto fail;
		}
	}
	if (head_reader_init(r, p, (uint64_t)st.st_size, page, err) == -1)
		goto fail_page;
	r->mapped = true;
	r->map_bytes = (uint64_t)st.st_size;
	return 0;
fail_page:
	if (page != NULL)
		(void)munmap(page, sizeof(*page));
fail:
	(void)munmap(p, (size_t)st.st_size);
	return -1;
}

void
head_reader_close(struct head_reader *r)
{
	if (r->mapped) {
		void *base;

		memcpy(&base, &r->base, sizeof(base));
		(void)munmap(base, (size_t)r->map_bytes);
		if (r->page != NULL)
			(void)munmap(r->page, sizeof(*r->page));
	}
	memset(r, 0, sizeof(*r));
}

int
head_reader_page_new(struct err *err)
{
	int fd = memfd_create("epoch", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return err_set_os(err, "making an epoch page");
	if (ftruncate(fd, HEAD_PAGE_BYTES) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == -1) {
		err_set_os(err, "making an epoch page");
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* --- epochs --- */

void
head_reader_begin(struct head_reader *r)
{
	uint64_t epoch, again;

	r->commit = head_load64(&r->super->commit);
	if (r->page == NULL)
		return;
	epoch = head_load64(&r->super->epoch);
	for (;;) {
		__atomic_store_n(&r->page->epoch, epoch, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		/* Pairs with the fence between storage's step and scan. */
		again = __atomic_load_n(&r->super->epoch, __ATOMIC_SEQ_CST);
		if (again == epoch)
			break;
		epoch = again;
	}
}

void
head_reader_end(struct head_reader *r)
{
	if (r->page != NULL)
		__atomic_store_n(&r->page->epoch, 0, __ATOMIC_RELEASE);
}

/* --- symbols --- */

struct str
head_symbol_text(const struct head_reader *r, uint32_t sym)
{
	const struct head_symbol *s = at(r, sym, sizeof(*s));
	uint32_t len;

	if (s == NULL)
		return STR_EMPTY;
	len = __atomic_load_n(&s->len_bytes, __ATOMIC_RELAXED);
	if (len > HEAD_SYMBOL_MAX || at(r, sym, sizeof(*s) + len) == NULL)
		return STR_EMPTY;
	return str_from(s->text, len);
}

/*
 * Walks the probe sequence of a hash in its shard: each call gives the next
 * offset whose tag fits, 0 at the end.
 */
struct probe {
	const struct head_table	*table;
	uint64_t		 hash;
	uint32_t		 mask;
	uint32_t		 i;
	uint32_t		 left;
};

static void
probe_start(const struct head_reader *r, const head_off *shards,
    uint64_t hash, struct probe *p)
{
	head_off off = head_load32(&shards[head_shard(hash)]);

	*p = (struct probe){ .hash = hash };
	p->table = at(r, off, sizeof(*p->table));
	if (p->table == NULL)
		return;
	p->mask = __atomic_load_n(&p->table->mask, __ATOMIC_RELAXED);
	if ((p->mask & (p->mask + 1)) != 0 || p->mask == UINT32_MAX ||
	    at(r, off, sizeof(*p->table) + ((uint64_t)p->mask + 1) * 8) ==
	    NULL) {
		p->table = NULL;
		return;
	}
	p->i = (uint32_t)hash & p->mask;
	p->left = p->mask + 1;
}

static head_off
probe_next(struct probe *p)
{
	if (p->table == NULL)
		return 0;
	while (p->left > 0) {
		uint64_t slot = head_load64(&p->table->slot[p->i]);

		p->i = (p->i + 1) & p->mask;
		p->left--;
		if (slot == 0)
			break;
		if (slot >> 32 == p->hash >> 32)
			return (head_off)slot;
	}
	p->left = 0;
	return 0;
}

uint32_t
head_symbol_find(const struct head_reader *r, struct str text)
{
	struct probe p;
	head_off off;

	if (text.n == 0)
		return 0;
	probe_start(r, r->super->sym_shard, hash_xxh64(text.p, text.n), &p);
	while ((off = probe_next(&p)) != 0) {
		if (str_eq(head_symbol_text(r, off), text))
			return off;
	}
	return 0;
}

/* --- names, values, postings --- */

bool
head_pair_get(const struct head_reader *r, head_off off,
    struct head_pair *out)
{
	const struct head_pair *p = at(r, off, sizeof(*p));

	if (p == NULL)
		return false;
	out->name = p->name;
	out->value = p->value;
	out->list = head_load32(&p->list);
	out->reserved = 0;
	return true;
}

static int
list_get(const struct head_reader *r, head_off off, struct postings *out,
    struct err *err)
{
	const struct head_list *l;
	uint32_t n;

	*out = (struct postings){ NULL, 0 };
	if (off == 0)
		return 0;
	l = at(r, off, sizeof(*l));
	if (l == NULL)
		return corrupt(err, "list", off);
	n = head_load32(&l->n);
	if (at(r, off, sizeof(*l) + (uint64_t)n * 4) == NULL)
		return corrupt(err, "list", off);
	*out = (struct postings){ l->item, n };
	return 0;
}

int
head_pair_items(const struct head_reader *r, const struct head_pair *pair,
    struct postings *out, struct err *err)
{
	return list_get(r, pair->list, out, err);
}

int
head_pair_list(const struct head_reader *r, uint32_t name, uint32_t value,
    struct postings *out, struct err *err)
{
	struct head_pair pair;
	struct probe p;
	head_off off;

	*out = (struct postings){ NULL, 0 };
	if (name == 0)
		return 0;
	probe_start(r, r->super->pair_shard, head_pair_hash(name, value), &p);
	while ((off = probe_next(&p)) != 0) {
		if (!head_pair_get(r, off, &pair))
			return corrupt(err, "pair", off);
		if (pair.name == name && pair.value == value)
			return list_get(r, pair.list, out, err);
	}
	return 0;
}

int
head_names(const struct head_reader *r, struct postings *out,
    struct err *err)
{
	return list_get(r, head_load32(&r->super->names), out, err);
}

/* --- series and chunks --- */

int
head_reader_series(const struct head_reader *r, uint32_t slot,
    struct head_series_view *out, struct err *err)
{
	const struct head_series *s;
	const head_off *seg;
	head_off off;
	uint32_t n;

	if (slot >= HEAD_SLOTS_MAX)
		return corrupt(err, "series slot", slot);
	off = head_load32(&r->super->segment[slot / HEAD_SEGMENT_SLOTS]);
	if (off == 0)
		return 0;
	seg = at(r, off, HEAD_SEGMENT_SLOTS * sizeof(*seg));
	if (seg == NULL)
		return corrupt(err, "series segment", off);
	off = head_load32(&seg[slot % HEAD_SEGMENT_SLOTS]);
	if (off == 0)
		return 0;
	s = at(r, off, sizeof(*s));
	if (s == NULL)
		return corrupt(err, "series", off);
	n = __atomic_load_n(&s->n_labels, __ATOMIC_RELAXED);
	if (n > HEAD_LABELS_MAX ||
	    at(r, off, sizeof(*s) + n * sizeof(s->label[0])) == NULL)
		return corrupt(err, "series", off);
	*out = (struct head_series_view){ .ref = s->ref, .label = s->label,
	    .n_labels = n, .chunks = head_load32(&s->chunks),
	    .deleted = head_load32(&s->deleted) };
	return 1;
}

int
head_reader_deleted(const struct head_reader *r,
    const struct head_series_view *s, const struct head_interval **out,
    uint32_t *n_out, struct err *err)
{
	const struct head_deleted *d;
	uint32_t n;

	*out = NULL;
	*n_out = 0;
	if (s->deleted == 0)
		return 0;
	d = at(r, s->deleted, sizeof(*d));
	if (d == NULL)
		return corrupt(err, "deleted ranges", s->deleted);
	n = __atomic_load_n(&d->n, __ATOMIC_RELAXED);
	if (at(r, s->deleted, sizeof(*d) +
	    (uint64_t)n * sizeof(d->interval[0])) == NULL)
		return corrupt(err, "deleted ranges", s->deleted);
	*out = d->interval;
	*n_out = n;
	return 0;
}

uint32_t
head_series_value(const struct head_series_view *s, uint32_t name)
{
	for (uint32_t i = 0; i < s->n_labels; i++) {
		if (s->label[i].name == name)
			return s->label[i].value;
	}
	return 0;
}

/* The list of chunks with room for n of them; NULL: corrupt. */
static const struct head_chunks *
chunks_at(const struct head_reader *r, head_off off, uint32_t n)
{
	const struct head_chunks *c;

	return at(r, off, sizeof(*c) + (uint64_t)n * sizeof(c->chunk[0]));
}

/*
 * Whether what the words say may be more than commit C held: see
 * "Publication" in head_layout.h. A chunk that a commit after C has created
 * shows nothing, but then the one before it was the last one at C, and may
 * have been written twice since.
 */
static bool
is_newer(const struct head_reader *r, const struct head_chunks *c,
    uint32_t n)
{
	uint64_t word;

	for (uint32_t i = n; i > 0; i--) {
		word = head_load64(&c->chunk[i - 1].word);
		if (head_word_is_newer(word, r->commit))
			return true;
		if (head_word_commit(word) <= r->commit ||
		    head_word_before(word) != 0)
			break;
	}
	return false;
}

static int
capture_one(const struct head_reader *r, head_off off,
    struct head_capture *out, bool *again_out, struct err *err)
{
	const struct head_chunks *c;

	*out = (struct head_capture){ 0, off, 0 };
	if (off == 0)
		return 0;
	c = chunks_at(r, off, 0);
	if (c == NULL)
		return corrupt(err, "chunk list", off);
	out->n = head_load32(&c->n);
	if (out->n == 0)
		return 0;
	c = chunks_at(r, off, out->n);
	if (c == NULL)
		return corrupt(err, "chunk list", off);
	out->word = head_load64(&c->chunk[out->n - 1].word);
	/* the common case needs one look: nothing was written since */
	if (head_word_commit(out->word) <= r->commit)
		return 0;
	/* a word is never ahead of the commit under way */
	if (head_word_commit(out->word) >
	    head_load64(&r->super->commit) + 1)
		return corrupt(err, "publication word", off);
	*again_out |= head_word_is_newer(out->word, r->commit) ||
	    is_newer(r, c, out->n);
	return 0;
}

/*
 * One try at the commit r->commit; *again_out is set when not all of it is
 * that commit's picture.
 */
static int
capture_all(const struct head_reader *r, struct postings slots,
    struct head_capture *cap, bool *again_out, struct err *err)
{
	struct head_series_view s;
	int got;

	for (size_t i = 0; i < slots.n; i++) {
		cap[i] = (struct head_capture){ 0, 0, 0 };
		got = head_reader_series(r, slots.id[i], &s, err);
		if (got == -1)
			return -1;
		if (got == 1 && capture_one(r, s.chunks, &cap[i], again_out,
		    err) == -1)
			return -1;
	}
	return 0;
}

/*
 * What a selection is made of. Everything a commit has published was there
 * before its number: so all series of commit C have slots below what n_slots
 * says after C was read, and those that were created since the match are few
 * and looked at one by one.
 */
struct selection {
	const struct matcher	*const *m;
	size_t			 n_matchers;
	uint32_t		 n_slots;	/* asked so far */
	struct postings		 slots;
	struct head_capture	*cap;
};

/* Room for all of `slots` and n more. */
static int
selection_grow(struct selection *sel, struct arena *a, size_t n,
    struct err *err)
{
	uint32_t *id = arena_array(a, sel->slots.n + n, sizeof(*id));
	struct head_capture *cap = arena_array(a, sel->slots.n + n,
	    sizeof(*cap));

	if (id == NULL || cap == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	if (sel->slots.n > 0) {
		memcpy(id, sel->slots.id, sel->slots.n * sizeof(*id));
		memcpy(cap, sel->cap, sel->slots.n * sizeof(*cap));
	}
	sel->slots.id = id;
	sel->cap = cap;
	return 0;
}

/* Adds and captures what was created since the match. */
static int
select_new(const struct head_reader *r, struct arena *a,
    struct selection *sel, bool *again_out, struct err *err)
{
	uint32_t n_slots = head_load32(&r->super->n_slots), first;
	struct head_series_view s;
	uint32_t *id;
	size_t n = 0;

	if (n_slots <= sel->n_slots)
		return 0;
	if (n_slots > HEAD_SLOTS_MAX)
		return corrupt(err, "number of series", n_slots);
	if (selection_grow(sel, a, n_slots - sel->n_slots, err) == -1)
		return -1;
	id = (uint32_t *)(uintptr_t)sel->slots.id + sel->slots.n;
	for (first = sel->n_slots; first < n_slots; first++) {
		int got = head_reader_series(r, first, &s, err);

		if (got == -1)
			return -1;
		if (got == 1 && head_series_matches(r, &s, sel->m,
		    sel->n_matchers))
			id[n++] = first;
	}
	sel->n_slots = n_slots;
	if (capture_all(r, (struct postings){ id, n },
	    sel->cap + sel->slots.n, again_out, err) == -1)
		return -1;
	sel->slots.n += n;
	return 0;
}

static int
select_all(struct head_reader *r, struct arena *a, struct selection *sel,
    bool with_new, struct err *err)
{
	int64_t began = mono_now().ns;
	bool again;

	do {
		again = false;
		r->commit = head_load64(&r->super->commit);
		if (capture_all(r, sel->slots, sel->cap, &again, err) == -1 ||
		    (with_new && select_new(r, a, sel, &again, err) == -1))
			return -1;
		if (again && mono_now().ns - began > CAPTURE_TRY_NS)
			return err_set(err, ERR_EXECUTION, "samples arrive "
			    "faster than %zu series can be read",
			    sel->slots.n);
	} while (again);
	return 0;
}

int
head_reader_select(struct head_reader *r, struct arena *a,
    const struct matcher *const *m, size_t n, struct postings *slots_out,
    struct head_capture **cap_out, struct err *err)
{
	struct selection sel = { .m = m, .n_matchers = n };

	if (head_match_below(r, a, m, n, &sel.slots, &sel.n_slots,
	    err) == -1)
		return -1;
	sel.cap = arena_array(a, sel.slots.n, sizeof(*sel.cap));
	if (sel.cap == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	if (select_all(r, a, &sel, true, err) == -1)
		return -1;
	*slots_out = sel.slots;
	*cap_out = sel.cap;
	return 0;
}

int
head_reader_capture(struct head_reader *r, struct arena *a,
    struct postings slots, struct head_capture **out, struct err *err)
{
	struct selection sel = { .slots = slots };

	sel.cap = arena_array(a, slots.n, sizeof(*sel.cap));
	if (sel.cap == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	if (select_all(r, a, &sel, false, err) == -1)
		return -1;
	*out = sel.cap;
	return 0;
}

static int
chunk_in_arena(const struct head_reader *r, uint64_t where,
    struct head_chunk_view *out, struct err *err)
{
	uint32_t len = head_where_units(where) * HEAD_UNIT;

	out->data = at(r, head_where_off(where), len);
	if (out->data == NULL)
		return corrupt(err, "chunk", head_where_off(where));
	out->len_bytes = len;
	return 0;
}

int
head_reader_chunk(const struct head_reader *r, const struct head_capture *c,
    uint32_t i, struct head_chunk_view *out, struct err *err)
{
	const struct head_chunks *l = i < c->n ?
	    chunks_at(r, c->chunks, c->n) : NULL;
	const struct head_chunk *k;
	uint64_t word, where;

	if (l == NULL)
		return corrupt(err, "chunk list", c->chunks);
	k = &l->chunk[i];
	/* Words of chunks before the last do not change any more. */
	word = i == c->n - 1 ? c->word : head_load64(&k->word);
	where = head_load64(&k->where);
	memset(out, 0, sizeof(*out));
	out->n_samples = head_word_seen(word, r->commit);
	out->mint_ms = head_load_time(&k->mint_ms);
	out->maxt_ms = head_load_time(&k->maxt_ms);
	out->encoding = (uint8_t)head_where_encoding(where);
	if (!head_where_is_file(where))
		return chunk_in_arena(r, where, out, err);
	out->in_file = true;
	out->file = head_where_file_no(where);
	out->file_off = head_where_off(where);
	return 0;
}

int
head_reader_chunk_from(const struct head_reader *r,
    const struct head_capture *c, int64_t mint_ms, uint32_t *i_out,
    struct err *err)
{
	const struct head_chunks *l;
	uint32_t i = c->n;

	*i_out = c->n;
	if (c->n == 0)
		return 0;
	l = chunks_at(r, c->chunks, c->n);
	if (l == NULL)
		return corrupt(err, "chunk list", c->chunks);
	/* Most queries want the newest ones: a few steps back, then halve. */
	for (int step = 0; step < 8 && i > 0; step++, i--) {
		if (head_load_time(&l->chunk[i - 1].maxt_ms) < mint_ms) {
			*i_out = i;
			return 0;
		}
	}
	for (uint32_t lo = 0; lo < i; ) {
		uint32_t mid = lo + (i - lo) / 2;

		if (head_load_time(&l->chunk[mid].maxt_ms) < mint_ms)
			lo = mid + 1;
		else
			i = mid;
	}
	*i_out = i;
	return 0;
}

/* --- figures --- */

void
head_reader_figures(const struct head_reader *r, struct head_figures *out)
{
	const struct head_super *s = r->super;

	out->n_series = head_load32(&s->n_series);
	out->n_label_pairs = head_load32(&s->n_pairs);
	out->n_chunks = head_load64(&s->n_chunks);
	out->mint_ms = head_load_time(&s->mint_ms);
	out->maxt_ms = head_load_time(&s->maxt_ms);
	out->used_bytes = head_load64(&s->used_bytes);
	out->size_bytes = r->size_bytes;
}
