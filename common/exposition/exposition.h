/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_EXPOSITION_EXPOSITION_H
#define BRAZIER_COMMON_EXPOSITION_EXPOSITION_H

/*
 * The text formats in which targets show their samples: Prometheus text
 * (0.0.4 and 1.0.0, one grammar) and OpenMetrics text. A pull parser over a
 * whole body: each call of expo_next yields one entry, in the order of the
 * body, as slices of it. Nothing is allocated for a sample; its label set is
 * made only when asked for (expo_labels), because a scrape loop knows nearly
 * every series by its text already:
 *
 *	parse by prediction
 *		the caller guesses the next line's series text from the last
 *		scrape; expo_next_if hashes it and reads the value, and only
 *		on a miss the grammar is walked (see series_cache.h).
 *
 * Errors are worded as the reference words them (model/textparse).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/labels/labels.h"

enum expo_format {
	EXPO_TEXT,		/* text/plain, any version */
	EXPO_OPENMETRICS	/* application/openmetrics-text, any version */
};

enum metric_type {
	METRIC_UNKNOWN,		/* "untyped" in text, "unknown" elsewhere */
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_GAUGEHISTOGRAM,
	METRIC_SUMMARY,
	METRIC_INFO,
	METRIC_STATESET
};
#define METRIC_TYPES	8

/* "unknown", "counter", … as the metadata API prints them. */
const char *metric_type_name(enum metric_type type);

enum expo_entry {
	EXPO_ERROR = -1,
	EXPO_END = 0,
	EXPO_SERIES,
	EXPO_HELP,
	EXPO_TYPE,
	EXPO_UNIT,
	EXPO_COMMENT
};

/* OpenMetrics only; slices of the body, nothing unescaped. */
struct expo_exemplar {
	bool		 present;
	bool		 has_ts;
	int64_t		 ts_ms;
	double		 value;
	struct label	*l;		/* as exposed, sorted by name */
	size_t		 n;
};

/* Offsets of one label in the body. */
struct expo_span {
	uint32_t	 name, name_end;
	uint32_t	 value, value_end;
};

/*
 * The bodies it takes are below 4 GiB (32-bit offsets); the caller's size
 * limit is far below.
 */
struct expo_parser {
	/* what the last entry was; slices live as long as the body */
	struct str		 series;	/* EXPO_SERIES: metric part */
	double			 value;		/* NaN is NORMAL_NAN_BITS */
	int64_t			 ts_ms;
	bool			 has_ts;
	struct str		 name;		/* metadata: family name */
	struct str		 text;		/* help, unit, comment: raw */
	enum metric_type	 type;		/* of the last TYPE line */

	/* private */
	enum expo_format	 format;
	const char		*b;
	size_t			 n;		/* text: with the newline */
	size_t			 i;
	size_t			 token;		/* where the token starts */
	size_t			 start;		/* where the entry starts */
	int			 state;
	uint32_t		 mname, mname_end;
	bool			 has_mname;
	struct expo_span	*spans;
	size_t			 n_spans, cap_spans;
	struct expo_span	*ex_spans;
	size_t			 n_ex_spans, cap_ex_spans;
	bool			 ex_present, ex_has_ts;
	int64_t			 ex_ts_ms;
	double			 ex_value;
	struct str		 unit;
	bool			 type_and_unit_labels;
};

/* Options of expo_parser_start. */
enum {
	EXPO_TYPE_AND_UNIT_LABELS = 1	/* add __type__ and __unit__ */
};

/*
 * A parser can be started again and again (it keeps its memory); zero it
 * with expo_parser_init before the first time.
 */
void	 expo_parser_init(struct expo_parser *p);
void	 expo_parser_clear(struct expo_parser *p);

/*
 * body is borrowed until the last entry. body.p[body.n] must be readable
 * and '\n' (the text format's missing last newline is forgiven so, and scans
 * need no bound).
 */
void	 expo_parser_start(struct expo_parser *p, enum expo_format format,
	    struct str body, int options);

/*
 * The next entry. EXPO_END after the last one; EXPO_ERROR with err filled
 * (ERR_BAD_DATA, or ERR_NOMEM) ends the body, call no more.
 */
enum expo_entry expo_next(struct expo_parser *p, struct err *err);

/*
 * If the next line is a sample of the series text with this length and
 * hash_xxh3, takes it as expo_next would have done (value, has_ts, ts_ms,
 * series) and returns true. Else, also when the line is odd or wrong, nothing is consumed and
 * expo_next says what it is.
 */
bool	 expo_next_if(struct expo_parser *p, size_t series_n, uint64_t hash);

/*
 * If the next bytes are the line of this length (with its newline) and
 * hash_xxh3, skips it and returns true: for metadata lines that did not change. The caller tells the type
 * of a skipped TYPE line with expo_set_type.
 */
bool	 expo_skip_if(struct expo_parser *p, size_t line_n, uint64_t hash);
void	 expo_set_type(struct expo_parser *p, enum metric_type type);

/* The bytes of the entry just read with its newline, if it is one line. */
struct str expo_line(const struct expo_parser *p);

/*
 * The label set of the series just read with expo_next: unescaped, le and
 * quantile values of classic histograms and summaries normalised, sorted by
 * name. Unlike other label sets it may hold duplicate names and empty
 * values, because the caller has to act on both. Lives in the arena. -1 and
 * ERR_NOMEM when that is full.
 */
int	 expo_labels(const struct expo_parser *p, struct arena *a,
	    struct labels *out, struct err *err);

/* The exemplar of the series just read; present = false without one. */
int	 expo_exemplar(const struct expo_parser *p, struct arena *a,
	    struct expo_exemplar *out, struct err *err);

/*
 * The text of a HELP line with its escapes resolved (\\ and \n; OpenMetrics
 * also \"). Lives in the arena, or is the body's when nothing is escaped.
 */
struct str expo_help_text(const struct expo_parser *p, struct arena *a);

/*
 * Reads a float the way expo_next does: Go's syntax without hex floats and
 * underscores; fast for integers and short decimals. Returns the byte after
 * the number and its blanks' start, NULL when this is not a plain number
 * (the slow path then decides). end bounds what may be read at once; the
 * byte there, or one before, must be a newline.
 */
const char *expo_float_fast(const char *p, const char *end, double *out);

#endif
