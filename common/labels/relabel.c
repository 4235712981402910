/* SPDX-License-Identifier: ISC */
/*
 * Compiling and applying relabel rules. Each rule knows from its pattern
 * how much of the regex engine it needs: none when the pattern matches
 * everything or is a finite set, and none either when the replacement
 * takes nothing from the match.
 */

#include "common/labels/relabel.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/regex.h"
#include "common/base/vec.h"
#include "common/labels/regex_literals.h"
#include "common/labels/text_case.h"

/* Memory of one rule: its texts and what is known of its pattern. */
#define RULE_BYTES_MAX	(8 << 20)

struct relabel_rule {
	struct relabel_spec	 spec;		/* texts in mem */
	struct regex		*re;
	struct regex_literals	 lits;		/* in mem */
	struct str		 prefix;
	bool			 matches_all;	/* .* or (.*) */
	bool			 copies;	/* (.*) replaced by $1 */
	bool			 literal;	/* no $ in target, replacement */
	struct arena		 mem;
};

void
relabel_rules_init(struct relabel_rules *rs)
{
	*rs = (struct relabel_rules){ 0 };
}

static void
rule_free(struct relabel_rule *r)
{
	if (r->re != NULL)
		regex_free(r->re);
	arena_clear(&r->mem);
	free(r);
}

void
relabel_rules_clear(struct relabel_rules *rs)
{
	size_t i;

	for (i = 0; i < rs->n; i++)
		rule_free(rs->r[i]);
	free(rs->r);
	relabel_rules_init(rs);
}

static void
copy_spec(struct relabel_rule *r, const struct relabel_spec *spec)
{
	struct str *names;
	size_t i;

	r->spec = *spec;
	r->spec.separator = arena_str(&r->mem, spec->separator);
	r->spec.target_label = arena_str(&r->mem, spec->target_label);
	r->spec.regex = arena_str(&r->mem, spec->regex);
	r->spec.replacement = arena_str(&r->mem, spec->replacement);
	names = arena_array(&r->mem, spec->n_source_labels, sizeof(*names));
	for (i = 0; names != NULL && i < spec->n_source_labels; i++)
		names[i] = arena_str(&r->mem, spec->source_labels[i]);
	r->spec.source_labels = names;
}

static bool
has_var(struct str s)
{
	return memchr(s.p, '$', s.n) != NULL;
}

static void
analyse(struct relabel_rule *r)
{
	const struct relabel_spec *s = &r->spec;
	bool group = str_eq_c(s->regex, "(.*)");

	r->matches_all = group || str_eq_c(s->regex, ".*");
	r->literal = !has_var(s->target_label) && !has_var(s->replacement);
	r->copies = group && !has_var(s->target_label) &&
	    (str_eq_c(s->replacement, "$1") ||
	    str_eq_c(s->replacement, "${1}"));
	if (r->matches_all)
		return;
	r->lits = regex_literals_find(&r->mem, s->regex);
	r->prefix = regex_literals_prefix(&r->lits);
	/* A pattern too rich to be kept as literals is no failure. */
	r->mem.failed = false;
}

int
relabel_rules_add(struct relabel_rules *rs, const struct relabel_spec *spec,
    struct err *err)
{
	struct relabel_rule *r;

