/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_MAP_H
#define BRAZIER_COMMON_BASE_MAP_H

/*
 * A hash table of pointers with the hash supplied by the caller (see
 * common/base/hash.h). Open addressing, power-of-two size, linear probing,
 * deletion without tombstones. Owns its slots, never the values.
 *
 * Wrap it in small typed static inline functions where it is used.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t	 hash;
	void		*val;	/* NULL = empty */
};

struct map {
	struct map_slot	*slots;
	size_t		 n;
	size_t		 mask;	/* slots - 1; 0 while empty */
};

/* True when val is the one that key means. */
typedef bool map_eq_fn(const void *val, const void *key);

void	 map_init(struct map *m);
void	 map_clear(struct map *m);

/* NULL when absent. */
void	*map_get(const struct map *m, uint64_t hash, map_eq_fn *eq,
	    const void *key);
/* The caller knows that the key is absent. -1 when memory is out. */
int	 map_put(struct map *m, uint64_t hash, void *val);
/* Removes and returns the value, NULL when absent. */
void	*map_del(struct map *m, uint64_t hash, map_eq_fn *eq, const void *key);

/*
 * Walks all values in no order: pos starts at 0; NULL at the end. The map
 * must not change meanwhile.
 */
void	*map_next(const struct map *m, size_t *pos);

#endif
