/* SPDX-License-Identifier: ISC */
/*
 * The reader of own metrics: all regions in one pass, entries of equal
 * family and labels added up, printed as text format 0.0.4. Regions belong to
 * other processes and are checked at every step. Counters of a process that
 * ended are carried over in `gone`, so that they never step back.
 */
#include <sys/mman.h>

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
#include "common/metrics/metrics.h"
#include "common/metrics/region.h"

struct mapped {
	uint64_t	 key;
	const char	*p;
};

/* One line-to-be: the sum of all entries with its family and labels. */
struct sum {
	uint16_t	 family;
	uint16_t	 n_slots;
	struct str	 labels;
	double		*v;
};

struct sums {
	struct map	 by_key;
	struct sum	**all;
	size_t		 n, cap;
};

struct metrics_reader {
	struct mapped	*regions;
	size_t		 n, cap;
	struct sums	 gone;
};

static void
sum_free(struct sum *s)
{
	free(s->v);
	free((void *)(uintptr_t)s->labels.p);
	free(s);
}

static void
sums_clear(struct sums *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		sum_free(s->all[i]);
	free(s->all);
	map_clear(&s->by_key);
	*s = (struct sums){ 0 };
}

static bool
sum_eq(const void *val, const void *key)
{
	const struct sum *a = val, *b = key;

	return a->family == b->family && str_eq(a->labels, b->labels);
}

static struct sum *
sums_get(struct sums *s, uint16_t family, struct str labels, uint16_t n_slots)
{
	struct sum key = { .family = family, .labels = labels }, *e;
	uint64_t hash = hash_fnv64a(HASH_FNV64_INIT ^ family, labels.p,
	    labels.n);

	if ((e = map_get(&s->by_key, hash, sum_eq, &key)) != NULL)
		return e->n_slots == n_slots ? e : NULL;
	e = xcalloc(1, sizeof(*e));
	e->family = family;
	e->n_slots = n_slots;
	e->labels = str_from(str_dup(labels), labels.n);
	e->v = xcalloc(n_slots, sizeof(*e->v));
	if (e->labels.p == NULL || map_put(&s->by_key, hash, e) == -1 ||
	    vec_grow(&s->all, &s->cap, s->n + 1, sizeof(e)) == -1)
		fatal("out of memory");
	s->all[s->n++] = e;
	return e;
}

/* A summary's old generations do not count; the others are added. */
static void
add_slots(struct sum *to, const metrics_slot *slots)
{
	double now = (double)(mono_now().ns / 1000000000), began;
	size_t i, g;

	if (metrics_families[to->family].type != METRICS_SUMMARY) {
		for (i = 0; i < to->n_slots; i++)
			to->v[i] += metrics_value(&slots[i]);
		return;
	}
	to->v[0] += metrics_value(&slots[0]);
	to->v[1] += metrics_value(&slots[1]);
	for (g = 0; g < 2; g++) {
		const metrics_slot *b = slots + 2 + g * (SKETCH_BUCKETS + 1);

		began = metrics_value(b);
		if (now - began > 2 * SKETCH_AGE_S)
			continue;
		for (i = 1; i <= SKETCH_BUCKETS; i++)
			to->v[2 + i] += metrics_value(&b[i]);
	}
}

/* Adds one region's entries; only_counters for a process that ended. */
static uint64_t
add_region(struct sums *s, const char *p, bool only_counters)
{
	const struct metrics_header *h = (const void *)p;
	uint64_t used = __atomic_load_n(&h->used, __ATOMIC_ACQUIRE);
	size_t at = sizeof(*h);

	if (h->magic != METRICS_MAGIC || used > METRICS_REGION_BYTES)
		return 0;
	while (at + sizeof(struct metrics_entry) <= used) {
		struct metrics_entry e;
		struct sum *to;
		size_t labels_len, need;

		memcpy(&e, p + at, sizeof(e));
		labels_len = (e.labels_len + 7u) & ~(size_t)7;
		need = sizeof(e) + labels_len +
		    e.n_slots * sizeof(metrics_slot);
		if (e.size != need || need > used - at ||
		    e.family >= METRICS_FAMILY_COUNT)
			break;	/* torn or hostile: nothing behind it counts */
		if (!e.dropped && (!only_counters ||
		    metrics_families[e.family].type != METRICS_GAUGE)) {
			to = sums_get(s, e.family, str_from(p + at + sizeof(e),
			    e.labels_len), e.n_slots);
			if (to != NULL)
				add_slots(to, (const void *)(p + at +
				    sizeof(e) + labels_len));
		}
		at += need;
	}
	return h->lost;
}

struct metrics_reader *
metrics_reader_new(void)
{
	return xcalloc(1, sizeof(struct metrics_reader));
}

static void
unmap(struct mapped *r)
{
	munmap((void *)(uintptr_t)r->p, METRICS_REGION_BYTES);
}

void
metrics_reader_free(struct metrics_reader *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->n; i++)
		unmap(&r->regions[i]);
	free(r->regions);
	sums_clear(&r->gone);
	free(r);
}

int
metrics_reader_add(struct metrics_reader *r, uint64_t key, int fd,
    struct err *err)
{
	void *p;

