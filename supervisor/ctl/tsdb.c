/* SPDX-License-Identifier: ISC */

/* brazierctl tsdb: work on the data directory of a stopped server. */

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/tsdb/wal_convert.h"
#include "supervisor/ctl/ctl.h"

/*
 * The data directory, with its lock held as the server holds it, unless it
 * never had one. *lock_out is to be closed at the end.
 */
static int
open_data(const char *path, int *lock_out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*lock_out = -1;
	if (fd == -1)
		return err_set_os(err, "open %s", path);
	*lock_out = openat(fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if ((*lock_out == -1 && errno != ENOENT) || (*lock_out != -1 &&
	    flock(*lock_out, LOCK_EX | LOCK_NB) == -1)) {
		(void)err_set_os(err, "lock DB directory");
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int
parse_codec(const char *name, enum compress_codec *out, struct err *err)
{
	static const struct { const char *name; enum compress_codec codec; } c[] = {
		{ "none", COMPRESS_NONE }, { "snappy", COMPRESS_SNAPPY },
		{ "zstd", COMPRESS_ZSTD },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		if (strcmp(c[i].name, name) == 0) {
			*out = c[i].codec;
			return 0;
		}
	}
	return err_set(err, ERR_BAD_DATA, "enum value must be one of "
	    "none,snappy,zstd, got '%s'", name);
}

/* A subdirectory that may be missing. */
static int
convert_sub(int fd, const char *name, enum compress_codec to,
    struct wal_convert_stats *st, struct err *err)
{
	int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (sub == -1)
		return errno == ENOENT ? 0 : err_set_os(err, "open %s", name);
	rc = wal_convert_dir(sub, to, st, err);
	(void)close(sub);
	return rc == -1 ? err_wrap(err, "converting %s", name) : 0;
}

int
ctl_tsdb_convert_wal(struct ctl *c)
{
	enum compress_codec to = COMPRESS_SNAPPY;
	struct wal_convert_stats st = { 0, 0, 0 };
	struct err err = ERR_INIT;
	int fd, lock, rc;

	if (c->n_args > 1 && parse_codec(c->args[1], &to, &err) == -1)
		return ctl_fail(&err);
	if ((fd = open_data(c->args[0], &lock, &err)) == -1)
		return ctl_fail(&err);
	rc = convert_sub(fd, "wal", to, &st, &err);
	if (rc == 0)
		rc = convert_sub(fd, "wbl", to, &st, &err);
	if (lock != -1)
		(void)close(lock);
	(void)close(fd);
	if (rc == -1)
		return ctl_fail(&err);
	if (c->json)
		printf("{\"segments\":%" PRIu64 ",\"converted\":%" PRIu64
		    ",\"records\":%" PRIu64 "}\n", st.n_segments,
		    st.n_converted, st.n_records);
	else
		printf("%" PRIu64 " of %" PRIu64 " segments converted, %"
		    PRIu64 " records\n", st.n_converted, st.n_segments,
		    st.n_records);
	return 0;
}
