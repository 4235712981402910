/* SPDX-License-Identifier: ISC */

/*
 * Writes and dumps a data directory's WAL and head chunks, for tests against
 * other readers of the format.
 *
 *	waltool write DIR none|snappy|zstd|lz4 SEED   random series and samples
 *	waltool dump DIR                              what replay finds
 *	waltool bits DIR                              the same, values as bits
 *
 * The first two print one sample a line: {labels} value timestamp, the value with 17
 * digits, stale markers as "stale".
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/labels/labels.h"
#include "common/tsdb/chunk_xor.h"
#include "common/tsdb/wal_format.h"
#include "workers/storage/head_chunks_load.h"
#include "workers/storage/head_chunks_writer.h"
#include "workers/storage/replay.h"
#include "workers/storage/wal_writer.h"

#define SERIES		60
#define BATCHES		150
#define STEP_MS		15000
#define START_MS	INT64_C(1700000000000)

static void
check(int rc, const struct err *err)
{
	if (rc == -1) {
		(void)fprintf(stderr, "waltool: %s\n", err->text);
		exit(1);
	}
}

static void
print_sample(const char *labels, int64_t t_ms, double v)
{
	if (is_stale_nan(v))
		(void)printf("%s stale %" PRId64 "\n", labels, t_ms);
	else
		(void)printf("%s %.17g %" PRId64 "\n", labels, v, t_ms);
}

static void
print_bits(const char *labels, int64_t t_ms, double v)
{
	(void)printf("%s %016" PRIx64 " %" PRId64 "\n", labels,
	    double_bits(v), t_ms);
}

static char *
labels_text(struct labels ls)
{
	struct buf b;
	char *s;

	buf_init(&b, 0);
	labels_format(ls, &b);
	buf_add_byte(&b, 0);
	s = xstrdup(b.p);
	buf_clear(&b);
	return s;
}

static int
subdir(const char *dir, const char *name, bool create)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), sub;

	if (fd == -1 || (create && mkdirat(fd, name, 0777) == -1 &&
	    errno != EEXIST)) {
		perror(dir);
		exit(1);
	}
	sub = openat(fd, name, O_RDONLY | O_DIRECTORY);
	(void)close(fd);
	return sub;
}

/* --- write --- */

static uint64_t
rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

struct out_series {
	char		*text;
	double		 v;
	struct chunk_xor x;
	uint8_t		 data[4096];
	int64_t		 mint_ms;
};

static double
next_value(uint64_t *g, int i, double v)
{
	switch (i % 5) {
	case 0:
		return 1;
	case 1:
		return v + (double)(rnd(g) % 20);
	case 2:
		return (double)(rnd(g) % 100000) / 8;
	case 3:
		return double_from_bits(rnd(g) >> 2 | UINT64_C(1) << 60);
	default:
		return rnd(g) % 5 == 0 ? double_from_bits(STALE_NAN_BITS) : 0.1;
	}
}

static void
write_series(struct wal_writer *w, struct out_series *s)
{
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	record_begin_series(&b);
	for (int i = 0; i < SERIES; i++) {
		char value[32];
		struct label l[] = {
			{ STR_LIT("__name__"), STR_LIT("test_metric") },
			{ STR_LIT("i"), STR_EMPTY },
			{ STR_LIT("text"), STR_LIT("a \"quoted\"\nline\\é") },
		};

		(void)snprintf(value, sizeof(value), "%d", i);
		l[1].value = str_c(value);
		s[i].text = labels_text((struct labels){ l, 3 });
		chunk_xor_init(&s[i].x);
		record_add_series(&b, (uint64_t)i * 3 + 1,
		    (struct labels){ l, 3 });
	}
	check(wal_writer_add(w, buf_str(&b), &err), &err);
	buf_clear(&b);
}

