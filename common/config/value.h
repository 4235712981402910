/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_VALUE_H
#define BRAZIER_COMMON_CONFIG_VALUE_H

/*
 * The configuration as typed values. Tables (struct cfg_type, struct
 * cfg_field) say what may stand where: keys, types, defaults, checks. From
 * them a YAML tree becomes a tree of values, strictly, and a tree of values
 * becomes YAML text again, in the reference's order and with its defaults.
 *
 *	yaml_node ── cfg_decode(type) ──▶ cfg_val ── cfg_print ──▶ text
 *
 * What Go's decoder does is kept: null zeroes a field (its default too), a
 * wrong type is noted and decoding goes on, an unknown or doubled key is an
 * error, the checks of a type run only when nothing in it was wrong, and the
 * first check that fails ends it all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/config/yaml_tree.h"

enum cfg_kind {
	CFG_BOOL, CFG_INT, CFG_UINT, CFG_FLOAT,
	CFG_STR, CFG_PATH, CFG_SECRET, CFG_URL, CFG_REGEX,
	CFG_DURATION,	/* milliseconds in u.i */
	CFG_BYTES,	/* in u.i */
	CFG_STRUCT, CFG_LIST, CFG_MAP,
	CFG_ANY		/* whatever it is, in u.node */
};

struct cfg_val;
struct cfg_reader;

/* The checks of a type; may complete or change v. -1 after cfg_fail(). */
typedef int cfg_check_fn(struct cfg_reader *r, struct cfg_val *v);

struct cfg_type {
	enum cfg_kind		 kind;
	/* as messages call it; NULL (lists, maps): made from elem's */
	const char		*go_name;
	const struct cfg_field	*fields;	/* CFG_STRUCT */
	size_t			 n_fields;
	const struct cfg_type	*elem;		/* CFG_LIST, CFG_MAP values */
	bool			 elem_is_ptr;	/* a null element is absent */
	cfg_check_fn		*check;
	cfg_check_fn		*check_key;	/* CFG_MAP: v is a CFG_STR */
};

/* Flags of a field. */
#define CFG_OMIT	1u	/* not printed when zero */
#define CFG_PTR		2u	/* absent is something else than zero */
#define CFG_INLINE	4u	/* the fields of its struct stand here */
#define CFG_FLOW	8u	/* printed as [a, b] */
#define CFG_HIDDEN	16u	/* no key of its own, never printed */

struct cfg_field {
	const char		*key;
	const struct cfg_type	*type;
	unsigned		 flags;
	const char		*def;	/* scalar's default as YAML; NULL = 0 */
};

struct cfg_entry;

struct cfg_val {
	const struct cfg_type	*type;
	uint32_t		 line;		/* 0: not in the file */
	bool			 present;	/* in the file and not null */
	bool			 is_nil;	/* absent pointer, list or map */
	bool			 is_zero_regex;	/* CFG_REGEX: the default */
	union {
		bool			 b;
		int64_t			 i;
		uint64_t		 u;
		double			 f;
		struct str		 s;
		struct cfg_val		*fields;	/* as in type */
		struct { struct cfg_val *v; size_t n; } list;
		struct { struct cfg_entry *e; size_t n; } map;
		const struct yaml_node	*node;	/* lives as the document */
	} u;
};

struct cfg_entry {
	struct str	key;
	struct cfg_val	val;
};

struct cfg_reader {
	struct arena	*mem;		/* of all values */
	struct buf	 type_errors;	/* "\n  line 5: …" … */
	size_t		 n_type_errors;
	size_t		 visits;
	bool		 failed;	/* err is set: stop */
	uint32_t	 err_line;
	struct err	*err;
};

/* Scalars, and lists and maps of them. */
extern const struct cfg_type cfg_bool, cfg_int, cfg_int64, cfg_uint, cfg_uint64,
    cfg_float, cfg_string, cfg_path, cfg_secret, cfg_url, cfg_regex,
    cfg_duration, cfg_bytes, cfg_strings, cfg_paths, cfg_secrets,
    cfg_string_map, cfg_secrets_map, cfg_strings_map, cfg_any_map;

void	 cfg_reader_init(struct cfg_reader *r, struct arena *mem,
	    struct err *err);
void	 cfg_reader_clear(struct cfg_reader *r);

/*
 * Decodes a document of the given struct type (root NULL: all defaults).
 * -1: err is set (`yaml: unmarshal errors:\n  line 5: …`, or the text of a
 * check) and r->err_line is its line.
 */
int	 cfg_decode(struct cfg_reader *r, const struct yaml_node *root,
	    const struct cfg_type *type, struct cfg_val *out);

/* Ends decoding with a text; -1. */
int	 cfg_fail(struct cfg_reader *r, uint32_t line, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* As cfg_fail, but the text begins with s in Go's quotes. */
int	 cfg_fail_quoted(struct cfg_reader *r, uint32_t line, struct str s,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* --- reading values; the key must be one of the type's --- */

/* The field, also of an inlined struct. Never NULL. */
struct cfg_val *cfg_get(const struct cfg_val *v, const char *key);
struct str cfg_get_str(const struct cfg_val *v, const char *key);
int64_t	 cfg_get_int(const struct cfg_val *v, const char *key);
uint64_t cfg_get_uint(const struct cfg_val *v, const char *key);
bool	 cfg_get_bool(const struct cfg_val *v, const char *key);
double	 cfg_get_float(const struct cfg_val *v, const char *key);
/* Text that is not empty; pointer, list or map that is there. */
bool	 cfg_has(const struct cfg_val *v, const char *key);
/* Go's zero value, recursively. */
bool	 cfg_is_zero(const struct cfg_val *v);

/* --- changing values --- */

/* All defaults of the type, as if its key were not in the file. */
int	 cfg_init_default(struct cfg_reader *r, struct cfg_val *v,
	    const struct cfg_type *type);
void	 cfg_set_bool(struct cfg_val *v, bool b);
void	 cfg_set_str(struct cfg_val *v, struct str s);

/*
 * Joins every relative CFG_PATH below v to dir ("" and "." leave them).
 */
int	 cfg_join_dir(struct cfg_reader *r, struct cfg_val *v,
	    struct str dir);

/* dir and file name as the reference's path functions have them. */
struct str cfg_path_dir(struct arena *a, struct str path);
struct str cfg_path_join(struct arena *a, struct str dir, struct str path);

/* Appends the value as YAML; secrets as <secret>. */
int	 cfg_print(const struct cfg_val *v, struct buf *out, struct err *err);

#endif
