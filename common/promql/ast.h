/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_AST_H
#define BRAZIER_COMMON_PROMQL_AST_H

/*
 * The syntax tree of a PromQL expression. Nodes, arrays and texts live in
 * the arena that the parser was given; only the matchers of selectors own
 * heap memory (their texts and regexes), which promql_expr_clear() frees.
 *
 *	struct promql_expr ── type, pos, type-dependent part (a union)
 *	       │
 *	       ├─ PROMQL_BINARY    lhs, rhs, matching
 *	       ├─ PROMQL_AGGREGATE expr, param, grouping
 *	       ├─ PROMQL_CALL      func, args[]
 *	       ├─ PROMQL_MATRIX    selector (a PROMQL_VECTOR), range
 *	       └─ …
 *
 * Times that were written as literals are nanoseconds, as exact as the text;
 * promql_ns_to_ms() is how the reference cuts them. Duration expressions
 * (`[5m+step()]`) keep their tree beside a literal of 0; whoever evaluates
 * computes them once a query.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/labels/matcher.h"

enum promql_value_type {
	PROMQL_TYPE_NONE,
	PROMQL_TYPE_SCALAR,
	PROMQL_TYPE_VECTOR,	/* instant vector */
	PROMQL_TYPE_MATRIX,	/* range vector */
	PROMQL_TYPE_STRING
};

/* Byte offsets in the input, end exclusive; both -1 when undefined. */
struct promql_pos {
	int32_t	start;
	int32_t	end;
};

enum promql_node_type {
	PROMQL_NUMBER,
	PROMQL_STRING,
	PROMQL_VECTOR,		/* vector selector */
	PROMQL_MATRIX,		/* range selector */
	PROMQL_SUBQUERY,
	PROMQL_CALL,
	PROMQL_AGGREGATE,
	PROMQL_BINARY,
	PROMQL_UNARY,
	PROMQL_PAREN,
	PROMQL_STEP_INVARIANT,	/* made by the engine, never by the parser */
	PROMQL_DURATION		/* operator inside a duration expression */
};

/*
 * Operators of binary and unary nodes, and of duration expressions (these
 * use the arithmetic ones and the last four).
 */
enum promql_op {
	PROMQL_OP_NONE,
	PROMQL_OP_ADD,
	PROMQL_OP_SUB,
	PROMQL_OP_MUL,
	PROMQL_OP_DIV,
	PROMQL_OP_MOD,
	PROMQL_OP_POW,
	PROMQL_OP_ATAN2,
	PROMQL_OP_EQLC,		/* == */
	PROMQL_OP_NEQ,
	PROMQL_OP_LTE,
	PROMQL_OP_LSS,
	PROMQL_OP_GTE,
	PROMQL_OP_GTR,
	PROMQL_OP_TRIM_UPPER,	/* </ */
	PROMQL_OP_TRIM_LOWER,	/* >/ */
	PROMQL_OP_AND,
	PROMQL_OP_OR,
	PROMQL_OP_UNLESS,
	PROMQL_OP_STEP,		/* step() */
	PROMQL_OP_RANGE,	/* range() */
	PROMQL_OP_MIN_OF,
	PROMQL_OP_MAX_OF
};

enum promql_agg {
	PROMQL_AGG_NONE,
	PROMQL_AGG_SUM,
	PROMQL_AGG_AVG,
	PROMQL_AGG_COUNT,
	PROMQL_AGG_MIN,
	PROMQL_AGG_MAX,
	PROMQL_AGG_GROUP,
	PROMQL_AGG_STDDEV,
	PROMQL_AGG_STDVAR,
	PROMQL_AGG_TOPK,
	PROMQL_AGG_BOTTOMK,
	PROMQL_AGG_COUNT_VALUES,
	PROMQL_AGG_QUANTILE,
	PROMQL_AGG_LIMITK,
	PROMQL_AGG_LIMIT_RATIO
};

/* What the @ modifier says. */
enum promql_at {
	PROMQL_AT_NONE,
	PROMQL_AT_TIME,		/* @ 1234.5: the time in at_ms */
	PROMQL_AT_START,
	PROMQL_AT_END
};

enum promql_card {
	PROMQL_ONE_TO_ONE,
	PROMQL_MANY_TO_ONE,	/* group_left */
	PROMQL_ONE_TO_MANY,	/* group_right */
	PROMQL_MANY_TO_MANY	/* set operators */
};

struct promql_strs {
	struct str	*v;
	size_t		 n;
};

/* How the two vectors of a binary node find each other. */
struct promql_matching {
	enum promql_card	card;
	bool			on;	/* labels are on(…), else ignoring(…) */
	struct promql_strs	labels;
	struct promql_strs	include;	/* of group_left, group_right */
	/* fill modifiers: value for a side that has no match */
	bool			has_fill_lhs;
	bool			has_fill_rhs;
	double			fill_lhs;
	double			fill_rhs;
};

struct promql_func;	/* common/promql/functab.h */
struct promql_expr;

/* The modifiers that selectors and subqueries share. */
struct promql_modifiers {
	int64_t			 offset_ns;	/* as written */
	struct promql_expr	*offset_expr;	/* or NULL */
	enum promql_at		 at;
	int64_t			 at_ms;		/* PROMQL_AT_TIME */
};

