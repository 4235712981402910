/* SPDX-License-Identifier: ISC */
/*
 * Open addressing with linear probing. Deletion moves later entries of the
 * run back, so there are no tombstones and look-ups stay short. Load ≤ 3/4.
 */
#include "common/base/map.h"

#include <stdlib.h>

#define MAP_FIRST_SLOTS	16

void
map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void
map_clear(struct map *m)
{
	free(m->slots);
	map_init(m);
}

static size_t
map_find(const struct map *m, uint64_t hash, map_eq_fn *eq, const void *key)
{
	size_t i;

	for (i = hash & m->mask; m->slots[i].val != NULL; i = (i + 1) & m->mask)
		if (m->slots[i].hash == hash && eq(m->slots[i].val, key))
			break;
	return i;
}

void *
map_get(const struct map *m, uint64_t hash, map_eq_fn *eq, const void *key)
{
	return m->n == 0 ? NULL : m->slots[map_find(m, hash, eq, key)].val;
}

static void
map_place(struct map_slot *slots, size_t mask, uint64_t hash, void *val)
{
	size_t i = hash & mask;

	while (slots[i].val != NULL)
		i = (i + 1) & mask;
	slots[i] = (struct map_slot){ hash, val };
}

static int
map_grow(struct map *m)
{
	size_t n = m->slots == NULL ? MAP_FIRST_SLOTS : (m->mask + 1) * 2, i;
	struct map_slot *slots;

	if ((slots = calloc(n, sizeof(*slots))) == NULL)
		return -1;
	for (i = 0; m->slots != NULL && i <= m->mask; i++)
		if (m->slots[i].val != NULL)
			map_place(slots, n - 1, m->slots[i].hash,
			    m->slots[i].val);
	free(m->slots);
	m->slots = slots;
	m->mask = n - 1;
	return 0;
}

int
map_put(struct map *m, uint64_t hash, void *val)
{
	if ((m->slots == NULL || (m->n + 1) * 4 > (m->mask + 1) * 3) &&
	    map_grow(m) == -1)
		return -1;
	map_place(m->slots, m->mask, hash, val);
	m->n++;
	return 0;
}

void *
map_del(struct map *m, uint64_t hash, map_eq_fn *eq, const void *key)
{
	size_t i, j, home;
	void *val;

	if (m->n == 0)
		return NULL;
	i = map_find(m, hash, eq, key);
	if ((val = m->slots[i].val) == NULL)
		return NULL;
	m->n--;
	for (j = i;;) {
		j = (j + 1) & m->mask;
		if (m->slots[j].val == NULL)
			break;
		home = m->slots[j].hash & m->mask;
		/* an entry may move back unless its home lies in (i, j] */
		if (((j - home) & m->mask) >= ((j - i) & m->mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i].val = NULL;
	return val;
}

void *
map_next(const struct map *m, size_t *pos)
{
	while (m->slots != NULL && *pos <= m->mask) {
		void *val = m->slots[(*pos)++].val;

		if (val != NULL)
			return val;
	}
	return NULL;
}