	metrics_reader_remove(r, key);
	if (!metrics_region_is_solid(fd)) {
		close(fd);
		return err_set(err, ERR_BAD_DATA, "not a metrics region");
	}
	p = mmap(NULL, METRICS_REGION_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err_set_os(err, "mapping a metrics region");
	close(fd);
	if (p == MAP_FAILED)
		return -1;
	if (vec_grow(&r->regions, &r->cap, r->n + 1, sizeof(*r->regions)) ==
	    -1)
		fatal("out of memory");
	r->regions[r->n++] = (struct mapped){ key, p };
	return 0;
}

void
metrics_reader_remove(struct metrics_reader *r, uint64_t key)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->regions[i].key == key) {
			(void)add_region(&r->gone, r->regions[i].p, true);
			unmap(&r->regions[i]);
			r->regions[i] = r->regions[--r->n];
			return;
		}
}

/* --- printing --- */

static int
sum_cmp(const void *a, const void *b)
{
	const struct sum *x = *(struct sum *const *)a;
	const struct sum *y = *(struct sum *const *)b;
	int c = strcmp(metrics_families[x->family].name,
	    metrics_families[y->family].name);

	return c != 0 ? c : str_cmp(x->labels, y->labels);
}

static void
print_value(struct buf *out, double v)
{
	char text[FLOAT_TEXT_MAX];

	buf_add(out, text, float_format_g(v, text));
	buf_add_byte(out, '\n');
}

static void
print_name(struct buf *out, const struct sum *s, const char *suffix,
    const char *label, const char *value, size_t value_n)
{
	buf_add_c(out, metrics_families[s->family].name);
	buf_add_c(out, suffix);
	if (s->labels.n != 0 || label != NULL) {
		buf_add_byte(out, '{');
		buf_add_str(out, s->labels);
		if (label != NULL) {
			if (s->labels.n != 0)
				buf_add_byte(out, ',');
			buf_printf(out, "%s=\"%.*s\"", label, (int)value_n,
			    value);
		}
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ' ');
}

static void
print_histogram(struct buf *out, const struct sum *s)
{
	const char *p = metrics_families[s->family].shape;
	double total = 0;
	size_t i, len;

	for (i = 2; i < s->n_slots && *p != '\0'; i++) {
		len = strcspn(p, ",");
		total += s->v[i];
		print_name(out, s, "_bucket", "le", p, len);
		print_value(out, total);
		p += len + (p[len] == ',');
	}
	print_name(out, s, "_bucket", "le", "+Inf", 4);
	print_value(out, s->v[0]);
}

/* The sketch's value at a quantile; NaN while nothing was observed. */
static double
sketch_quantile(const struct sum *s, double q)
{
	double total = 0, seen = 0;
	size_t i;

	for (i = 0; i < SKETCH_BUCKETS; i++)
		total += s->v[3 + i];
	if (total == 0)
		return NAN;
	for (i = 0; i < SKETCH_BUCKETS - 1; i++)
		if ((seen += s->v[3 + i]) >= q * total)
			break;
	/* the middle of the bucket */
	return SKETCH_MIN * pow(SKETCH_GROWTH, (double)i - 0.5);
}

static void
print_summary(struct buf *out, const struct sum *s)
{
	const char *p = metrics_families[s->family].shape;
	size_t len;
	double q;

	while (*p != '\0') {
		len = strcspn(p, ",");
		if (float_parse(p, len, &q)) {
			print_name(out, s, "", "quantile", p, len);
			print_value(out, sketch_quantile(s, q));
		}
		p += len + (p[len] == ',');
	}
}

static void
print_sum(struct buf *out, const struct sum *s)
{
	enum metrics_type type = metrics_families[s->family].type;

	if (type == METRICS_HISTOGRAM)
		print_histogram(out, s);
	else if (type == METRICS_SUMMARY)
		print_summary(out, s);
	else {
		print_name(out, s, "", NULL, NULL, 0);
		print_value(out, s->v[0]);
		return;
	}
	print_name(out, s, "_sum", NULL, NULL, 0);
	print_value(out, s->v[1]);
	print_name(out, s, "_count", NULL, NULL, 0);
	print_value(out, s->v[0]);
}

static void
print_head(struct buf *out, const struct metrics_family_row *f)
{
	static const char *const types[] = { "counter", "gauge", "summary",
	    "histogram" };

	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help,
	    f->name, types[f->type]);
}

static bool
wanted(const struct metrics_family_row *f, const struct str *filter, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_eq_c(filter[i], f->name))
			return true;
	return n == 0;
}

void
metrics_reader_print(struct metrics_reader *r, const struct str *name_filter,
    size_t n, struct buf *out)
{
	struct sums all = { 0 };
	struct sum *told;
	uint64_t lost = 0;
	int family = -1;
	size_t i, k;

	for (i = 0; i < r->gone.n; i++) {
		struct sum *g = r->gone.all[i], *to = sums_get(&all,
		    g->family, g->labels, g->n_slots);

		for (k = 0; to != NULL && k < g->n_slots; k++)
			to->v[k] += g->v[k];
	}
	for (i = 0; i < r->n; i++)
		lost += add_region(&all, r->regions[i].p, false);
	if ((told = sums_get(&all, METRIC_METRICS_LOST, STR_EMPTY, 1)) != NULL)
		told->v[0] = (double)lost;
	qsort(all.all, all.n, sizeof(*all.all), sum_cmp);
	for (i = 0; i < all.n; i++) {
		const struct metrics_family_row *f =
		    &metrics_families[all.all[i]->family];

		if (!wanted(f, name_filter, n))
			continue;
		if (all.all[i]->family != family)
			print_head(out, f);
		family = all.all[i]->family;
		print_sum(out, all.all[i]);
	}
	sums_clear(&all);
}
