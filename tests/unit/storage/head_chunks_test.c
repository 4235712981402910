/* SPDX-License-Identifier: ISC */

/*
 * chunks_head files: bytes as the format says, what is written is loaded
 * again, places are right, full disks and damage cost only what they must.
 */

#include <sys/resource.h>
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/tsdb/head_chunks.h"
#include "common/tsdb/wal_dir.h"
#include "workers/storage/head_chunks_load.h"
#include "workers/storage/head_chunks_writer.h"

struct rng { uint64_t s; };

static uint64_t
rnd(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

struct dir {
	char	path[64];
	int	fd;
};

static int
setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));

	strcpy(d->path, "/tmp/brazier-chunks-XXXXXX");
	if (mkdtemp(d->path) == NULL)
		return -1;
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY);
	*state = d;
	return d->fd == -1;
}

static int
teardown(void **state)
{
	struct dir *d = *state;
	DIR *s = opendir(d->path);
	struct dirent *e;

	while ((e = readdir(s)) != NULL)
		(void)unlinkat(d->fd, e->d_name, 0);
	(void)closedir(s);
	(void)rmdir(d->path);
	(void)close(d->fd);
	free(d);
	return 0;
}

/* --- chunks that were written or loaded, in order --- */

struct chunk {
	uint64_t ref, place;
	int64_t	 mint, maxt;
	uint32_t len, sum;
	uint8_t	 encoding;
	bool	 ooo;
};

struct chunks {
	struct chunk	c[3000];
	size_t		n;
	uint32_t	files[20];
	size_t		n_files;
};

static void
note(struct chunks *cs, uint32_t file, uint32_t off,
    const struct head_chunk_entry *e)
{
	assert_true(cs->n < 3000);
	cs->c[cs->n++] = (struct chunk){ e->series_ref,
	    head_chunk_ref(file, off), e->mint_ms, e->maxt_ms, e->len_bytes,
	    hash_crc32c(0, e->data, e->len_bytes), e->encoding,
	    e->out_of_order };
}

static int
on_file(void *arg, uint32_t number, int fd, struct err *err)
{
	struct chunks *cs = arg;

	(void)err;
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	(void)close(fd);
	cs->files[cs->n_files++] = number;
	return 0;
}

static int
on_chunk(void *arg, uint32_t file, const struct head_chunk_entry *e,
    struct err *err)
{
	(void)err;
	note(arg, file, e->offset, e);
	assert_int_equal(e->n_samples, load_be16(e->data));
	return 0;
}

static void
load(int dirfd, struct chunks *cs, struct head_chunks_stats *st)
{
	struct head_chunks_sink sink = { cs, on_file, on_chunk };
	struct err err = ERR_INIT;

	cs->n = cs->n_files = 0;
	assert_int_equal(head_chunks_load(dirfd, &sink, st, &err), 0);
	assert_int_equal(st->n_chunks, cs->n);
}

static void
assert_chunks(const struct chunks *a, const struct chunks *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(&a->c[i], &b->c[i], sizeof(a->c[i]));
}

static uint8_t chunk_data[1 << 20];

static struct head_chunk_entry
gen_chunk(struct rng *g)
{
	struct head_chunk_entry e = {
		.series_ref = 1 + rnd(g) % 1000,
		.mint_ms = (int64_t)(rnd(g) % 100000) - 50000,
		.encoding = (uint8_t)(1 + rnd(g) % 4),
		.out_of_order = rnd(g) % 5 == 0,
		.len_bytes = 2 + (uint32_t)(rnd(g) % 400),
	};

	e.maxt_ms = e.mint_ms + (int64_t)(rnd(g) % 7200000);
	e.data = chunk_data + rnd(g) % 1000;
	return e;
}

static struct head_chunks_writer *
open_writer(int dirfd, uint32_t next, struct chunks *files)
{
	struct head_chunks_writer_opts o = { .dirfd = dirfd,
	    .next_file = next, .on_file = on_file, .arg = files };

	return head_chunks_writer_new(&o);
}

static void
add(struct head_chunks_writer *w, struct rng *g, struct chunks *cs)
{
	struct head_chunk_entry e = gen_chunk(g);
	struct err err = ERR_INIT;
	uint32_t file, off;

	assert_int_equal(head_chunks_writer_add(w, &e, &file, &off, &err), 0);
	note(cs, file, off, &e);
}

