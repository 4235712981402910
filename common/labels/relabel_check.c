/* SPDX-License-Identifier: ISC */
/*
 * Names, defaults and checks of relabel rules: what a rule may look like.
 * What it does is relabel.c.
 */

#include <strings.h>

#include "common/base/quote.h"
#include "common/labels/relabel.h"

static const char *const action_names[RELABEL_N_ACTIONS] = {
	[RELABEL_REPLACE] = "replace",
	[RELABEL_KEEP] = "keep",
	[RELABEL_DROP] = "drop",
	[RELABEL_HASHMOD] = "hashmod",
	[RELABEL_LABELMAP] = "labelmap",
	[RELABEL_LABELDROP] = "labeldrop",
	[RELABEL_LABELKEEP] = "labelkeep",
	[RELABEL_LOWERCASE] = "lowercase",
	[RELABEL_UPPERCASE] = "uppercase",
	[RELABEL_KEEPEQUAL] = "keepequal",
	[RELABEL_DROPEQUAL] = "dropequal",
};

/* Sets of actions for the checks below. */
#define BIT(a)		(1U << (a))
#define NEED_TARGET	(BIT(RELABEL_REPLACE) | BIT(RELABEL_HASHMOD) | \
			 CASES | EQUALS)
#define CASES		(BIT(RELABEL_LOWERCASE) | BIT(RELABEL_UPPERCASE))
#define EQUALS		(BIT(RELABEL_KEEPEQUAL) | BIT(RELABEL_DROPEQUAL))

struct relabel_spec
relabel_spec_default(void)
{
	return (struct relabel_spec){
		.action = RELABEL_REPLACE,
		.separator = STR_LIT(";"),
		.target_label = STR_EMPTY,
		.regex = STR_LIT("(.*)"),
		.replacement = STR_LIT("$1"),
	};
}

bool
relabel_action_parse(struct str text, enum relabel_action *out)
{
	int i;

	for (i = 0; i < RELABEL_N_ACTIONS; i++)
		if (text.n == strlen(action_names[i]) &&
		    strncasecmp(text.p, action_names[i], text.n) == 0) {
			*out = (enum relabel_action)i;
			return true;
		}
	return false;
}

const char *
relabel_action_name(enum relabel_action action)
{
	return action_names[action];
}

static bool
name_is_valid(enum name_validation names, struct str s)
{
	return names == NAME_VALIDATION_LEGACY ? label_name_is_legacy(s) :
	    label_name_is_valid(s);
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_';
}

static size_t
word_len(struct str s, size_t from)
{
	size_t i = from;

	while (i < s.n && is_word(s.p[i]))
		i++;
	return i - from;
}

/* Names of legacy characters in which $1, $name and ${name} may stand. */
static bool
template_is_legacy(struct str s)
{
	size_t i = 0, n;

	if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	while (i < s.n) {
		if (is_word(s.p[i])) {
			i++;
			continue;
		}
		if (s.p[i++] != '$')
			return false;
		if (i < s.n && s.p[i] == '{') {
			n = word_len(s, i + 1);
			i += 1 + n;
			if (n == 0 || i >= s.n || s.p[i++] != '}')
				return false;
		} else {
			if ((n = word_len(s, i)) == 0)
				return false;
			i += n;
		}
	}
	return true;
}

static bool
template_is_valid(enum name_validation names, struct str s)
{
	return names == NAME_VALIDATION_LEGACY ? template_is_legacy(s) :
	    label_name_is_valid(s);
}

static int
bad_name(const struct relabel_spec *spec, struct str value,
    const char *field, struct err *err)
{
	struct buf q;

	buf_init(&q, 512);
	quote_add(&q, value);
	(void)err_set(err, ERR_BAD_DATA, "%.*s is invalid '%s' for %s action",
	    STR_ARG(buf_str(&q)), field, action_names[spec->action]);
	buf_clear(&q);
	return -1;
}

static int
check_names(const struct relabel_spec *spec, struct err *err)
{
	unsigned bit = BIT(spec->action);
	struct str target = spec->target_label;
	bool has_var = memchr(target.p, '$', target.n) != NULL;

	if (spec->action == RELABEL_REPLACE &&
	    (has_var ? !template_is_valid(spec->names, target) :
	    !name_is_valid(spec->names, target)))
		return bad_name(spec, target, "target_label", err);
	if ((bit & (CASES | EQUALS)) && !name_is_valid(spec->names, target))
		return bad_name(spec, target, "target_label", err);
	if ((bit & (CASES | EQUALS)) && !str_eq_c(spec->replacement, "$1"))
		return err_set(err, ERR_BAD_DATA,
		    "'replacement' can not be set for %s action",
		    action_names[spec->action]);
	if (spec->action == RELABEL_LABELMAP &&
	    !template_is_valid(spec->names, spec->replacement))
		return bad_name(spec, spec->replacement, "replacement", err);
	if (spec->action == RELABEL_HASHMOD &&
	    !name_is_valid(spec->names, target))
		return bad_name(spec, target, "target_label", err);
	return 0;
}

int
relabel_spec_check(const struct relabel_spec *spec, struct err *err)
{
	const char *name = action_names[spec->action];
	unsigned bit = BIT(spec->action);
	bool plain = spec->modulus == 0 && str_eq_c(spec->separator, ";") &&
	    str_eq_c(spec->replacement, "$1");

	if (spec->no_action)
		return err_set(err, ERR_BAD_DATA,
		    "relabel action cannot be empty");
	if (spec->action == RELABEL_HASHMOD && spec->modulus == 0)
		return err_set(err, ERR_BAD_DATA, "relabel configuration for "
		    "hashmod requires non-zero modulus");
	if ((bit & NEED_TARGET) && spec->target_label.n == 0)
		return err_set(err, ERR_BAD_DATA, "relabel configuration for "
		    "%s action requires 'target_label' value", name);
	if (check_names(spec, err) == -1)
		return -1;
	if ((bit & EQUALS) && (spec->has_regex || !plain))
		return err_set(err, ERR_BAD_DATA, "%s action requires only "
		    "'source_labels' and `target_label`, and no other fields",
		    name);
	if ((bit & (BIT(RELABEL_LABELDROP) | BIT(RELABEL_LABELKEEP))) &&
	    (spec->has_source_labels || spec->target_label.n > 0 || !plain))
		return err_set(err, ERR_BAD_DATA, "%s action requires only "
		    "'regex', and no other fields", name);
	return 0;
}
