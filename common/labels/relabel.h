/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_LABELS_RELABEL_H
#define BRAZIER_COMMON_LABELS_RELABEL_H

/*
 * Relabelling: a list of rules turns a label set into another, or drops it.
 * Rules are checked and compiled once; regexes that are literals, finite
 * sets or match everything never reach the regex engine.
 *
 *	struct relabel_rules rs;
 *	relabel_rules_init(&rs);
 *	relabel_rules_add(&rs, &spec, &err);
 *	…
 *	if (!relabel_apply(&rs, &builder, &arena)) → dropped
 *	relabel_rules_clear(&rs);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/base/wire.h"
#include "common/labels/labels.h"

enum relabel_action {
	RELABEL_REPLACE,
	RELABEL_KEEP,
	RELABEL_DROP,
	RELABEL_HASHMOD,
	RELABEL_LABELMAP,
	RELABEL_LABELDROP,
	RELABEL_LABELKEEP,
	RELABEL_LOWERCASE,
	RELABEL_UPPERCASE,
	RELABEL_KEEPEQUAL,
	RELABEL_DROPEQUAL
};
#define RELABEL_N_ACTIONS	(RELABEL_DROPEQUAL + 1)

/* Which names are valid: all UTF-8, or [a-zA-Z_][a-zA-Z0-9_]*. */
enum name_validation { NAME_VALIDATION_UTF8, NAME_VALIDATION_LEGACY };

/* A rule as it is written; strings are borrowed. */
struct relabel_spec {
	enum relabel_action	 action;
	const struct str	*source_labels;
	size_t			 n_source_labels;
	bool			 has_source_labels; /* given, even if empty */
	struct str		 separator;
	struct str		 target_label;
	struct str		 regex;
	bool			 has_regex;	/* given, even if the default */
	bool			 no_action;	/* given, but empty */
	struct str		 replacement;
	uint64_t		 modulus;
	enum name_validation	 names;
};

/* The reference's defaults: replace, ";", "(.*)", "$1", modulus 0. */
struct relabel_spec relabel_spec_default(void);

/* Any case ("Keep"); false when unknown. */
bool	 relabel_action_parse(struct str text, enum relabel_action *out);
const char *relabel_action_name(enum relabel_action action);

/*
 * The reference's checks in its order, without compiling the regex:
 * `relabel configuration for hashmod requires non-zero modulus`, ….
 */
int	 relabel_spec_check(const struct relabel_spec *spec, struct err *err);

struct relabel_rule;

struct relabel_rules {
	struct relabel_rule	**r;	/* owned */
	size_t			  n, cap;
};

void	 relabel_rules_init(struct relabel_rules *rs);
void	 relabel_rules_clear(struct relabel_rules *rs);
/*
 * Checks, compiles and appends; copies all of spec. ERR_BAD_DATA worded as
 * the reference, ERR_NOMEM.
 */
int	 relabel_rules_add(struct relabel_rules *rs,
	    const struct relabel_spec *spec, struct err *err);
/* What the rule was made from; borrowed from the rule. */
struct relabel_spec relabel_rules_spec(const struct relabel_rules *rs,
	    size_t i);

/*
 * Applies all rules in order to what is in b. False: the set is dropped (b
 * is then in between). New strings live in the arena; when it refuses,
 * b->failed is set and false returned.
 */
bool	 relabel_apply(const struct relabel_rules *rs,
	    struct labels_builder *b, struct arena *a);

/* Rules as bytes, for configuration blobs. */
void	 relabel_rules_encode(const struct relabel_rules *rs, struct buf *out);
/* Appends to rs; -1 with ERR_BAD_DATA for bad bytes or a bad rule. */
int	 relabel_rules_decode(struct relabel_rules *rs, struct wire_reader *r,
	    struct err *err);

#endif