	if (relabel_spec_check(spec, err) == -1)
		return -1;
	if (vec_grow(&rs->r, &rs->cap, rs->n + 1, sizeof(*rs->r)) == -1 ||
	    (r = calloc(1, sizeof(*r))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	arena_init(&r->mem, RULE_BYTES_MAX);
	copy_spec(r, spec);
	if (r->mem.failed) {
		rule_free(r);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	r->re = regex_new(r->spec.regex, REGEX_ANCHORED | REGEX_DOTALL, err);
	if (r->re == NULL) {
		rule_free(r);
		return -1;
	}
	analyse(r);
	rs->r[rs->n++] = r;
	return 0;
}

struct relabel_spec
relabel_rules_spec(const struct relabel_rules *rs, size_t i)
{
	return rs->r[i]->spec;
}

/* --- applying --- */

struct run {
	struct labels_builder	*b;
	struct arena		*a;
	struct buf		 tmp;
};

static bool
rule_matches(const struct relabel_rule *r, struct str s)
{
	if (r->matches_all)
		return true;
	if (r->lits.exact)
		return str_set_has(r->lits.s, r->lits.n, s);
	return str_has_prefix(s, r->prefix) && regex_matches(r->re, s);
}

/* What is in run->tmp as a string that stays. */
static struct str
keep_tmp(struct run *run)
{
	struct str s = arena_str(run->a, buf_str(&run->tmp));

	if (buf_failed(&run->tmp) || s.p == NULL) {
		run->b->failed = true;
		s = STR_EMPTY;
	}
	buf_reset(&run->tmp);
	return s;
}

static struct str
source_value(struct run *run, const struct relabel_spec *spec)
{
	size_t i;

	if (spec->n_source_labels == 0)
		return STR_EMPTY;
	if (spec->n_source_labels == 1)
		return labels_builder_get(run->b, spec->source_labels[0]);
	for (i = 0; i < spec->n_source_labels; i++) {
		if (i > 0)
			buf_add_str(&run->tmp, spec->separator);
		buf_add_str(&run->tmp,
		    labels_builder_get(run->b, spec->source_labels[i]));
	}
	return keep_tmp(run);
}

static bool
target_is_valid(enum name_validation names, struct str s)
{
	return names == NAME_VALIDATION_LEGACY ? label_name_is_legacy(s) :
	    label_name_is_valid(s);
}

static void
replace(struct run *run, const struct relabel_rule *r, struct str value)
{
	const struct relabel_spec *spec = &r->spec;
	struct str target;

	if (r->copies) {
		labels_builder_set(run->b, spec->target_label, value);
		return;
	}
	if (r->literal) {
		if (rule_matches(r, value))
			labels_builder_set(run->b, spec->target_label,
			    spec->replacement);
		return;
	}
	if (r->lits.exact ? !rule_matches(r, value) :
	    !str_has_prefix(value, r->prefix))
		return;
	target = spec->target_label;
	if (has_var(target)) {
		if (!regex_expand(r->re, value, target, &run->tmp))
			return;
		target = keep_tmp(run);
		if (!target_is_valid(spec->names, target))
			return;
	}
	if (!regex_expand(r->re, value, spec->replacement, &run->tmp))
		return;
	labels_builder_set(run->b, target, keep_tmp(run));
}

static void
hashmod(struct run *run, const struct relabel_spec *spec, struct str value)
{
	uint8_t md5[16];

	hash_md5(value.p, value.n, md5);
	buf_add_u64_text(&run->tmp, load_be64(md5 + 8) % spec->modulus);
	labels_builder_set(run->b, spec->target_label, keep_tmp(run));
}

static void
change_case(struct run *run, const struct relabel_spec *spec,
    struct str value)
{
	if (spec->action == RELABEL_LOWERCASE)
		text_add_lower(&run->tmp, value);
	else
		text_add_upper(&run->tmp, value);
	labels_builder_set(run->b, spec->target_label, keep_tmp(run));
}

/* Works on a snapshot: what it sets is not looked at again. */
static void
labelmap(struct run *run, const struct relabel_rule *r)
{
	struct labels ls = labels_builder_labels(run->b);
	struct label *snap = NULL;
	size_t i;

	for (i = 0; i < ls.n; i++) {
		if (!rule_matches(r, ls.l[i].name))
			continue;
		if (snap == NULL) {
			snap = arena_array(run->a, ls.n, sizeof(*snap));
			if (snap == NULL) {
				run->b->failed = true;
				return;
			}
			memcpy(snap, ls.l, ls.n * sizeof(*snap));
			ls.l = snap;
		}
		regex_replace_all(r->re, ls.l[i].name, r->spec.replacement,
		    &run->tmp);
		labels_builder_set(run->b, keep_tmp(run), ls.l[i].value);
	}
}

/* Deleting keeps every label at its place until the next labels(). */
static void
drop_labels(struct run *run, const struct relabel_rule *r, bool matching)
{
	struct labels ls = labels_builder_labels(run->b);
	size_t i;

	for (i = 0; i < ls.n; i++)
		if (rule_matches(r, ls.l[i].name) == matching)
			labels_builder_del(run->b, ls.l[i].name);
}

static bool
apply_rule(struct run *run, const struct relabel_rule *r)
{
	const struct relabel_spec *spec = &r->spec;
	struct str value = source_value(run, spec);

	switch (spec->action) {
	case RELABEL_DROP:
		return !rule_matches(r, value);
	case RELABEL_KEEP:
		return rule_matches(r, value);
	case RELABEL_DROPEQUAL:
		return !str_eq(value,
		    labels_builder_get(run->b, spec->target_label));
	case RELABEL_KEEPEQUAL:
		return str_eq(value,
		    labels_builder_get(run->b, spec->target_label));
	case RELABEL_REPLACE:
		replace(run, r, value);
		break;
	case RELABEL_LOWERCASE:
	case RELABEL_UPPERCASE:
		change_case(run, spec, value);
		break;
	case RELABEL_HASHMOD:
		hashmod(run, spec, value);
		break;
	case RELABEL_LABELMAP:
		labelmap(run, r);
		break;
	case RELABEL_LABELDROP:
		drop_labels(run, r, true);
		break;
	case RELABEL_LABELKEEP:
		drop_labels(run, r, false);
		break;
	}
	return true;
}

bool
relabel_apply(const struct relabel_rules *rs, struct labels_builder *b,
    struct arena *a)
{
	struct run run = { b, a, { 0 } };
	bool keep = true;
	size_t i;

	buf_init(&run.tmp, 0);
	for (i = 0; i < rs->n && keep; i++)
		keep = apply_rule(&run, rs->r[i]) && !b->failed;
	buf_clear(&run.tmp);
	return keep;
}

/* --- as bytes --- */

void
relabel_rules_encode(const struct relabel_rules *rs, struct buf *out)
{
	const struct relabel_spec *s;
	size_t i, j;

	wire_put_u32(out, (uint32_t)rs->n);
	for (i = 0; i < rs->n; i++) {
		s = &rs->r[i]->spec;
		wire_put_u8(out, (uint8_t)s->action);
		wire_put_u8(out, (uint8_t)s->names);
		wire_put_bool(out, s->has_source_labels);
		wire_put_bool(out, s->has_regex);
		wire_put_u64(out, s->modulus);
		wire_put_str(out, s->separator);
		wire_put_str(out, s->target_label);
		wire_put_str(out, s->regex);
		wire_put_str(out, s->replacement);
		wire_put_u32(out, (uint32_t)s->n_source_labels);
		for (j = 0; j < s->n_source_labels; j++)
			wire_put_str(out, s->source_labels[j]);
	}
}

static int
decode_rule(struct relabel_rules *rs, struct wire_reader *r, struct err *err)
{
	struct relabel_spec s = relabel_spec_default();
	struct str *names;
	uint8_t action = wire_get_u8(r), validation = wire_get_u8(r);
	size_t i;
	int rc;

	s.has_source_labels = wire_get_bool(r);
	s.has_regex = wire_get_bool(r);
	s.modulus = wire_get_u64(r);
	s.separator = wire_get_str(r);
	s.target_label = wire_get_str(r);
	s.regex = wire_get_str(r);
	s.replacement = wire_get_str(r);
	s.n_source_labels = wire_get_count(r, 4);
	if (r->failed || action >= RELABEL_N_ACTIONS ||
	    validation > NAME_VALIDATION_LEGACY)
		return err_set(err, ERR_BAD_DATA, "bad relabel rule bytes");
	names = calloc(s.n_source_labels + 1, sizeof(*names));
	if (names == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; i < s.n_source_labels; i++)
		names[i] = wire_get_str(r);
	s.source_labels = names;
	s.action = (enum relabel_action)action;
	s.names = (enum name_validation)validation;
	rc = r->failed ?
	    err_set(err, ERR_BAD_DATA, "bad relabel rule bytes") :
	    relabel_rules_add(rs, &s, err);
	free(names);
	return rc;
}

int
relabel_rules_decode(struct relabel_rules *rs, struct wire_reader *r,
    struct err *err)
{
	uint32_t i, n = wire_get_count(r, 12);

	for (i = 0; i < n; i++)
		if (decode_rule(rs, r, err) == -1)
			return -1;
	return r->failed ? err_set(err, ERR_BAD_DATA,
	    "bad relabel rule bytes") : 0;
}
