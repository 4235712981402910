/* SPDX-License-Identifier: ISC */
/*
 * From a discovered address to a target: base labels, relabelling, checks,
 * URL, hash, offset (reference: scrape/target.go). A target's identity is
 * its hash over labels and URL, the same as the reference's, so that the
 * offsets within an interval are the same too.
 */

#include <stdio.h>
#include <stdlib.h>

#include "common/base/duration.h"
#include "common/base/hash.h"
#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define INTERVAL_LABEL	"__scrape_interval__"
#define TIMEOUT_LABEL	"__scrape_timeout__"
#define PARAM_PREFIX	"__param_"
#define META_PREFIX	"__meta_"

static const struct {
	const char	*name;
	const char	*what;	/* for errors */
} bool_labels[] = {
	{ "__convert_classic_histograms_to_nhcb__",
	    "convert classic histograms to nhcb" },
	{ "__always_scrape_classic_histograms__",
	    "always scrape classic histograms" },
	{ "__scrape_native_histograms__", "scrape native histograms" },
};

/* --- URL --- */

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
	    c == '~';
}

/* %XX for all but unreserved bytes and those in keep. */
static void
add_escaped(struct buf *b, struct str s, const char *keep, bool plus)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == ' ' && plus)
			buf_add_byte(b, '+');
		else if (is_unreserved(c) ||
		    (c != '\0' && strchr(keep, c) != NULL))
			buf_add_byte(b, c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static void
add_param(struct buf *b, struct str name, struct str value, bool *first)
{
	buf_add_byte(b, *first ? '?' : '&');
	*first = false;
	add_escaped(b, name, "", true);
	buf_add_byte(b, '=');
	add_escaped(b, value, "", true);
}

/* The parameter's values, the first one from its label if there is one. */
static void
add_conf_param(struct buf *b, const struct scrape_param *p,
    struct str from_label, bool *first)
{
	for (size_t i = 0; i < p->values.n; i++)
		add_param(b, p->name, i == 0 && from_label.p != NULL ?
		    from_label : p->values.s[i], first);
	if (p->values.n == 0 && from_label.p != NULL)
		add_param(b, p->name, from_label, first);
}

/* Parameters of the job and of labels, both sorted, merged. */
static void
add_query(struct buf *b, const struct scrape_conf *c, struct labels ls)
{
	const struct str prefix = STR_LIT(PARAM_PREFIX);
	bool first = true;
	size_t k = 0;

	for (size_t i = 0; i < ls.n; i++) {
		struct str name;

		if (!str_has_prefix(ls.l[i].name, prefix))
			continue;
		name = str_from(ls.l[i].name.p + prefix.n,
		    ls.l[i].name.n - prefix.n);
		for (; k < c->n_params &&
		    str_cmp(c->params[k].name, name) < 0; k++)
			add_conf_param(b, &c->params[k],
			    str_from(NULL, 0), &first);
		if (k < c->n_params && str_eq(c->params[k].name, name))
			add_conf_param(b, &c->params[k++], ls.l[i].value,
			    &first);
		else
			add_param(b, name, ls.l[i].value, &first);
	}
	for (; k < c->n_params; k++)
		add_conf_param(b, &c->params[k], str_from(NULL, 0), &first);
}

static void
add_url(struct buf *b, const struct scrape_conf *c, struct labels ls)
{
	struct str scheme = labels_get(ls, STR_LIT("__scheme__"));
	struct str path = labels_get(ls, STR_LIT("__metrics_path__"));

	if (scheme.n != 0) {
		buf_add_str(b, scheme);
		buf_add_byte(b, ':');
	}
	buf_add_c(b, "//");
	add_escaped(b, labels_get(ls, STR_LIT(LABEL_ADDRESS)),
	    "!$&'()*+,;=:[]<>\"@", false);
	if (path.n > 0 && path.p[0] != '/')
		buf_add_byte(b, '/');
	add_escaped(b, path, "$&+,/:;=@", false);
	add_query(b, c, ls);
}

/* --- labels --- */

static void
set_default(struct labels_builder *b, const char *name, struct str value)
{
	if (labels_builder_get(b, str_c(name)).n == 0)
		labels_builder_set(b, str_c(name), value);
}

/* What is known of an address before relabelling. */
static void
discover(struct labels_builder *b, const struct scrape_conf *c,
    struct str address, const struct target_group *g, struct arena *a)
{
	char interval[32], timeout[32];

	labels_builder_reset(b, (struct labels){ NULL, 0 });
	for (size_t i = 0; i < g->n_labels; i++)
		labels_builder_set(b, g->labels[i].name, g->labels[i].value);
	labels_builder_set(b, STR_LIT(LABEL_ADDRESS), address);
	duration_format(c->interval_ms, interval);
	duration_format(c->timeout_ms, timeout);
	set_default(b, LABEL_JOB, c->job_name);
	set_default(b, INTERVAL_LABEL, arena_str(a, str_c(interval)));
	set_default(b, TIMEOUT_LABEL, arena_str(a, str_c(timeout)));
	set_default(b, "__metrics_path__", c->metrics_path);
	set_default(b, "__scheme__", c->scheme);
	set_default(b, bool_labels[0].name,
	    str_c(c->convert_classic_histograms_to_nhcb ? "true" : "false"));
	set_default(b, bool_labels[1].name,
	    str_c(c->always_scrape_classic_histograms ? "true" : "false"));
	set_default(b, bool_labels[2].name,
	    str_c(c->scrape_native_histograms ? "true" : "false"));
	for (size_t i = 0; i < c->n_params; i++) {
		char *name = arena_printf(a, PARAM_PREFIX "%.*s",
		    STR_ARG(c->params[i].name));

		if (name != NULL && c->params[i].values.n > 0)
			set_default(b, name, c->params[i].values.s[0]);
	}
}

static int
parse_duration_label(struct labels_builder *b, const char *label,
    const char *what, int64_t *out, struct err *err)
{
	if (duration_parse(labels_builder_get(b, str_c(label)), out,
	    err) == -1)
		return err_wrap(err, "error parsing scrape %s", what);
	if (*out == 0)
		return err_set(err, ERR_BAD_DATA, "scrape %s cannot be 0",
		    what);
	return 0;
}

static int
fail_quoted(const char *before, struct str s, const char *after,
    struct err *err)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, before);
	quote_add(&b, s);
	err_set(err, ERR_BAD_DATA, "%.*s%s", STR_ARG(buf_str(&b)), after);
	buf_clear(&b);
	return -1;
}

