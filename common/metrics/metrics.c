/* SPDX-License-Identifier: ISC */
/*
 * The writer of own metrics: entries appended to the process's region,
 * found again by family and labels through a private map. Places of dropped
 * ones are used again, so that names that come and go do not fill it.
 */
#include "common/metrics/metrics.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/float_text.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/vec.h"
#include "common/metrics/region.h"

/* A summary is the slots of its entry. */
struct metrics_summary { metrics_slot slots[1]; };
struct metrics_histogram {
	metrics_slot	*slots;
	double		*bounds;
	size_t		 n_bounds;
	uint64_t	 key_hash;
};

/* A dropped entry's place. */
struct vacancy { struct metrics_entry *e; int64_t since_ns; };

struct metrics {
	struct metrics_header	*h;
	struct map		 by_key;	/* of struct metrics_entry */
	struct metrics_histogram **histograms;
	size_t			 n_histograms, cap_histograms;
	struct vacancy		*vacant;
	size_t			 n_vacant, cap_vacant;
	/* where values go for which there was no room */
	metrics_slot		 spare[2 + 2 * (SKETCH_BUCKETS + 1)];
};

struct metrics_key {
	uint16_t	family;
	struct str	labels;
};

static char *
entry_labels(const struct metrics_entry *e)
{
	return (char *)(uintptr_t)(e + 1);
}

static metrics_slot *
entry_slots(const struct metrics_entry *e)
{
	return (metrics_slot *)(uintptr_t)((const char *)(e + 1) +
	    ((e->labels_len + 7u) & ~7u));
}

static bool
entry_eq(const void *val, const void *key)
{
	const struct metrics_entry *e = val;
	const struct metrics_key *k = key;

	return e->family == k->family && e->labels_len == k->labels.n &&
	    memcmp(entry_labels(e), k->labels.p, k->labels.n) == 0;
}

static uint64_t
key_hash(const struct metrics_key *k)
{
	return hash_fnv64a(HASH_FNV64_INIT ^ k->family, k->labels.p,
	    k->labels.n);
}

static struct metrics *
metrics_on(void *region)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	m->h = region;
	m->h->magic = METRICS_MAGIC;
	m->h->used = sizeof(*m->h);
	map_init(&m->by_key);
	return m;
}

bool
metrics_region_is_solid(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	return seals != -1 && (seals & F_SEAL_SHRINK) != 0 &&
	    fstat(fd, &st) == 0 && st.st_size >= METRICS_REGION_BYTES;
}

