/* SPDX-License-Identifier: ISC */
/*
 * Makes blocks of many series, quickly:
 *
 *	blockgen DIR N_SERIES START_S N_BLOCKS BLOCK_S STEP_S
 *
 * m{instance="i-000012",job="job-2",path="/p/34",x="x-14"}: a hundred paths
 * an instance, ten jobs, twenty x. A sample every STEP_S from START_S + 1 on,
 * counters that step by 1 to 17 each time. Each block is written whole in
 * memory but for the chunks. Not the product's writer: no checks, no fsync.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/tsdb/chunk_xor.h"

#define PATHS		100
#define JOBS		10
#define XS		20
#define CHUNK_SAMPLES	120
#define SEGMENT_BYTES	(512u << 20)

struct gen {
	const char	*dir;
	uint32_t	 n_series;
	int64_t		 mint_ms, maxt_ms, step_ms;	/* of the block */
	int64_t		 start_ms;			/* of all */
	struct buf	 index;
	FILE		*chunks;
	uint32_t	 segment;
	uint64_t	 offset;			/* in the segment */
	uint64_t	 n_chunks, n_samples;
	uint32_t	*ids;				/* by series */
	/* symbols: where each kind begins */
	uint32_t	 s_path, s_name, s_inst, s_instance, s_job, s_jobs,
			 s_m, s_path_name, s_x, s_xs;
	char		 ulid[27], path[512];
};