static bool
is_bool(struct str s)
{
	static const char *const words[] = { "1", "t", "T", "TRUE", "true",
	    "True", "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_c(s, words[i]))
			return true;
	return false;
}

static int
check_times(struct labels_builder *b, struct target *t, struct err *err)
{
	if (parse_duration_label(b, INTERVAL_LABEL, "interval",
	    &t->interval_ms, err) == -1 ||
	    parse_duration_label(b, TIMEOUT_LABEL, "timeout", &t->timeout_ms,
	    err) == -1)
		return -1;
	if (t->timeout_ms > t->interval_ms)
		return err_set(err, ERR_BAD_DATA, "scrape timeout cannot be "
		    "greater than scrape interval (\"%.*s\" > \"%.*s\")",
		    STR_ARG(labels_builder_get(b, STR_LIT(TIMEOUT_LABEL))),
		    STR_ARG(labels_builder_get(b, STR_LIT(INTERVAL_LABEL))));
	return 0;
}

/* What relabelling left must be a target. */
static int
check(struct labels_builder *b, struct target *t, struct err *err)
{
	struct str addr = labels_builder_get(b, STR_LIT(LABEL_ADDRESS)), v;

	if (addr.n == 0)
		return err_set(err, ERR_BAD_DATA, "no address");
	if (memchr(addr.p, '/', addr.n) != NULL)
		return fail_quoted("", addr, " is not a valid hostname", err);
	if (check_times(b, t, err) == -1)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		v = labels_builder_get(b, str_c(bool_labels[i].name));
		if (v.n == 0 || is_bool(v))
			continue;
		fail_quoted("strconv.ParseBool: parsing ", v,
		    ": invalid syntax", err);
		return err_wrap(err, "error parsing %s",
		    bool_labels[i].what);
	}
	return 0;
}