static void
test_bytes(void **state)
{
	static const uint8_t want[] = { 0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0,
	    0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x03, 0xe8,
	    0, 0, 0, 0, 0, 0, 0x07, 0xd0, 0x81, 3, 0, 2, 9 };
	static const uint8_t data[] = { 0, 2, 9 };
	struct head_chunk_entry e = { .series_ref = 7, .mint_ms = 1000,
	    .maxt_ms = 2000, .encoding = 1, .out_of_order = true,
	    .data = data, .len_bytes = 3 }, out;
	struct err err = ERR_INIT;
	struct buf b;
	size_t off = HEAD_CHUNKS_HEADER_BYTES;

	(void)state;
	buf_init(&b, 0);
	head_chunks_put_header(&b);
	head_chunks_put(&b, &e);
	assert_int_equal(b.n, sizeof(want) + 4);
	assert_int_equal(b.n, 8 + head_chunks_entry_bytes(3));
	assert_memory_equal(b.p, want, sizeof(want));
	assert_int_equal(head_chunks_check_header((uint8_t *)b.p, b.n, &err), 0);
	assert_int_equal(head_chunks_next((uint8_t *)b.p, b.n, &off, &out,
	    &err), 1);
	assert_true(out.series_ref == 7 && out.mint_ms == 1000 &&
	    out.maxt_ms == 2000 && out.encoding == 1 && out.out_of_order &&
	    out.n_samples == 2 && out.len_bytes == 3 && out.offset == 8);
	assert_int_equal(head_chunks_next((uint8_t *)b.p, b.n, &off, &out,
	    &err), 0);
	for (size_t cut = 9; cut < b.n; cut++) {
		uint8_t *copy = malloc(cut);

		memcpy(copy, b.p, cut);
		off = HEAD_CHUNKS_HEADER_BYTES;
		/* The ref's first bytes look like the zeros of a file's end. */
		assert_int_equal(head_chunks_next(copy, cut, &off, &out, &err),
		    cut < 16 ? 0 : -1);
		free(copy);
	}
	for (size_t bit = 64; bit < b.n * 8; bit++) {
		b.p[bit / 8] ^= (char)(1 << bit % 8);
		off = HEAD_CHUNKS_HEADER_BYTES;
		assert_int_equal(head_chunks_next((uint8_t *)b.p, b.n, &off,
		    &out, &err), -1);
		b.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	buf_clear(&b);
}

static void
test_round_trip(void **state)
{
	struct dir *d = *state;
	struct rng g = { 88172645463325252ULL };
	static struct chunks want, got;
	struct head_chunks_stats st;
	uint32_t next = 1;

	want.n = want.n_files = 0;
	for (int round = 0; round < 5; round++) {
		struct head_chunks_writer *w = open_writer(d->fd, next, &want);
		struct err err = ERR_INIT;

		for (int i = 0; i < 200; i++) {
			add(w, &g, &want);
			if (rnd(&g) % 10 == 0)
				assert_int_equal(head_chunks_writer_flush(w,
				    &err), 0);
			if (rnd(&g) % 200 == 0)
				head_chunks_writer_cut(w);
		}
		assert_int_equal(head_chunks_writer_flush(w, &err), 0);
		assert_int_equal(head_chunks_writer_pending(w), 0);
		load(d->fd, &got, &st);
		assert_int_equal(got.n, want.n);
		assert_chunks(&want, &got, want.n);
		assert_int_equal(got.n_files, want.n_files);
		assert_int_equal(st.last_file, head_chunks_writer_file(w));
		assert_int_equal(st.n_corruptions, 0);
		next = st.last_file + 1;
		head_chunks_writer_close(w);
	}
}

static void
test_files_are_cut_at_their_size(void **state)
{
	struct dir *d = *state;
	static struct chunks files;
	struct head_chunks_writer *w = open_writer(d->fd, 1, &files);
	struct err err = ERR_INIT;
	uint32_t file = 0, off = 0, last_off = 0;

	files.n_files = 0;
	for (int i = 0; i < 130; i++) {
		struct head_chunk_entry e = { .series_ref = 1, .encoding = 1,
		    .data = chunk_data, .len_bytes = sizeof(chunk_data) };

		last_off = off;
		assert_int_equal(head_chunks_writer_add(w, &e, &file, &off,
		    &err), 0);
		assert_true(off + head_chunks_entry_bytes(e.len_bytes) <=
		    HEAD_CHUNKS_FILE_BYTES_MAX);
		assert_true(off > last_off || off == 8);
		if (i == 64 || i == 129)
			assert_int_equal(head_chunks_writer_flush(w, &err), 0);
	}
	assert_int_equal(file, 2);
	assert_int_equal(files.n_files, 2);
	head_chunks_writer_close(w);
}

static void
test_full_disk(void **state)
{
	struct dir *d = *state;
	struct rng g = { 4101842887655102017ULL };
	static struct chunks want, batch, got;
	struct head_chunks_writer *w = open_writer(d->fd, 1, &batch);
	struct head_chunks_stats st;
	struct rlimit old, low;
	int failed = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	want.n = batch.n_files = 0;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	for (int i = 0; i < 100; i++) {
		struct err err = ERR_INIT;
		uint64_t end;

		batch.n = 0;
		for (int k = 0; k < 10; k++)
			add(w, &g, &batch);
		low.rlim_cur = i % 3 == 0 ? (uint32_t)head_chunks_writer_end(w) +
		    rnd(&g) % 4000 : old.rlim_cur;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
		failed += head_chunks_writer_flush(w, &err) == -1;
		end = head_chunks_writer_end(w);
		for (size_t k = 0; k < batch.n; k++)
			if (batch.c[k].place < end)
				want.c[want.n++] = batch.c[k];
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(failed > 5);
	head_chunks_writer_close(w);
	load(d->fd, &got, &st);
	assert_int_equal(got.n, want.n);
	assert_chunks(&want, &got, want.n);
	assert_int_equal(st.n_corruptions, 0);
}

static void
test_damage(void **state)
{
	struct dir *d = *state;
	struct rng g = { 2463534242ULL };
	static struct chunks want, got;
	struct head_chunks_writer *w = open_writer(d->fd, 1, &want);
	struct head_chunks_stats st;
	struct err err = ERR_INIT;
	struct stat sb;
	uint32_t off;
	char byte;
	int fd;

	want.n = want.n_files = 0;
	for (int i = 0; i < 300; i++) {
		if (i % 100 == 0)
			head_chunks_writer_cut(w);
		add(w, &g, &want);
		assert_int_equal(head_chunks_writer_flush(w, &err), 0);
	}
	head_chunks_writer_close(w);
	assert_int_equal(want.n_files, 3);

	/* A byte of the 151st chunk: 150 stay, file 3 goes. */
	off = (uint32_t)want.c[150].place;
	fd = openat(d->fd, "000002", O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, off + 30), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, off + 30), 1);
	(void)close(fd);
	load(d->fd, &got, &st);
	assert_int_equal(got.n, 150);
	assert_chunks(&want, &got, 150);
	assert_int_equal(st.last_file, 2);
	assert_int_equal(st.n_corruptions, 2);
	assert_int_equal(fstatat(d->fd, "000002.corrupt", &sb, 0), 0);
	assert_int_equal(sb.st_size, st.lost_bytes);
	assert_int_equal(fstatat(d->fd, "000003.corrupt", &sb, 0), 0);
	load(d->fd, &got, &st);
	assert_int_equal(got.n, 150);
	assert_int_equal(st.n_corruptions, 0);

	/* The newest file without its header is no damage. */
	fd = openat(d->fd, "000003", O_WRONLY | O_CREAT, 0666);
	(void)close(fd);
	load(d->fd, &got, &st);
	assert_int_equal(st.n_corruptions, 0);
	assert_int_equal(fstatat(d->fd, "000003", &sb, 0), -1);

	/* Zeros behind the last chunk end a file. */
	fd = openat(d->fd, "000002", O_RDWR | O_APPEND);
	assert_int_equal(write(fd, chunk_data + sizeof(chunk_data) - 5000,
	    5000), 5000);
	(void)close(fd);
	load(d->fd, &got, &st);
	assert_int_equal(got.n, 150);
	assert_int_equal(st.n_corruptions, 0);
}

static void
no_log(void *arg, enum log_level level, const char *line, size_t n)
{
	(void)arg;
	(void)level;
	(void)line;
	(void)n;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		TEST(test_round_trip),
		TEST(test_files_are_cut_at_their_size),
		TEST(test_full_disk),
		TEST(test_damage),
	};
	struct rng g = { 1442695040888963407ULL };

	/* The end stays zero. */
	for (size_t i = 0; i < 4096; i++)
		chunk_data[i] = (uint8_t)rnd(&g);
	log_open("test", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, no_log, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
