/* SPDX-License-Identifier: ISC */
/* Filling of struct err, and the names the HTTP API gives to its kinds. */
#include "common/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static const struct {
	const char	*name;
	int		 http_status;
} kinds[] = {
	[ERR_NONE] = { "", 200 },
	[ERR_BAD_DATA] = { "bad_data", 400 },
	[ERR_EXECUTION] = { "execution", 422 },
	[ERR_CANCELED] = { "canceled", 499 },
	[ERR_TIMEOUT] = { "timeout", 503 },
	[ERR_INTERNAL] = { "internal", 500 },
	[ERR_UNAVAILABLE] = { "unavailable", 500 },
	[ERR_NOT_FOUND] = { "not_found", 404 },
	[ERR_NOT_ACCEPTABLE] = { "not_acceptable", 406 },
	[ERR_OUT_OF_ORDER] = { "bad_data", 400 },
	[ERR_DUPLICATE] = { "bad_data", 400 },
	[ERR_OUT_OF_BOUNDS] = { "bad_data", 400 },
	[ERR_TOO_OLD] = { "bad_data", 400 },
	[ERR_LIMIT] = { "execution", 422 },
	[ERR_NOMEM] = { "execution", 422 }
};

int
err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	err->kind = kind;
	err->os = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_set_os(struct err *err, const char *fmt, ...)
{
	int os = errno;
	size_t n;
	va_list ap;

	if (err == NULL)
		return -1;
	err->kind = ERR_INTERNAL;
	err->os = os;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(os));
	return -1;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
	char tail[ERR_TEXT_MAX];
	size_t n;
	va_list ap;

	if (err == NULL)
		return -1;
	memcpy(tail, err->text, sizeof(tail));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %.*s",
	    (int)(sizeof(err->text) - n > 3 ? sizeof(err->text) - n - 3 : 0),
	    tail);
	return -1;
}

const char *
err_kind_name(enum err_kind kind)
{
	if ((size_t)kind >= sizeof(kinds) / sizeof(kinds[0]))
		return "internal";
	return kinds[kind].name;
}

int
err_kind_http_status(enum err_kind kind)
{
	if ((size_t)kind >= sizeof(kinds) / sizeof(kinds[0]))
		return 500;
	return kinds[kind].http_status;
}

void
fatal_nomem(void)
{
	log_error("Fatal error", F_STR("err", "out of memory"));
	_exit(EXIT_NO_MEMORY);
}

void
fatal(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("Fatal error", F_STR("err", text));
	_exit(1);
}
