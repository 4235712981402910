/* SPDX-License-Identifier: ISC */
/* meta.json of blocks, over jansson. */

#include "common/tsdb/meta_json.h"

#include <stdlib.h>

#include <jansson.h>

#define META_VERSION	1

bool
ulid_is_valid(struct str s)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	size_t i;

	/* 26 × 5 bits are two more than there are. */
	if (s.n != ULID_CHARS || s.p[0] > '7')
		return false;
	for (i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(digits, s.p[i]) == NULL)
			return false;
	return true;
}

static bool
get_ulid(const json_t *v, struct ulid_text *out)
{
	struct str s;

	if (!json_is_string(v))
		return false;
	s = str_from(json_string_value(v), json_string_length(v));
	if (!ulid_is_valid(s))
		return false;
	memcpy(out->s, s.p, ULID_CHARS);
	out->s[ULID_CHARS] = '\0';
	return true;
}

/* An integer member; absent is 0. */
static bool
get_int(const json_t *obj, const char *key, int64_t *out)
{
	const json_t *v = json_object_get(obj, key);

	*out = v == NULL ? 0 : json_integer_value(v);
	return v == NULL || json_is_integer(v);
}

static bool
get_count(const json_t *obj, const char *key, uint64_t *out)
{
	int64_t v;

	if (!get_int(obj, key, &v) || v < 0)
		return false;
	*out = (uint64_t)v;
	return true;
}

static bool
get_stats(struct block_meta *m, const json_t *stats)
{
	return stats == NULL || (json_is_object(stats) &&
	    get_count(stats, "numSamples", &m->n_samples) &&
	    get_count(stats, "numFloatSamples", &m->n_float_samples) &&
	    get_count(stats, "numHistogramSamples",
	    &m->n_histogram_samples) &&
	    get_count(stats, "numSeries", &m->n_series) &&
	    get_count(stats, "numChunks", &m->n_chunks) &&
	    get_count(stats, "numTombstones", &m->n_tombstones));
}

static bool
get_sources(struct block_meta *m, const json_t *list)
{
	size_t i, n = json_array_size(list);

	m->sources = calloc(n + 1, sizeof(*m->sources));
	if (m->sources == NULL)
		return false;
	for (i = 0; i < n; i++)
		if (!get_ulid(json_array_get(list, i), &m->sources[i]))
			return false;
	m->n_sources = n;
	return true;
}

static bool
get_parents(struct block_meta *m, const json_t *list)
{
	size_t i, n = json_array_size(list);

	m->parents = calloc(n + 1, sizeof(*m->parents));
	if (m->parents == NULL)
		return false;
	for (i = 0; i < n; i++) {
		const json_t *p = json_array_get(list, i);

		if (!get_ulid(json_object_get(p, "ulid"),
		    &m->parents[i].ulid) ||
		    !get_int(p, "minTime", &m->parents[i].mint_ms) ||
		    !get_int(p, "maxTime", &m->parents[i].maxt_ms))
			return false;
	}
	m->n_parents = n;
	return true;
}

static void
get_hints(struct block_meta *m, const json_t *list)
{
	static const char *const names[] = { "from-out-of-order",
	    "from-stale-series", "from-selected-series" };
	size_t i, k;

	for (i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		for (k = 0; s != NULL && k < 3; k++)
			if (strcmp(s, names[k]) == 0)
				m->hints |= 1u << k;
	}
}

static bool
get_compaction(struct block_meta *m, const json_t *c)
{
	int64_t level;

	if (c == NULL)
		return true;
	if (!json_is_object(c) || !get_int(c, "level", &level) ||
	    !get_sources(m, json_object_get(c, "sources")) ||
	    !get_parents(m, json_object_get(c, "parents")))
		return false;
	m->level = level < 0 || level > 1000 ? 0 : (int)level;
	m->deletable = json_is_true(json_object_get(c, "deletable"));
	m->failed = json_is_true(json_object_get(c, "failed"));
	get_hints(m, json_object_get(c, "hints"));
	return true;
}

static int
read_meta(struct block_meta *m, const json_t *root, struct err *err)
{
	int64_t version;

	if (!json_is_object(root) || !get_int(root, "version", &version))
		return err_set(err, ERR_INTERNAL,
		    "meta.json: not a meta file");
	if (version != META_VERSION)
		return err_set(err, ERR_INTERNAL,
		    "unexpected meta file version %lld", (long long)version);
	if (!get_ulid(json_object_get(root, "ulid"), &m->ulid) ||
	    !get_int(root, "minTime", &m->mint_ms) ||
	    !get_int(root, "maxTime", &m->maxt_ms) ||
	    !get_stats(m, json_object_get(root, "stats")) ||
	    !get_compaction(m, json_object_get(root, "compaction")))
		return err_set(err, ERR_INTERNAL,
		    "meta.json: a member of the wrong type");
	return 0;
}

int
block_meta_parse(struct block_meta *m, struct str text, struct err *err)
{
	json_error_t jerr;
	json_t *root;
	int rc;

	*m = (struct block_meta){ 0 };
	root = json_loadb(text.p, text.n, 0, &jerr);
	if (root == NULL)
		return err_set(err, ERR_INTERNAL, "meta.json: line %d: %s",
		    jerr.line, jerr.text);
	rc = read_meta(m, root, err);
	json_decref(root);
	if (rc == -1)
		block_meta_clear(m);
	return rc;
}

void
block_meta_clear(struct block_meta *m)
{
	free(m->sources);
	free(m->parents);
	*m = (struct block_meta){ 0 };
}