struct metrics *
metrics_open(int fd, struct err *err)
{
	void *p;

	if (!metrics_region_is_solid(fd)) {
		close(fd);
		(void)err_set(err, ERR_BAD_DATA, "not a metrics region");
		return NULL;
	}
	p = mmap(NULL, METRICS_REGION_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err_set_os(err, "mapping the metrics region");
	close(fd);
	return p == MAP_FAILED ? NULL : metrics_on(p);
}

struct metrics *
metrics_new(void)
{
	void *p = mmap(NULL, METRICS_REGION_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : metrics_on(p);
}

void
metrics_close(struct metrics *m)
{
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; i < m->n_histograms; i++) {
		free(m->histograms[i]->bounds);
		free(m->histograms[i]);
	}
	free(m->histograms);
	free(m->vacant);
	map_clear(&m->by_key);
	munmap(m->h, METRICS_REGION_BYTES);
	free(m);
}

static struct metrics_entry *
vacancy_take(struct metrics *m, size_t i)
{
	struct metrics_entry *e = m->vacant[i].e;

	m->vacant[i] = m->vacant[--m->n_vacant];
	return e;
}

/* A dropped entry comes back. */
static void
entry_revive(struct metrics *m, struct metrics_entry *e)
{
	size_t i;

	for (i = 0; i < m->n_vacant && m->vacant[i].e != e; i++)
		;
	if (i < m->n_vacant)
		(void)vacancy_take(m, i);
	__atomic_store_n(&e->dropped, 0, __ATOMIC_RELAXED);
}

/* A place of this size that was left long enough ago; NULL = none. */
static struct metrics_entry *
place_reused(struct metrics *m, size_t size)
{
	int64_t now_ns = mono_now().ns;
	size_t i;

	for (i = 0; i < m->n_vacant; i++) {
		struct metrics_entry *e = m->vacant[i].e;
		struct metrics_key old = { e->family,
		    str_from(entry_labels(e), e->labels_len) };

		if (e->size != size ||
		    now_ns - m->vacant[i].since_ns < REUSE_AFTER_NS)
			continue;
		(void)map_del(&m->by_key, key_hash(&old), entry_eq, &old);
		return vacancy_take(m, i);
	}
	return NULL;
}

/* All but `dropped`, which says when it counts. */
static void
entry_fill(struct metrics_entry *e, const struct metrics_key *k, size_t size,
    size_t n_slots)
{
	e->size = (uint32_t)size;
	e->family = k->family;
	e->n_slots = (uint16_t)n_slots;
	e->labels_len = (uint16_t)k->labels.n;
	memset(e + 1, 0, size - sizeof(*e));
	memcpy(entry_labels(e), k->labels.p, k->labels.n);
}

/* The entry of a key; NULL when there is no room for a new one. */
static struct metrics_entry *
entry_get(struct metrics *m, enum metrics_family family, const char *labels,
    size_t n_slots)
{
	struct metrics_key k = { (uint16_t)family, str_c(labels) };
	uint64_t hash = key_hash(&k);
	struct metrics_entry *e = map_get(&m->by_key, hash, entry_eq, &k);
	bool reused;
	size_t size;

	if (e != NULL) {
		if (e->dropped)
			entry_revive(m, e);
		return e;
	}
	size = sizeof(*e) + ((k.labels.n + 7) & ~(size_t)7) +
	    n_slots * sizeof(metrics_slot);
	if (k.labels.n > METRICS_LABELS_MAX) {
		m->h->lost++;
		return NULL;
	}
	e = place_reused(m, size);
	reused = e != NULL;
	if (!reused && size <= METRICS_REGION_BYTES - m->h->used)
		e = (struct metrics_entry *)(void *)((char *)m->h + m->h->used);
	if (e == NULL || map_put(&m->by_key, hash, e) == -1) {
		m->h->lost++;
		return NULL;
	}
	entry_fill(e, &k, size, n_slots);
	if (reused)
		__atomic_store_n(&e->dropped, 0, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&m->h->used, m->h->used + size,
		    __ATOMIC_RELEASE);
	return e;
}

metrics_slot *
metrics_get(struct metrics *m, enum metrics_family family, const char *labels)
{
	struct metrics_entry *e = entry_get(m, family, labels, 1);

	return e == NULL ? m->spare : entry_slots(e);
}

double
metrics_value(const metrics_slot *s)
{
	return double_from_bits(__atomic_load_n(&s->bits, __ATOMIC_RELAXED));
}

void
metrics_set(metrics_slot *s, double v)
{
	__atomic_store_n(&s->bits, double_bits(v), __ATOMIC_RELAXED);
}

void
metrics_add(metrics_slot *s, double v)
{
	metrics_set(s, metrics_value(s) + v);
}

void
metrics_drop(struct metrics *m, enum metrics_family family,
    const char *labels)
{
	struct metrics_key k = { (uint16_t)family, str_c(labels) };
	struct metrics_entry *e = map_get(&m->by_key, key_hash(&k), entry_eq,
	    &k);
	size_t i;

	if (e == NULL || e->dropped)
		return;
	__atomic_store_n(&e->dropped, 1, __ATOMIC_RELAXED);
	/* without memory for the note its place stays empty */
	if (vec_grow(&m->vacant, &m->cap_vacant, m->n_vacant + 1,
	    sizeof(*m->vacant)) == 0)
		m->vacant[m->n_vacant++] = (struct vacancy){ e,
		    mono_now().ns };
	/* it begins anew should it come back */
	for (i = 0; i < e->n_slots; i++)
		metrics_set(&entry_slots(e)[i], 0);
}

void
metrics_label(struct buf *b, const char *name, struct str value)
{
	size_t i;

	if (b->n != 0)
		buf_add_byte(b, ',');
	buf_add_c(b, name);
	buf_add_c(b, "=\"");
	for (i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_add_byte(b, '\\');
		if (value.p[i] == '\n')
			buf_add_c(b, "\\n");
		else
			buf_add_byte(b, (uint8_t)value.p[i]);
	}
	buf_add_byte(b, '"');
}

/* --- summaries --- */

struct metrics_summary *
metrics_summary(struct metrics *m, enum metrics_family family,
    const char *labels)
{
	struct metrics_entry *e = entry_get(m, family, labels,
	    2 + 2 * (SKETCH_BUCKETS + 1));

	return (struct metrics_summary *)(e == NULL ? m->spare :
	    entry_slots(e));
}

void
metrics_summary_observe(struct metrics_summary *s, double v)
{
	metrics_slot *old = s->slots + 2;
	metrics_slot *new = s->slots + 2 + SKETCH_BUCKETS + 1;
	double now = (double)(mono_now().ns / 1000000000);
	int i = v <= SKETCH_MIN || isnan(v) ? 0 :
	    (int)ceil(log(v / SKETCH_MIN) / log(SKETCH_GROWTH));

	metrics_add(&s->slots[0], 1);
	metrics_add(&s->slots[1], v);
	if (now - metrics_value(new) >= SKETCH_AGE_S) {
		memcpy(old, new, (SKETCH_BUCKETS + 1) * sizeof(*old));
		memset(new, 0, (SKETCH_BUCKETS + 1) * sizeof(*new));
		metrics_set(new, now);
	}
	if (i >= SKETCH_BUCKETS)
		i = SKETCH_BUCKETS - 1;
	metrics_add(&new[1 + i], 1);
}

/* --- histograms --- */

static size_t
parse_bounds(const char *shape, double *bounds, size_t max)
{
	size_t n = 0;
	const char *p = shape;

	while (*p != '\0' && n < max) {
		size_t len = strcspn(p, ",");

		if (float_parse(p, len, &bounds[n]))
			n++;
		p += len + (p[len] == ',');
	}
	return n;
}

struct metrics_histogram *
metrics_histogram(struct metrics *m, enum metrics_family family,
    const char *labels)
{
	struct metrics_key k = { (uint16_t)family, str_c(labels) };
	uint64_t hash = key_hash(&k);
	struct metrics_histogram *h;
	struct metrics_entry *e;
	double bounds[32];
	size_t i, n;

	for (i = 0; i < m->n_histograms; i++)
		if (m->histograms[i]->key_hash == hash)
			return m->histograms[i];
	n = parse_bounds(metrics_families[family].shape, bounds, 32);
	e = entry_get(m, family, labels, 2 + n);
	h = xcalloc(1, sizeof(*h));
	h->slots = e == NULL ? m->spare : entry_slots(e);
	h->bounds = xcalloc(n, sizeof(*h->bounds));
	memcpy(h->bounds, bounds, n * sizeof(*bounds));
	h->n_bounds = n;
	h->key_hash = hash;
	if (vec_grow(&m->histograms, &m->cap_histograms, m->n_histograms + 1,
	    sizeof(h)) == -1)
		fatal("out of memory");
	m->histograms[m->n_histograms++] = h;
	return h;
}

void
metrics_histogram_observe(struct metrics_histogram *h, double v)
{
	size_t i;

	metrics_add(&h->slots[0], 1);
	metrics_add(&h->slots[1], v);
	for (i = 0; i < h->n_bounds; i++)
		if (v <= h->bounds[i]) {
			metrics_add(&h->slots[2 + i], 1);
			return;
		}
}
