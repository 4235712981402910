/* SPDX-License-Identifier: ISC */
/* Opening blocks by path. */

#include "common/tsdb/block_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/vec.h"

#define META_BYTES_MAX	(16u << 20)

static int
read_file(int dir, const char *name, struct buf *out, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	char *to;

	if (fd == -1)
		return err_set_os(err, "open %s", name);
	while ((to = buf_reserve(out, 65536)) != NULL &&
	    (n = read(fd, to, 65536)) > 0)
		out->n += (size_t)n;
	if (n == -1)
		err_set_os(err, "read %s", name);
	else if (buf_failed(out))
		n = err_set(err, ERR_INTERNAL, "%s: too large", name);
	(void)close(fd);
	return n == -1 ? -1 : 0;
}

static int
read_meta(int dir, struct block_meta *meta, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, META_BYTES_MAX);
	rc = read_file(dir, "meta.json", &text, err);
	if (rc == 0)
		rc = block_meta_parse(meta, buf_str(&text), err);
	buf_clear(&text);
	return rc;
}

struct fds {
	int	*v;
	size_t	 n, cap;
};

static int
open_segments(int dir, struct fds *fds, struct err *err)
{
	char name[32];
	int fd;

	for (;;) {
		snprintf(name, sizeof(name), "chunks/%06zu", fds->n + 1);
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
		if (fd == -1 && errno == ENOENT)
			return 0;
		if (fd == -1)
			return err_set_os(err, "open %s", name);
		if (vec_grow(&fds->v, &fds->cap, fds->n + 1,
		    sizeof(*fds->v)) == -1) {
			(void)close(fd);
			return err_set(err, ERR_NOMEM, "out of memory");
		}
		fds->v[fds->n++] = fd;
	}
}

static struct block_reader *
open_block(int dir, const struct block_meta *meta, struct err *err)
{
	struct block_reader *b = NULL;
	struct fds segs = { 0 };
	struct block_fds fds;
	size_t i;

	fds.index = openat(dir, "index", O_RDONLY | O_CLOEXEC);
	fds.tombstones = openat(dir, "tombstones", O_RDONLY | O_CLOEXEC);
	if (fds.index == -1)
		err_set_os(err, "open index");
	else if (open_segments(dir, &segs, err) == 0) {
		fds.segments = segs.v;
		fds.n_segments = segs.n;
		b = block_reader_open(str_c(meta->ulid.s), meta->mint_ms,
		    meta->maxt_ms, &fds, err);
	}
	for (i = 0; i < segs.n; i++)
		(void)close(segs.v[i]);
	free(segs.v);
	if (fds.index != -1)
		(void)close(fds.index);
	if (fds.tombstones != -1)
		(void)close(fds.tombstones);
	return b;
}

struct block_reader *
block_dir_open(const char *path, struct block_meta *meta, struct err *err)
{
	struct block_reader *b = NULL;
	struct block_meta m;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir == -1) {
		err_set_os(err, "open %s", path);
		return NULL;
	}
	if (read_meta(dir, &m, err) == -1)
		err_wrap(err, "%s", path);
	else {
		b = open_block(dir, &m, err);
		if (b != NULL && meta != NULL)
			*meta = m;
		else
			block_meta_clear(&m);
	}
	(void)close(dir);
	return b;
}

/* --- all blocks of a data directory --- */

struct found {
	struct ulid_text	 ulid;
	struct block_reader	*b;	/* NULL when it failed */
	struct block_meta	 meta;
	struct err		*err;	/* why; owned */
	bool			 replaced;
};

struct scan {
	struct found	*v;
	size_t		 n, cap;
};

static int
add_found(struct scan *s, const char *data_dir, const char *name,
    struct err *err)
{
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	struct found *f;

	if (snprintf(path, sizeof(path), "%s/%s", data_dir, name) >=
	    (int)sizeof(path))
		return err_set(err, ERR_INTERNAL, "path too long");
	if (vec_grow(&s->v, &s->cap, s->n + 1, sizeof(*s->v)) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	f = &s->v[s->n];
	*f = (struct found){ 0 };
	memcpy(f->ulid.s, name, ULID_CHARS);
	f->b = block_dir_open(path, &f->meta, &why);
	if (f->b == NULL) {
		f->err = malloc(sizeof(*f->err));
		if (f->err == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		*f->err = why;
	}
	s->n++;
	return 0;
}

static int
scan_dir(struct scan *s, const char *data_dir, struct err *err)
{
	DIR *dir = opendir(data_dir);
	struct dirent *e;
	int rc = 0;

	if (dir == NULL)
		return err_set_os(err, "open %s", data_dir);
	while (rc == 0 && (e = readdir(dir)) != NULL)
		if (ulid_is_valid(str_c(e->d_name)))
			rc = add_found(s, data_dir, e->d_name, err);
	(void)closedir(dir);
	return rc;
}

static void
mark_replaced(struct scan *s)
{
	size_t i, j, k;

	for (i = 0; i < s->n; i++)
		for (k = 0; s->v[i].b != NULL &&
		    k < s->v[i].meta.n_parents; k++)
			for (j = 0; j < s->n; j++)
				if (j != i && strcmp(s->v[j].ulid.s,
				    s->v[i].meta.parents[k].ulid.s) == 0)
					s->v[j].replaced = true;
}

static int
by_time(const void *a, const void *b)
{
	const struct block_reader *const *x = a, *const *y = b;

	if ((*x)->mint_ms != (*y)->mint_ms)
		return (*x)->mint_ms < (*y)->mint_ms ? -1 : 1;
	return strcmp((*x)->ulid.s, (*y)->ulid.s);
}

static int
keep(struct scan *s, struct block_list *l, struct err *err)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i].b == NULL && !s->v[i].replaced) {
			*err = *s->v[i].err;
			return err_wrap(err, "corrupted block %s",
			    s->v[i].ulid.s);
		}
	l->v = calloc(s->n + 1, sizeof(struct block_reader *));
	if (l->v == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; i < s->n; i++) {
		struct found *f = &s->v[i];

		if (f->b == NULL || f->replaced || f->meta.deletable)
			continue;
		l->v[l->n++] = f->b;
		f->b = NULL;
		block_meta_clear(&f->meta);
	}
	qsort(l->v, l->n, sizeof(struct block_reader *), by_time);
	return 0;
}

int
block_list_open(struct block_list *l, const char *data_dir, struct err *err)
{
	struct scan s = { 0 };
	size_t i;
	int rc;

	*l = (struct block_list){ 0 };
	rc = scan_dir(&s, data_dir, err);
	if (rc == 0) {
		mark_replaced(&s);
		rc = keep(&s, l, err);
	}
	for (i = 0; i < s.n; i++) {
		if (s.v[i].b != NULL)
			block_meta_clear(&s.v[i].meta);
		block_reader_close(s.v[i].b);
		free(s.v[i].err);
	}
	free(s.v);
	return rc;
}

void
block_list_close(struct block_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		block_reader_close(l->v[i]);
	free(l->v);
	*l = (struct block_list){ 0 };
}
