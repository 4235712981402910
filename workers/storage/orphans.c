/* SPDX-License-Identifier: ISC */

/*
 * Series of a scrape worker that died: its successor declares those again
 * that still are scraped. Who is not declared by anyone within two of the
 * longest scrape interval has vanished meanwhile and gets a stale marker,
 * some thousands a tick.
 */

#include "workers/storage/storage.h"

#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/vec.h"

#define MARK_BATCH	4096
#define INTERVAL_DEFAULT_MS 60000

struct orphans {
	struct orphans	*next;
	mono_time	 due;
	uint32_t	*slots;
	size_t		 n, at;
	uint64_t	 marked;
};

void
orphans_add(struct storage *s, uint32_t *slots, size_t n)
{
	struct orphans *o = xcalloc(1, sizeof(*o));
	int64_t interval = s->conf.longest_scrape_interval_ms;

	o->due = mono_add_ms(mono_now(),
	    2 * (interval > 0 ? interval : INTERVAL_DEFAULT_MS));
	o->slots = slots;
	o->n = n;
	o->next = s->orphans;
	s->orphans = o;
}

/* Marks the next series; 1 when there are more, 0 when done, -1 failed. */
static int
mark_some(struct storage *s, struct orphans *o)
{
	static const size_t most = MARK_BATCH;
	struct head_sample *batch = xcalloc(most, sizeof(*batch));
	struct head_result r;
	struct err err = ERR_INIT;
	int64_t now = wall_now_ms(), last;
	size_t n = 0, at = o->at;
	double v;

	for (; at < o->n && n < most; at++) {
		if (head_series_held(s->head, o->slots[at]) ||
		    !head_series_last(s->head, o->slots[at], &last, &v) ||
		    is_stale_nan(v))
			continue;
		batch[n++] = (struct head_sample){ .slot = o->slots[at],
		    .t_ms = now > last ? now : last + 1,
		    .v = double_from_bits(STALE_NAN_BITS) };
	}
	head_set_max_valid(s->head, INT64_MAX);
	if (n > 0 && head_append(s->head, batch, n, 0, &r, &err) == -1) {
		free(batch);
		return -1;	/* the next tick tries again */
	}
	free(batch);
	o->at = at;
	o->marked += n;
	return o->at < o->n;
}

void
orphans_tick(struct storage *s)
{
	struct orphans **at = &s->orphans, *o;

	while ((o = *at) != NULL) {
		if (mono_before(mono_now(), o->due) || mark_some(s, o) != 0) {
			at = &o->next;
			continue;
		}
		if (o->marked > 0)
			log_info("Series of a dead scrape worker marked stale",
			    F_UINT("series", o->marked));
		*at = o->next;
		free(o->slots);
		free(o);
	}
}

void
orphans_free(struct storage *s)
{
	while (s->orphans != NULL) {
		struct orphans *o = s->orphans;

		s->orphans = o->next;
		free(o->slots);
		free(o);
	}
}
