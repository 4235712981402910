/* SPDX-License-Identifier: ISC */
/* Opening blocks by path. */

#include "common/tsdb/block_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/vec.h"
#include "common/tsdb/block_files.h"

/* Files of one block: 512 MiB of chunks each but for two. */
#define FILES_MAX	1024

static struct block_reader *
open_block(int dir, const struct block_meta *meta, struct err *err)
{
	struct block_reader *b;
	int fds[FILES_MAX];
	struct block_fds bf;
	size_t i, n;

	if (block_files_open(dir, fds, FILES_MAX, &n, err) == -1)
		return NULL;
	bf = (struct block_fds){ .index = fds[0], .tombstones = fds[1],
	    .segments = fds + 2, .n_segments = n - 2 };
	b = block_reader_open(str_c(meta->ulid.s), meta->mint_ms,
	    meta->maxt_ms, &bf, err);
	for (i = 0; i < n; i++)
		if (fds[i] != -1)
			(void)close(fds[i]);
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
	if (block_files_meta(dir, &m, err) == -1)
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
