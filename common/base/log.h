/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_LOG_H
#define BRAZIER_COMMON_BASE_LOG_H

/*
 * Structured logs. The message is a constant, everything variable a typed
 * field:
 *
 *	log_info("Head GC completed", F_STR("caller", who), F_DUR("duration", ns));
 *
 * error = someone must act; warn = it healed itself or will hurt later;
 * info = life cycle; debug = the rest. A line is encoded once, as the
 * configured format says, and goes to the sink: stderr in the supervisor and
 * the CLI, the log channel in a worker. Writing never blocks a worker; lines
 * that do not fit are counted and told with the next that does.
 *
 * This file holds the one writable global state of the program.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum log_field_type {
	LOG_F_STR, LOG_F_INT, LOG_F_UINT, LOG_F_DUR, LOG_F_FLOAT, LOG_F_BOOL
};

struct log_field {
	const char		*key;
	enum log_field_type	 type;
	union {
		struct str	 s;
		int64_t		 i;	/* LOG_F_DUR: nanoseconds */
		uint64_t	 u;
		double		 f;
	} v;
};

#define F_STR(k, cstr)	{ (k), LOG_F_STR, { .s = str_c(cstr) } }
#define F_STRN(k, str_)	{ (k), LOG_F_STR, { .s = (str_) } }
#define F_INT(k, n)	{ (k), LOG_F_INT, { .i = (n) } }
#define F_UINT(k, n)	{ (k), LOG_F_UINT, { .u = (n) } }
#define F_DUR(k, ns)	{ (k), LOG_F_DUR, { .i = (ns) } }
#define F_FLOAT(k, d)	{ (k), LOG_F_FLOAT, { .f = (d) } }
#define F_BOOL(k, b)	{ (k), LOG_F_BOOL, { .i = (b) } }
#define F_ERR(e)	F_STR("err", (e)->text)
#define F_ERRNO		F_STR("err", strerror(errno))

/* Takes one whole line with its newline; must not block, log or fail. */
typedef void log_sink_fn(void *arg, enum log_level level, const char *line,
	    size_t n);

/*
 * worker  name for the worker= field ("supervisor", "scrape/0"), kept
 * sink    NULL = stderr
 */
void	 log_open(const char *worker, enum log_level level,
	    enum log_format format, log_sink_fn *sink, void *arg);
bool	 log_enabled(enum log_level level);

void	 log_write(enum log_level level, const char *file, int line,
	    const char *component, const char *msg,
	    const struct log_field *fields, size_t n_fields);

/* Define before including a file-wide component= value ("tsdb"). */
#ifndef LOG_COMPONENT
#define LOG_COMPONENT NULL
#endif

#define LOG_AT(level, msg, ...) do {					\
	if (log_enabled(level)) {					\
		const struct log_field log_fs_[] = {			\
		    { NULL, LOG_F_BOOL, { .i = 0 } }, ##__VA_ARGS__ };	\
		log_write(level, __FILE__, __LINE__, LOG_COMPONENT, msg,\
		    log_fs_ + 1, sizeof(log_fs_) / sizeof(log_fs_[0]) - 1); \
	}								\
} while (0)

#define log_debug(msg, ...)	LOG_AT(LOG_LEVEL_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...)	LOG_AT(LOG_LEVEL_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...)	LOG_AT(LOG_LEVEL_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...)	LOG_AT(LOG_LEVEL_ERROR, msg, ##__VA_ARGS__)

/*
 * At most one line a second for what a target, client or query can trigger:
 * true when this one may be written, and how many were dropped before it.
 */
struct log_limit { int64_t next_ns; uint64_t dropped; };
bool	 log_limit_ok(struct log_limit *l, uint64_t *dropped_out);

#endif
