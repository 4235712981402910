/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_FLAGS_H
#define BRAZIER_SUPERVISOR_FLAGS_H

/*
 * The command line. flags_parse() reads it with the habits of the library
 * that the reference uses (kingpin): --flag=value, --flag value, --no-flag,
 * @file, --. What it finds out ends up in a struct flags (the values) and a
 * struct flags_result (what to print and whether to end).
 *
 *	struct flags f;
 *	struct flags_result r;
 *	flags_init(&f);
 *	flags_parse(&f, argc, argv, &r);
 *	if (r.exit_code != FLAGS_GO_ON) … print r.out, r.err, exit
 *	flags_check(&f, &s, &r);	(supervisor/flags_check.h)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "supervisor/flags_table.h"

enum flag_id {
#define X(id, name, type, def, mode, attrs, since, values, help) FLAG_##id,
	FLAG_TABLE(X)
#undef X
	FLAG_COUNT
};

enum feature_id {
#define X(id, name, state, flag) FEATURE_##id,
	FEATURE_TABLE(X)
#undef X
	FEATURE_COUNT
};

enum flag_type {
	FLAG_TYPE_BOOL,
	FLAG_TYPE_STRING,
	FLAG_TYPE_STRINGS,
	FLAG_TYPE_INT,		/* read as a float, cut to an integer */
	FLAG_TYPE_INT64,
	FLAG_TYPE_FLOAT,
	FLAG_TYPE_DURATION,	/* ms */
	FLAG_TYPE_GO_DURATION,	/* ns */
	FLAG_TYPE_BYTES,
	FLAG_TYPE_ENUM,
	FLAG_TYPE_ENUMS,
	FLAG_TYPE_LOG_LEVEL,
	FLAG_TYPE_LOG_FORMAT
};

enum flag_mode { FLAG_MODE_BOTH, FLAG_MODE_SERVER, FLAG_MODE_AGENT };

enum feature_state {
	FEATURE_STATE_ACTIVE, FEATURE_STATE_NOT_YET, FEATURE_STATE_ALWAYS,
	FEATURE_STATE_NO_OP, FEATURE_STATE_ALIAS
};

struct flag_def {
	const char	*name;
	enum flag_type	 type;
	const char	*def;		/* NULL = unset */
	enum flag_mode	 mode;
	unsigned	 attrs;		/* FA_… */
	const char	*since;
	const char	*values;
	const char	*help;
};

struct feature_def {
	const char		*name;
	enum feature_state	 state;
	enum flag_id		 flag;	/* FEATURE_STATE_ALIAS */
};

extern const struct flag_def flag_defs[FLAG_COUNT];
extern const struct feature_def feature_defs[FEATURE_COUNT];

struct flag_value {
	bool	  set;		/* given by the user */
	char	**items;	/* texts as given; owned */
	size_t	  n_items;
	size_t	  cap_items;
	int64_t	  i;		/* bool, int, ms, ns, bytes, enum index */
	double	  f;
};

struct flags {
	struct flag_value v[FLAG_COUNT];
	bool		  features[FEATURE_COUNT];
};

#define FLAGS_GO_ON	(-1)

struct flags_result {
	int		exit_code;	/* FLAGS_GO_ON or the exit code */
	struct buf	out;		/* for stdout */
	struct buf	err;		/* for stderr */
};

/* All defaults. */
void	 flags_init(struct flags *f);
void	 flags_clear(struct flags *f);

void	 flags_result_init(struct flags_result *r);
void	 flags_result_clear(struct flags_result *r);

/*
 * Reads argv[1..]. On --help and friends and on errors r->exit_code is set
 * and r->out, r->err hold what is to be printed. argv[0]'s last part is the
 * program's name in messages.
 */
void	 flags_parse(struct flags *f, int argc, char *const *argv,
	    struct flags_result *r);

/*
 * Sets one value as if given; ERR_BAD_DATA with the reference's text when it
 * is not of the flag's type or repeated.
 */
int	 flags_set(struct flags *f, enum flag_id id, const char *text,
	    struct err *err);

/* FLAG_COUNT when there is no such flag. */
enum flag_id flags_find(struct str name);

static inline bool
flags_is_set(const struct flags *f, enum flag_id id)
{
	return f->v[id].set;
}

static inline bool
flags_bool(const struct flags *f, enum flag_id id)
{
	return f->v[id].i != 0;
}

static inline int64_t
flags_int(const struct flags *f, enum flag_id id)
{
	return f->v[id].i;
}

/* Text of a single value; "" when unset. */
const char *flags_str(const struct flags *f, enum flag_id id);

/* The value as /api/v1/status/flags shows it. */
void	 flags_format(const struct flags *f, enum flag_id id, struct buf *out);

/* Overwrites a value by a computed one, not marked as set by the user. */
void	 flags_override_str(struct flags *f, enum flag_id id, const char *text);
void	 flags_override_int(struct flags *f, enum flag_id id, int64_t i);

/* --- help texts (flags_help.c) --- */

void	 flags_help(struct buf *out, const char *prog, bool hidden_too);
void	 flags_help_man(struct buf *out, const char *prog);
void	 flags_help_markdown(struct buf *out, const char *prog);
void	 flags_complete(struct buf *out, int argc, char *const *argv);
void	 flags_completion_script(struct buf *out, const char *prog, bool zsh);
void	 flags_version(struct buf *out, const char *prog);

#endif
