/* SPDX-License-Identifier: ISC */
/*
 * Files that the configuration names: passwords, tokens, certificates. This
 * worker cannot open any; the broker hands descriptors. A text is kept for a
 * few seconds, then asked for again when somebody uses it, so that a changed
 * secret is taken up without a reload, as the reference does.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/vec.h"
#include "ipc/broker.h"
#include "workers/scrape/scrape.h"

#define FRESH_NS	(5 * 1000000000LL)
#define FILE_BYTES_MAX	(1u << 20)

/* The whole file; -1 with err. */
static int
read_all(int fd, int64_t size, struct buf *out, struct err *err)
{
	char *p;
	ssize_t n;

	if (size < 0 || size > FILE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "the file is too large");
	for (;;) {
		if ((p = buf_reserve(out, 4096)) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		n = pread(fd, p, 4096, (off_t)out->n);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_os(err, "read");
		if (n == 0)
			return 0;
		out->n += (size_t)n;
		if (out->n > FILE_BYTES_MAX)
			return err_set(err, ERR_LIMIT,
			    "the file is too large");
	}
}

static void
take_text(struct file_text *f, struct str text)
{
	if (secret_is_set(&f->text) &&
	    str_eq(secret_reveal(&f->text), text))
		return;
	if (secret_set(&f->text, text) == -1)
		fatal("out of memory for a file");
	f->version++;
}

static void
on_opened(void *arg, int fd, int64_t size, int64_t mtime_ns,
    const struct err *err)
{
	struct file_text *f = arg;
	struct buf b;

	(void)mtime_ns;
	buf_init(&b, 0);
	f->reading = false;
	f->read_ns = mono_now().ns;
	f->err = (struct err)ERR_INIT;
	if (fd == -1)
		f->err = *err;
	else if (read_all(fd, size, &b, &f->err) == 0)
		take_text(f, buf_str(&b));
	if (fd != -1)
		close(fd);
	if (b.p != NULL)
		explicit_bzero(b.p, b.n);
	buf_clear(&b);
	conf_on_file(f->s);
}

void
files_refresh(struct file_text *f)
{
	struct err err = ERR_INIT;

	if (f->reading || (f->read_ns != 0 &&
	    mono_now().ns - f->read_ns < FRESH_NS))
		return;
	if (f->s->broker == NULL)
		err_set(&err, ERR_UNAVAILABLE, "no broker");
	else if (broker_open(f->s->broker, str_c(f->path),
	    "scrape: a file of the HTTP client settings", FILE_BYTES_MAX, 0,
	    on_opened, f, &err) == 0) {
		f->reading = true;
		return;
	}
	f->err = err;
	f->read_ns = mono_now().ns;
}

struct file_text *
files_get(struct scrape *s, struct str path)
{
	struct file_text *f;

	for (f = s->files; f != NULL; f = f->next)
		if (str_eq_c(path, f->path))
			return f;
	f = xcalloc(1, sizeof(*f));
	f->s = s;
	if ((f->path = str_dup(path)) == NULL)
		fatal("out of memory for a file");
	f->next = s->files;
	s->files = f;
	files_refresh(f);
	return f;
}

bool
files_are_read(const struct scrape *s)
{
	for (const struct file_text *f = s->files; f != NULL; f = f->next)
		if (f->read_ns == 0)
			return false;
	return true;
}

void
files_clear(struct scrape *s)
{
	struct file_text *f;

	while ((f = s->files) != NULL) {
		s->files = f->next;
		secret_clear(&f->text);
		free(f->path);
		free(f);
	}
}
