/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_TESTS_CONFORMANCE_PROMQLTEST_H
#define BRAZIER_TESTS_CONFORMANCE_PROMQLTEST_H

/*
 * The PromQL test language: scripts of load, clear and eval commands, run
 * against an empty store. A script is parsed whole before it runs; each eval
 * is one test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/regex.h"
#include "common/base/str.h"
#include "common/histogram/fhist.h"
#include "common/labels/labels.h"
#include "common/promql/engine.h"
#include "common/promql/source_memory.h"

/* One item of a series line. */
struct item {
	bool			 omitted;
	bool			 hint_set;
	double			 v;
	const struct fhist	*h;
};

struct line_series {
	struct labels	 ls;
	struct item	*items;
	size_t		 n;
	int64_t		*st_ms;		/* offsets, INT64_MIN = none; or NULL */
	size_t		 pos;		/* of expectations, from 1 */
};

enum expect_type {
	EXPECT_ORDERED,
	EXPECT_FAIL,
	EXPECT_WARN,
	EXPECT_NO_WARN,
	EXPECT_INFO,
	EXPECT_NO_INFO,
	EXPECT_N
};

struct expect {
	enum expect_type	 type;
	struct str		 message;
	struct regex		*re;	/* NULL: the message is the text */
};

struct eval_cmd {
	struct str	 expr;
	size_t		 line;		/* from 1 */
	bool		 is_range;
	int64_t		 start_ms, end_ms, step_ms;
	int64_t		 eval_ms;
	bool		 no_range_run;
	bool		 ordered, fail, warn, info;
	struct str	 fail_message;
	struct regex	*fail_re;
	struct expect	*expects;
	size_t		 n_expects;
	struct line_series *series;
	size_t		 n_series;
	bool		 is_scalar;
	double		 scalar;
	bool		 is_string;
	struct str	 string;
};

struct test {
	const char		*file;
	struct arena		 mem;
	struct source_memory	*store;
	struct str		*lines;
	size_t			 n_lines;
	size_t			 passed, failed;
};

/* Text that tells why, else 0. Line numbers in errors count from 1. */
int	 parse_series_line(struct test *t, struct str line,
	    struct line_series *out, struct buf *why);
/* Runs one load command at line i; *next: the line behind it. */
int	 run_load(struct test *t, size_t i, size_t *next, struct buf *why);
int	 parse_eval(struct test *t, size_t i, size_t *next,
	    struct eval_cmd *out, struct buf *why);
/* All runs of an eval; -1 and why it failed. */
int	 run_eval(struct test *t, const struct eval_cmd *c, struct buf *why);
int	 compare_result(const struct eval_cmd *c, struct promql_result *r,
	    struct buf *why);
/* The samples of a matrix at t_ms as if they were a vector. */
int	 compare_at(const struct eval_cmd *c, struct promql_result *r,
	    int64_t t_ms, bool scalar, struct buf *why);

bool	 almost_equal(double a, double b);
/* Group n of re in text, from the arena; p NULL: no match. */
struct str regex_group(struct arena *a, const char *pattern, struct str text,
	    int group);
bool	 expect_matches(const struct expect *e, struct str text);

#endif