static void
die(const char *what)
{
	fprintf(stderr, "blockgen: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- chunks --- */

static void
open_segment(struct gen *g)
{
	static const uint8_t head[] = { 0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0 };
	char path[600];

	if (g->chunks != NULL && fclose(g->chunks) != 0)
		die("chunks");
	snprintf(path, sizeof(path), "%s/chunks/%06u", g->path, ++g->segment);
	g->chunks = fopen(path, "w");
	if (g->chunks == NULL)
		die(path);
	fwrite(head, 1, sizeof(head), g->chunks);
	g->offset = sizeof(head);
}

struct chunk {
	uint64_t	ref;
	int64_t		mint_ms, maxt_ms;
};

/* Writes the next chunk of series s from *t on; false at the block's end. */
static bool
write_chunk(struct gen *g, uint32_t s, int64_t *t, struct chunk *out)
{
	uint8_t data[CHUNK_SAMPLES * CHUNK_XOR_SAMPLE_BYTES_MAX] = { 0 };
	uint8_t head[12], crc[4];
	struct chunk_xor x;
	struct buf b;
	size_t n = 0;

	if (*t >= g->maxt_ms)
		return false;
	chunk_xor_init(&x);
	out->mint_ms = out->maxt_ms = *t;
	for (; n < CHUNK_SAMPLES && *t < g->maxt_ms; n++, *t += g->step_ms) {
		int64_t k = (*t - g->start_ms) / g->step_ms;

		(void)chunk_xor_append(&x, data, sizeof(data), *t,
		    (double)(s % 1000) + (double)k * (1 + s % 17));
		out->maxt_ms = *t;
	}
	chunk_xor_seal(&x, data);
	n = chunk_xor_len_bytes(&x);
	if (g->offset + n + 16 > SEGMENT_BYTES)
		open_segment(g);
	out->ref = (uint64_t)(g->segment - 1) << 32 | g->offset;
	buf_init(&b, 0);
	buf_add_uvarint(&b, n);
	buf_add_byte(&b, 1);
	memcpy(head, b.p, b.n);
	store_be32((char *)crc, hash_crc32c(hash_crc32c(0, head + b.n - 1, 1),
	    data, n));
	fwrite(head, 1, b.n, g->chunks);
	fwrite(data, 1, n, g->chunks);
	fwrite(crc, 1, 4, g->chunks);
	g->offset += b.n + n + 4;
	buf_clear(&b);
	g->n_chunks++;
	g->n_samples += x.n_samples;
	return true;
}

/* --- index --- */

static size_t
begin_section(struct buf *f)
{
	while (f->n % 4 != 0)
		buf_add_byte(f, 0);
	buf_add_be32(f, 0);
	return f->n;
}

static void
add_crc(struct buf *f, size_t begin)
{
	buf_add_be32(f, hash_crc32c(0, f->p + begin, f->n - begin));
}

static void
end_section(struct buf *f, size_t begin)
{
	store_be32(f->p + begin - 4, (uint32_t)(f->n - begin));
	add_crc(f, begin);
}

static void
add_text(struct buf *f, const char *s)
{
	buf_add_uvarint(f, strlen(s));
	buf_add_c(f, s);
}

/* fmt with 0 to n - 1; returns the first one's number. */
static uint32_t
add_symbols(struct buf *f, uint32_t *next, const char *fmt, uint32_t n)
{
	uint32_t first = *next;
	char text[32];

	for (uint32_t i = 0; i < n; i++, ++*next) {
		snprintf(text, sizeof(text), fmt, i);
		add_text(f, text);
	}
	return first;
}

static uint32_t
n_instances(const struct gen *g)
{
	return (g->n_series + PATHS - 1) / PATHS;
}

/* In the order of the texts. */
static void
write_symbols(struct gen *g)
{
	struct buf *f = &g->index;
	size_t begin = begin_section(f);
	uint32_t n = 1;

	buf_add_be32(f, 0);
	add_text(f, "");
	g->s_path = add_symbols(f, &n, "/p/%02u", PATHS);
	g->s_name = add_symbols(f, &n, "__name__", 1);
	g->s_inst = add_symbols(f, &n, "i-%06u", n_instances(g));
	g->s_instance = add_symbols(f, &n, "instance", 1);
	g->s_job = add_symbols(f, &n, "job", 1);
	g->s_jobs = add_symbols(f, &n, "job-%u", JOBS);
	g->s_m = add_symbols(f, &n, "m", 1);
	g->s_path_name = add_symbols(f, &n, "path", 1);
	g->s_x = add_symbols(f, &n, "x", 1);
	g->s_xs = add_symbols(f, &n, "x-%02u", XS);
	store_be32(f->p + begin, n);
	end_section(f, begin);
}

static void
write_series(struct gen *g, uint32_t s)
{
	struct buf *f = &g->index, body;
	int64_t t = g->mint_ms + 1000, maxt = 0;
	uint64_t ref = 0, n = 0;
	struct chunk c = { 0 };
	struct buf list;
	size_t begin;

	buf_init(&body, 0);
	buf_init(&list, 0);
	buf_add_uvarint(&body, 5);
	buf_add_uvarint(&body, g->s_name);
	buf_add_uvarint(&body, g->s_m);
	buf_add_uvarint(&body, g->s_instance);
	buf_add_uvarint(&body, g->s_inst + s / PATHS);
	buf_add_uvarint(&body, g->s_job);
	buf_add_uvarint(&body, g->s_jobs + s / PATHS % JOBS);
	buf_add_uvarint(&body, g->s_path_name);
	buf_add_uvarint(&body, g->s_path + s % PATHS);
	buf_add_uvarint(&body, g->s_x);
	buf_add_uvarint(&body, g->s_xs + s % PATHS % XS);
	for (; write_chunk(g, s, &t, &c); n++) {
		if (n == 0)
			buf_add_varint(&list, c.mint_ms);
		else
			buf_add_uvarint(&list, (uint64_t)(c.mint_ms - maxt));
		buf_add_uvarint(&list, (uint64_t)(c.maxt_ms - c.mint_ms));
		if (n == 0)
			buf_add_uvarint(&list, c.ref);
		else
			buf_add_varint(&list, (int64_t)(c.ref - ref));
		maxt = c.maxt_ms;
		ref = c.ref;
	}
	buf_add_uvarint(&body, n);
	buf_add_str(&body, buf_str(&list));
	while (f->n % 16 != 0)
		buf_add_byte(f, 0);
	g->ids[s] = (uint32_t)(f->n / 16);
	buf_add_uvarint(f, body.n);
	begin = f->n;
	buf_add_str(f, buf_str(&body));
	add_crc(f, begin);
	buf_clear(&body);
	buf_clear(&list);
}

/* The series s for which of(s) is value, and the entry of the table. */
static void
add_list(struct gen *g, struct buf *table, const char *name,
    const char *fmt, uint32_t value, uint32_t (*of)(uint32_t s))
{
	struct buf *f = &g->index;
	char text[32];
	size_t begin = begin_section(f);
	uint32_t n = 0, s = 0, end = g->n_series;

	/* an instance's series are neighbours */
	if (fmt[0] == 'i') {
		s = value * PATHS;
		end = s + PATHS < end ? s + PATHS : end;
	}
	buf_add_be32(f, 0);
	for (; s < end; s++)
		if (of == NULL || of(s) == value) {
			buf_add_be32(f, g->ids[s]);
			n++;
		}
	store_be32(f->p + begin, n);
	end_section(f, begin);
	snprintf(text, sizeof(text), fmt, value);
	buf_add_uvarint(table, 2);
	add_text(table, name);
	add_text(table, text);
	buf_add_uvarint(table, begin - 4);
}

static uint32_t of_instance(uint32_t s) { return s / PATHS; }
static uint32_t of_job(uint32_t s) { return s / PATHS % JOBS; }
static uint32_t of_path(uint32_t s) { return s % PATHS; }
static uint32_t of_x(uint32_t s) { return s % PATHS % XS; }

/* The lists, then their table in the order of names and values. */
static void
write_postings(struct gen *g, uint64_t toc[6])
{
	struct buf *f = &g->index, table;
	uint32_t i, n = 2;
	size_t begin;

	buf_init(&table, 0);
	toc[4] = f->n;
	add_list(g, &table, "", "", 0, NULL);
	add_list(g, &table, "__name__", "m", 0, NULL);
	for (i = 0; i < n_instances(g); i++, n++)
		add_list(g, &table, "instance", "i-%06u", i, of_instance);
	for (i = 0; i < JOBS; i++, n++)
		add_list(g, &table, "job", "job-%u", i, of_job);
	for (i = 0; i < PATHS; i++, n++)
		add_list(g, &table, "path", "/p/%02u", i, of_path);
	for (i = 0; i < XS; i++, n++)
		add_list(g, &table, "x", "x-%02u", i, of_x);
	begin = begin_section(f);
	toc[5] = begin - 4;
	buf_add_be32(f, n);
	buf_add_str(f, buf_str(&table));
	end_section(f, begin);
	buf_clear(&table);
}

static void
write_index(struct gen *g)
{
	static const uint8_t head[] = { 0xBA, 0xAA, 0xD7, 0x00, 2 };
	struct buf *f = &g->index;
	uint64_t toc[6] = { 0 };
	char path[600];
	size_t begin;
	FILE *fp;

	buf_reset(f);
	buf_add(f, head, sizeof(head));
	toc[0] = 8;
	write_symbols(g);
	toc[1] = f->n;
	for (uint32_t s = 0; s < g->n_series; s++)
		write_series(g, s);
	write_postings(g, toc);
	begin = f->n;
	for (int i = 0; i < 6; i++)
		buf_add_be64(f, toc[i]);
	add_crc(f, begin);
	if (buf_failed(f))
		die("index");
	snprintf(path, sizeof(path), "%s/index", g->path);
	fp = fopen(path, "w");
	if (fp == NULL || fwrite(f->p, 1, f->n, fp) != f->n ||
	    fclose(fp) != 0)
		die(path);
}

static void
write_meta(struct gen *g)
{
	char path[600];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/meta.json", g->path);
	fp = fopen(path, "w");
	if (fp == NULL)
		die(path);
	fprintf(fp, "{\"ulid\":\"%s\",\"minTime\":%lld,\"maxTime\":%lld,"
	    "\"stats\":{\"numSamples\":%llu,\"numSeries\":%u,"
	    "\"numChunks\":%llu},\"compaction\":{\"level\":1,"
	    "\"sources\":[\"%s\"]},\"version\":1}\n", g->ulid,
	    (long long)g->mint_ms, (long long)g->maxt_ms,
	    (unsigned long long)g->n_samples, g->n_series,
	    (unsigned long long)g->n_chunks, g->ulid);
	if (fclose(fp) != 0)
		die(path);
}

static void
write_block(struct gen *g, unsigned number)
{
	char path[600];

	snprintf(g->ulid, sizeof(g->ulid), "01HZZZZZZZ%016u", number);
	snprintf(g->path, sizeof(g->path), "%s/%s", g->dir, g->ulid);
	snprintf(path, sizeof(path), "%s/chunks", g->path);
	if (mkdir(g->path, 0777) == -1 || mkdir(path, 0777) == -1)
		die(path);
	g->segment = 0;
	g->n_chunks = g->n_samples = 0;
	open_segment(g);
	write_index(g);
	if (fclose(g->chunks) != 0)
		die("chunks");
	g->chunks = NULL;
	write_meta(g);
}

int
main(int argc, char **argv)
{
	struct gen g = { 0 };
	unsigned n_blocks;
	int64_t block_ms;

	if (argc != 7) {
		fprintf(stderr, "usage: blockgen DIR N_SERIES START_S "
		    "N_BLOCKS BLOCK_S STEP_S\n");
		return 2;
	}
	g.dir = argv[1];
	g.n_series = (uint32_t)strtoul(argv[2], NULL, 10);
	g.start_ms = strtoll(argv[3], NULL, 10) * 1000;
	n_blocks = (unsigned)strtoul(argv[4], NULL, 10);
	block_ms = strtoll(argv[5], NULL, 10) * 1000;
	g.step_ms = strtoll(argv[6], NULL, 10) * 1000;
	g.ids = calloc(g.n_series, sizeof(*g.ids));
	if (g.ids == NULL || g.n_series == 0 || g.step_ms <= 0)
		die("arguments");
	buf_init(&g.index, 0);
	if (mkdir(g.dir, 0777) == -1 && errno != EEXIST)
		die(g.dir);
	for (unsigned i = 0; i < n_blocks; i++) {
		g.mint_ms = g.start_ms + i * block_ms;
		g.maxt_ms = g.mint_ms + block_ms;
		write_block(&g, i);
	}
	buf_clear(&g.index);
	free(g.ids);
	return 0;
}