static int
check_values(struct labels ls, struct err *err)
{
	struct buf b;

	for (size_t i = 0; i < ls.n; i++) {
		if (utf8_valid(ls.l[i].value))
			continue;
		buf_init(&b, 0);
		quote_add(&b, ls.l[i].name);
		buf_add_c(&b, ": ");
		quote_add(&b, ls.l[i].value);
		err_set(err, ERR_BAD_DATA, "invalid label value for %.*s",
		    STR_ARG(buf_str(&b)));
		buf_clear(&b);
		return -1;
	}
	return 0;
}

/* All but __meta_… into labels, all but __… into public. */
static void
keep_labels(struct target *t, struct labels ls)
{
	struct label *all = arena_array(&t->arena, ls.n, sizeof(*all));
	struct label *public = arena_array(&t->arena, ls.n, sizeof(*public));
	size_t n_all = 0, n_public = 0;

	if (all == NULL || public == NULL)
		fatal("out of memory for a target");
	for (size_t i = 0; i < ls.n; i++) {
		struct label l = { arena_str(&t->arena, ls.l[i].name),
		    arena_str(&t->arena, ls.l[i].value) };

		if (str_has_prefix(l.name, STR_LIT(META_PREFIX)))
			continue;
		all[n_all++] = l;
		if (!str_has_prefix(l.name, STR_LIT("__")))
			public[n_public++] = l;
	}
	t->labels = (struct labels){ all, n_all };
	t->public = (struct labels){ public, n_public };
}

static void
identify(struct target *t, const struct scrape_conf *conf)
{
	char text[32];
	struct buf b;
	int n;

	buf_init(&b, 0);
	add_url(&b, conf, t->labels);
	t->url = arena_str(&t->arena, buf_str(&b));
	buf_clear(&b);
	n = snprintf(text, sizeof(text), "%016llu",
	    (unsigned long long)labels_hash(t->labels));
	t->hash = hash_fnv64a(HASH_FNV64_INIT, text, (size_t)n);
	t->hash = hash_fnv64a(t->hash, t->url.p, t->url.n);
}

int
target_new(const struct scrape_conf *conf, struct str address,
    const struct target_group *group, struct target **out,
    struct arena *dropped_arena, struct labels *discovered, struct err *err)
{
	struct target *t = xcalloc(1, sizeof(*t));
	struct labels_builder b;
	struct str instance;
	int r = -1;

	*out = NULL;
	arena_init(&t->arena, 0);
	labels_builder_init(&b);
	discover(&b, conf, address, group, &t->arena);
	t->discovered = labels_copy(&t->arena, labels_builder_labels(&b));
	if (b.failed || t->arena.failed)
		fatal("out of memory for a target");
	if (!relabel_apply(&conf->relabel, &b, &t->arena)) {
		*discovered = labels_copy(dropped_arena, t->discovered);
		r = 0;
		goto out;
	}
	if (check(&b, t, err) == -1)
		goto out;
	instance = labels_builder_get(&b, STR_LIT(LABEL_INSTANCE));
	if (instance.n == 0)
		labels_builder_set(&b, STR_LIT(LABEL_INSTANCE),
		    labels_builder_get(&b, STR_LIT(LABEL_ADDRESS)));
	keep_labels(t, labels_builder_labels(&b));
	if (check_values(t->labels, err) == -1)
		goto out;
	identify(t, conf);
	*out = t;
	t = NULL;
	r = 0;
out:
	labels_builder_clear(&b);
	target_free(t);
	return r;
}

void
target_free(struct target *t)
{
	if (t == NULL)
		return;
	arena_clear(&t->arena);
	free(t);
}

int64_t
target_offset_ns(const struct target *t, int64_t interval_ns, uint64_t seed,
    int64_t wall_ns)
{
	int64_t base = interval_ns - wall_ns % interval_ns;
	int64_t next = base + (int64_t)((t->hash ^ seed) %
	    (uint64_t)interval_ns);

	return next > interval_ns ? next - interval_ns : next;
}