/* A chunk of 120 samples moves to chunks_head, as in the head. */
static void
keep_sample(struct head_chunks_writer *cw, struct out_series *s, int i,
    int64_t t_ms, double v)
{
	struct head_chunk_entry e = { .series_ref = (uint64_t)i * 3 + 1,
	    .encoding = 1 };
	struct err err = ERR_INIT;
	uint32_t file, off;

	if (s->x.n_samples == 120) {
		chunk_xor_seal(&s->x, s->data);
		e.mint_ms = s->mint_ms;
		e.maxt_ms = s->x.t_ms;
		e.data = s->data;
		e.len_bytes = (uint32_t)chunk_xor_len_bytes(&s->x);
		check(head_chunks_writer_add(cw, &e, &file, &off, &err), &err);
		chunk_xor_init(&s->x);
		memset(s->data, 0, sizeof(s->data));
	}
	if (s->x.n_samples == 0)
		s->mint_ms = t_ms;
	if (!chunk_xor_append(&s->x, s->data, sizeof(s->data), t_ms, v))
		abort();
}

static void
write_batch(struct wal_writer *w, struct head_chunks_writer *cw,
    struct out_series *s, int batch, uint64_t *g)
{
	struct record_sample rs[SERIES];
	struct err err = ERR_INIT;
	struct buf b;
	size_t n = 0;

	for (int i = 0; i < SERIES; i++) {
		int64_t t = START_MS + batch * STEP_MS +
		    (i % 7 == 0 ? (int64_t)(rnd(g) % 50) : 0);

		if (rnd(g) % 20 == 0)
			continue;
		s[i].v = next_value(g, i, s[i].v);
		rs[n++] = (struct record_sample){ (uint64_t)i * 3 + 1, t,
		    s[i].v };
		keep_sample(cw, &s[i], i, t, s[i].v);
		print_sample(s[i].text, t, s[i].v);
	}
	buf_init(&b, 0);
	record_put_samples(&b, rs, n);
	check(wal_writer_add(w, buf_str(&b), &err), &err);
	buf_clear(&b);
	check(wal_writer_commit(w, &err), &err);
}