struct promql_expr {
	enum promql_node_type	type;
	struct promql_pos	pos;
	uint32_t		height;	/* of the tree below; 1 for a leaf */
	/* the engine's own; NULL from the parser */
	void			*plan;
	void			*share;
	union {
		struct {
			double	val;
			bool	is_duration;	/* written as 5m: val in s */
		} number;
		struct str string;		/* unquoted; any bytes */
		struct {
			struct str		 name;	/* "" if in the braces */
			/*
			 * Matchers in the order written; the one for `name`
			 * comes last. Owned: promql_expr_clear().
			 */
			struct matcher		*matchers;
			size_t			 n_matchers;
			struct promql_modifiers	 mod;
			bool			 anchored;
			bool			 smoothed;
			/* second argument of info() */
			bool			 may_be_empty;
		} vector;
		struct {
			struct promql_expr	*selector; /* PROMQL_VECTOR */
			int64_t			 range_ns;
			struct promql_expr	*range_expr;	/* or NULL */
		} matrix;	/* its modifiers are those of the selector */
		struct {
			struct promql_expr	*expr;
			int64_t			 range_ns;
			struct promql_expr	*range_expr;	/* or NULL */
			int64_t			 step_ns;	/* 0 = default */
			struct promql_expr	*step_expr;	/* or NULL */
			struct promql_modifiers	 mod;
		} subquery;
		struct {
			const struct promql_func *func;
			struct promql_expr	**args;
			size_t			 n_args;
		} call;
		struct {
			enum promql_agg		 op;
			struct promql_expr	*expr;
			struct promql_expr	*param;		/* or NULL */
			struct promql_strs	 grouping;
			bool			 without;
		} agg;
		struct {
			enum promql_op		 op;
			struct promql_expr	*lhs;
			struct promql_expr	*rhs;
			/* NULL unless both sides are vectors */
			struct promql_matching	*matching;
			bool			 return_bool;
		} binary;
		struct {
			enum promql_op		 op;	/* ADD or SUB */
			struct promql_expr	*expr;
		} unary;
		struct promql_expr *inner;	/* PAREN, STEP_INVARIANT */
		struct {
			enum promql_op		 op;
			/*
			 * Unary +/- has rhs only; step() and range() none.
			 * Leaves are PROMQL_NUMBER, in seconds.
			 */
			struct promql_expr	*lhs;
			struct promql_expr	*rhs;
			bool			 wrapped; /* in parentheses */
		} duration;
	};
};

/* Go's Duration.Milliseconds: towards zero. */
static inline int64_t
promql_ns_to_ms(int64_t ns)
{
	return ns / 1000000;
}

static inline bool
promql_op_is_comparison(enum promql_op op)
{
	return op >= PROMQL_OP_EQLC && op <= PROMQL_OP_GTR;
}

static inline bool
promql_op_is_set(enum promql_op op)
{
	return op >= PROMQL_OP_AND && op <= PROMQL_OP_UNLESS;
}

/* topk, bottomk, count_values, quantile, limitk, limit_ratio. */
static inline bool
promql_agg_has_param(enum promql_agg op)
{
	return op >= PROMQL_AGG_TOPK;
}

enum promql_value_type promql_expr_type(const struct promql_expr *e);

/* "none", "scalar", "vector", "matrix", "string": as the HTTP API says. */
const char *promql_type_name(enum promql_value_type t);
/* "instant vector", "range vector", else as above: as errors say. */
const char *promql_type_text(enum promql_value_type t);
/* "+", "==", "and", "step", "sum", "one-to-one" … */
const char *promql_op_text(enum promql_op op);
const char *promql_agg_text(enum promql_agg op);
const char *promql_card_text(enum promql_card card);

/*
 * The children in the reference's order (aggregation: expr, then param);
 * duration expressions are no children. n counts from 0; NULL at the end.
 */
struct promql_expr *promql_expr_child(const struct promql_expr *e, size_t n);

/* The node below parentheses and step-invariant wrappers. */
struct promql_expr *promql_expr_unwrap(struct promql_expr *e);

/*
 * Calls fn on e and all nodes below, parents first; stops when fn returns
 * false for the children of that node only.
 */
void	promql_expr_walk(struct promql_expr *e,
	    bool (*fn)(struct promql_expr *, void *), void *arg);

/*
 * A zeroed node of the arena; NULL when memory is out.
 */
struct promql_expr *promql_expr_new(struct arena *a, enum promql_node_type t,
	    struct promql_pos pos);

/*
 * Frees what the nodes own outside the arena (matchers). Call it before the
 * arena is cleared. NULL is fine.
 */
void	promql_expr_clear(struct promql_expr *e);

/* The expression on one line, as the reference's String(). */
void	promql_expr_print(const struct promql_expr *e, struct buf *out);

/*
 * The expression split into lines of at most max_chars where that is
 * possible (0 = 100), indented by two spaces: /api/v1/format_query.
 */
void	promql_expr_pretty(const struct promql_expr *e, size_t max_chars,
	    struct buf *out);

/* The tree as JSON, as the `data` of /api/v1/parse_query. */
void	promql_expr_json(const struct promql_expr *e, struct buf *out);

#endif
