/* SPDX-License-Identifier: ISC */
/* Blocks of a data directory as storage sees them: names, times, files. */

#include "common/tsdb/block_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/vec.h"
#include "common/tsdb/block_files.h"

struct metas {
	struct block_meta	*v;
	size_t			 n, cap;
};

static void
metas_clear(struct metas *m)
{
	while (m->n > 0)
		block_meta_clear(&m->v[--m->n]);
	free(m->v);
}

static int
read_one(struct metas *m, int data_fd, const char *name, struct err *why)
{
	int dir, rc;

	if (vec_grow(&m->v, &m->cap, m->n + 1, sizeof(*m->v)) == -1)
		return err_set(why, ERR_NOMEM, "out of memory");
	dir = openat(data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1)
		return err_set_os(why, "open %s", name);
	rc = block_files_meta(dir, &m->v[m->n], why);
	(void)close(dir);
	if (rc == -1)
		return -1;
	if (strcmp(m->v[m->n].ulid.s, name) != 0) {
		block_meta_clear(&m->v[m->n]);
		return err_set(why, ERR_INTERNAL,
		    "meta.json is that of another block");
	}
	m->n++;
	return 0;
}

static bool
is_replaced(const struct metas *m, size_t i)
{
	size_t j, k;

	for (j = 0; j < m->n; j++)
		for (k = 0; j != i && k < m->v[j].n_parents; k++)
			if (strcmp(m->v[j].parents[k].ulid.s,
			    m->v[i].ulid.s) == 0)
				return true;
	return false;
}

static int
by_time(const void *a, const void *b)
{
	const struct block_note *x = a, *y = b;

	if (x->mint_ms != y->mint_ms)
		return x->mint_ms < y->mint_ms ? -1 : 1;
	return strcmp(x->ulid.s, y->ulid.s);
}

static int
make_notes(const struct metas *m, struct block_note **out, size_t *n_out,
    struct err *err)
{
	struct block_note *v = calloc(m->n + 1, sizeof(*v));
	size_t i, n = 0;

	if (v == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; i < m->n; i++)
		if (!m->v[i].deletable && !is_replaced(m, i))
			v[n++] = (struct block_note){ m->v[i].ulid,
			    m->v[i].mint_ms, m->v[i].maxt_ms,
			    m->v[i].hints };
	qsort(v, n, sizeof(*v), by_time);
	*out = v;
	*n_out = n;
	return 0;
}

int
block_notes_list(int data_fd, void (*bad)(void *, const char *,
    const struct err *), void *arg, struct block_note **out, size_t *n_out,
    struct err *err)
{
	struct metas m = { 0 };
	struct dirent *e;
	DIR *dir;
	int fd, rc;

	/* A descriptor of its own: reading the directory moves its offset. */
	fd = openat(data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd == -1 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		err_set_os(err, "open data directory");
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	while ((e = readdir(dir)) != NULL) {
		struct err why = ERR_INIT;

		if (ulid_is_valid(str_c(e->d_name)) &&
		    read_one(&m, data_fd, e->d_name, &why) == -1)
			bad(arg, e->d_name, &why);
	}
	(void)closedir(dir);
	rc = make_notes(&m, out, n_out, err);
	metas_clear(&m);
	return rc;
}

int
block_note_open(int data_fd, const struct block_note *note, int *fds,
    size_t cap, size_t *n_out, struct err *err)
{
	int dir = openat(data_fd, note->ulid.s,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (dir == -1)
		return err_set_os(err, "open %s", note->ulid.s);
	rc = block_files_open(dir, fds, cap, n_out, err);
	(void)close(dir);
	return rc == -1 ? err_wrap(err, "block %s", note->ulid.s) : 0;
}