static enum compress_codec
parse_codec(const char *s)
{
	static const struct { const char *name; enum compress_codec codec; } c[] = {
		{ "none", COMPRESS_NONE }, { "snappy", COMPRESS_SNAPPY },
		{ "zstd", COMPRESS_ZSTD }, { "lz4", COMPRESS_LZ4 },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		if (strcmp(s, c[i].name) == 0)
			return c[i].codec;
	(void)fprintf(stderr, "waltool: unknown codec %s\n", s);
	exit(2);
}

static int
do_write(const char *dir, enum compress_codec codec, uint64_t seed)
{
	static struct out_series s[SERIES];
	struct wal_writer_opts wo = { subdir(dir, "wal", true), 0,
	    4 * WAL_PAGE_BYTES, codec, NULL };
	struct head_chunks_writer_opts co = {
	    .dirfd = subdir(dir, "chunks_head", true), .next_file = 1 };
	struct head_chunks_writer *cw = head_chunks_writer_new(&co);
	struct err err = ERR_INIT;
	struct wal_writer *w;

	seed = seed * 2 + 88172645463325253ULL;
	check(wal_writer_open(&wo, &w, &err), &err);
	write_series(w, s);
	for (int i = 0; i < BATCHES; i++)
		write_batch(w, cw, s, i, &seed);
	check(head_chunks_writer_flush(cw, &err), &err);
	head_chunks_writer_close(cw);
	check(wal_writer_close(w, &err), &err);
	return 0;
}

/* --- dump --- */

struct in_series {
	char	*text;
	int64_t	 last_ms;	/* of what was printed */
};

struct in_chunk {
	uint64_t	 ref;
	int64_t		*t_ms;
	double		*v;
	uint32_t	 n;
};

struct dump {
	void		(*print)(const char *labels, int64_t t_ms, double v);
	struct in_series *s;
	size_t		  n_s, s_cap;
	struct in_chunk	 *c;
	size_t		  n_c, c_cap;
};

static int
dump_chunk(void *arg, uint32_t file, const struct head_chunk_entry *e,
    struct err *err)
{
	struct dump *d = arg;
	struct in_chunk c = { e->series_ref, xcalloc(e->n_samples + 1u, 8),
	    xcalloc(e->n_samples + 1u, 8), e->n_samples };

	(void)file;
	if (e->encoding != 1 || chunk_xor_decode(e->data, e->len_bytes,
	    e->n_samples, c.t_ms, c.v) == -1)
		return err_set(err, ERR_BAD_DATA, "chunk does not decode");
	if (vec_grow(&d->c, &d->c_cap, d->n_c + 1, sizeof(*d->c)) == -1)
		abort();
	d->c[d->n_c++] = c;
	return 0;
}

static void
dump_sample(const struct dump *d, struct in_series *s, int64_t t_ms, double v)
{
	if (t_ms <= s->last_ms)
		return;
	s->last_ms = t_ms;
	d->print(s->text, t_ms, v);
}

static int
dump_series(void *arg, uint64_t ref, struct labels labels, uint64_t *handle,
    struct err *err)
{
	struct dump *d = arg;
	char *text = labels_text(labels);
	size_t i = 0;

	(void)err;
	while (i < d->n_s && strcmp(d->s[i].text, text) != 0)
		i++;
	*handle = i;
	if (i < d->n_s)
		free(text);
	else {
		if (vec_grow(&d->s, &d->s_cap, d->n_s + 1, sizeof(*d->s)) == -1)
			abort();
		d->s[d->n_s++] = (struct in_series){ text, INT64_MIN };
	}
	for (size_t c = 0; c < d->n_c; c++)
		for (uint32_t k = 0; d->c[c].ref == ref && k < d->c[c].n; k++)
			dump_sample(d, &d->s[i], d->c[c].t_ms[k],
			    d->c[c].v[k]);
	return 0;
}

static int
dump_samples(void *arg, const struct record_sample *s, size_t n,
    struct err *err)
{
	struct dump *d = arg;

	(void)err;
	for (size_t i = 0; i < n; i++)
		dump_sample(d, &d->s[s[i].ref], s[i].t_ms, s[i].v);
	return 0;
}

static int
do_dump(const char *dir,
    void (*print)(const char *labels, int64_t t_ms, double v))
{
	struct dump d = { .print = print };
	struct head_chunks_sink cs = { .arg = &d, .on_chunk = dump_chunk };
	struct replay_sink rs = { .arg = &d, .on_series = dump_series,
	    .on_samples = dump_samples };
	struct head_chunks_stats cst = { 0 };
	struct replay_stats st;
	struct err err = ERR_INIT;
	int fd = subdir(dir, "chunks_head", false);

	if (fd != -1)
		check(head_chunks_load(fd, &cs, &cst, &err), &err);
	check(replay_run(subdir(dir, "wal", false), &rs, &st, &err), &err);
	(void)fprintf(stderr, "series=%zu chunks=%" PRIu64 " samples=%" PRIu64
	    " corruptions=%" PRIu64 " unknown=%" PRIu64 " records_unknown=%"
	    PRIu64 "\n", d.n_s, cst.n_chunks, st.n_samples,
	    st.n_corruptions + cst.n_corruptions, st.n_unknown_refs,
	    st.n_unknown_records);
	return 0;
}

int
main(int argc, char **argv)
{
	log_open("waltool", LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT, NULL, NULL);
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return do_write(argv[2], parse_codec(argv[3]),
		    strtoull(argv[4], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "dump") == 0)
		return do_dump(argv[2], print_sample);
	if (argc == 3 && strcmp(argv[1], "bits") == 0)
		return do_dump(argv[2], print_bits);
	(void)fprintf(stderr, "usage: waltool write DIR CODEC SEED | "
	    "dump DIR | bits DIR\n");
	return 2;
}
