/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_ERR_H
#define BRAZIER_COMMON_BASE_ERR_H

/*
 * One error value for everything a user will read. It lives on the caller's
 * stack, is filled by the call that failed and is never allocated.
 *
 *	struct err e = ERR_INIT;
 *	if (block_open(dir, &b, &e) == -1)
 *		return err_wrap(err, &e, "opening block %s", ulid);
 *
 * Texts: lower case, no full stop, outermost context first.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* The first nine map one to one onto the HTTP API's errorType. */
enum err_kind {
	ERR_NONE = 0,
	ERR_BAD_DATA,		/* the request or file is wrong */
	ERR_EXECUTION,		/* the expression cannot be evaluated */
	ERR_CANCELED,
	ERR_TIMEOUT,
	ERR_INTERNAL,		/* storage, I/O, our own */
	ERR_UNAVAILABLE,
	ERR_NOT_FOUND,
	ERR_NOT_ACCEPTABLE,
	/* refusals of the append path */
	ERR_OUT_OF_ORDER,
	ERR_DUPLICATE,		/* same timestamp, other value */
	ERR_OUT_OF_BOUNDS,	/* outside what the head accepts */
	ERR_TOO_OLD,
	ERR_LIMIT,		/* a stated limit was reached */
	ERR_NOMEM
};

#define ERR_TEXT_MAX 1024

struct err {
	enum err_kind	kind;
	int		os;	/* errno, 0 when it does not apply */
	char		text[ERR_TEXT_MAX];
};

#define ERR_INIT { .kind = ERR_NONE }

/* Sets kind and text; returns -1 so that `return err_set(…)` reads well. */
int	 err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* As err_set, kind ERR_INTERNAL, with errno kept and ": strerror" added. */
int	 err_set_os(struct err *err, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the text that is there; kind and os stay. -1. */
int	 err_wrap(struct err *err, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* "bad_data", "execution", … as the HTTP API prints it in errorType. */
const char *err_kind_name(enum err_kind kind);

/* HTTP status of the API for a kind (400, 422, 503, 499, 500, 404, 406). */
int	 err_kind_http_status(enum err_kind kind);

/*
 * Ends this process: one of our own invariants is broken (never a reaction
 * to input). Logs through the log sink first.
 */
void	 fatal(const char *fmt, ...)
	    __attribute__((noreturn, format(printf, 1, 2)));

/*
 * Ends this process because it gets no more memory; the status tells the
 * supervisor, which knows the limit, and so whoever waited for an answer.
 */
#define EXIT_NO_MEMORY	86
void	 fatal_nomem(void) __attribute__((noreturn));

/* A condition that cannot be: stops tests, goes on safely in release. */
#ifdef BRAZIER_TESTING
#define NEVER(x)	((x) ? (fatal("NEVER: %s at %s:%d", #x, __FILE__, \
			    __LINE__), 1) : 0)
#else
#define NEVER(x)	(x)
#endif

#ifdef __cplusplus
}
#endif

#endif
