/* SPDX-License-Identifier: ISC */
/*
 * Contents of files that the configuration names: passwords, tokens,
 * certificates. The broker opens them; they are read again when a request
 * needs them and the last reading is a few seconds old, as the reference
 * reads them for every request.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "ipc/broker.h"
#include "workers/scrape/scrape.h"

#define FRESH_NS	(5 * 1000000000LL)
#define FILE_BYTES_MAX	(4u << 20)

static int
read_all(int fd, struct buf *out, struct err *err)
{
	ssize_t n;
	char *to;

	for (;;) {
		if ((to = buf_reserve(out, 4096)) == NULL)
			return err_set(err, ERR_LIMIT, "file too large");
		n = read(fd, to, 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_os(err, "read");
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

static void
on_opened(void *arg, int fd, int64_t size_bytes, int64_t mtime_ns,
    const struct err *err)
{
	struct file_text *f = arg;
	struct err e = ERR_INIT;
	struct buf b;

	(void)size_bytes;
	(void)mtime_ns;
	buf_init(&b, FILE_BYTES_MAX);
	f->reading = false;
	f->read_ns = mono_now().ns;
	if (err != NULL)
		e = *err;
	else if (read_all(fd, &b, &e) == 0) {
		struct str old = secret_reveal(&f->text);

		if (!secret_is_set(&f->text) || !str_eq(old, buf_str(&b)))
			f->changed = true;
		if (secret_set(&f->text, buf_str(&b)) == -1)
			err_set(&e, ERR_NOMEM, "out of memory");
	}
	f->err = e;
	if (fd != -1)
		close(fd);
	if (b.p != NULL)
		explicit_bzero(b.p, b.n);
	buf_clear(&b);
}

void
files_refresh(struct scrape *s, struct file_text *f)
{
	struct err e = ERR_INIT;

	if (f->reading || s->broker == NULL ||
	    (f->read_ns != 0 && mono_now().ns - f->read_ns < FRESH_NS))
		return;
	if (broker_open(s->broker, str_c(f->path),
	    "scrape: file named by http client settings", FILE_BYTES_MAX, 0,
	    on_opened, f, &e) == -1) {
		f->err = e;
		f->read_ns = mono_now().ns;
		return;
	}
	f->reading = true;
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
		fatal("out of memory");
	f->next = s->files;
	s->files = f;
	files_refresh(s, f);
	return f;
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
