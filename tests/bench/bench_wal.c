/* SPDX-License-Identifier: ISC */

/*
 * Cost of a sample on its way to the disk and back: record, framing with
 * each codec, the write itself, replay's decoding; and XOR chunks. Prints
 * Go's benchmark format; one op is one sample.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/tsdb/chunk_xor.h"
#include "common/tsdb/record.h"
#include "common/tsdb/wal_format.h"
#include "common/tsdb/wal_framer.h"
#include "common/tsdb/wal_reader.h"

#define SAMPLES	5000	/* one scrape */
#define ROUNDS	400
#define CHUNK	120
/* Not a power of two: chunks of a head do not share cache sets either. */
#define CHUNK_BYTES	1096

static struct record_sample samples[SAMPLES];
static struct buf record;

static void
report(const char *name, size_t n, mono_time start)
{
	double ns = (double)mono_sub_ns(mono_now(), start);

	(void)printf("Benchmark%s \t%8zu\t%8.2f ns/op\n", name, n,
	    ns / (double)n);
}

/* One scrape: refs in order, one timestamp, counters and gauges. */
static void
next_scrape(int round)
{
	for (int i = 0; i < SAMPLES; i++) {
		samples[i].ref = (uint64_t)i + 100;
		samples[i].t_ms = 1700000000000 + round * 15000;
		if (i % 4 == 1)
			samples[i].v += rand() % 50;
		else if (i % 4 == 2)
			samples[i].v = rand() % 1000 / 8.0;
		else if (i % 4 == 3)
			samples[i].v += rand() % 100 * 0.37;
	}
}

static void
bench_record(void)
{
	mono_time start = mono_now();

	for (int i = 0; i < ROUNDS; i++) {
		buf_reset(&record);
		record_put_samples(&record, samples, SAMPLES);
	}
	report("RecordEncode", (size_t)ROUNDS * SAMPLES, start);
}

static void
bench_crc(void)
{
	mono_time start = mono_now();
	uint32_t sum = 0;

	for (int i = 0; i < ROUNDS; i++)
		sum += hash_crc32c(0, record.p, record.n);
	report(sum == 1 ? "Crc32c " : "Crc32c", (size_t)ROUNDS * SAMPLES, start);
}

static void
bench_codec(const char *name, enum compress_codec codec, int fd)
{
	struct wal_framer f;
	struct wal_reader r;
	struct record_reader rr;
	struct record_sample out[512];
	struct err err = ERR_INIT;
	char label[64];
	mono_time start;
	struct str rec;
	size_t n = 0;

	wal_framer_init(&f, codec, WAL_SEGMENT_BYTES_DEFAULT);
	wal_reader_init(&r);
	record_reader_init(&rr);
	start = mono_now();
	for (int i = 0; i < ROUNDS; i++) {
		wal_framer_begin(&f, (uint64_t)i * 100);
		if (wal_framer_add(&f, buf_str(&record), &err) == -1)
			abort();
		if (fd != -1 && pwrite(fd, f.out.p, f.out.n,
		    (off_t)((size_t)i * f.out.n)) == -1)
			abort();
	}
	(void)snprintf(label, sizeof(label), "%s/%s",
	    fd != -1 ? "FrameWrite" : "Frame", name);
	report(label, (size_t)ROUNDS * SAMPLES, start);
	wal_framer_begin(&f, 0);
	if (wal_framer_add(&f, buf_str(&record), &err) == -1)
		abort();
	start = mono_now();
	for (int i = 0; fd == -1 && i < ROUNDS; i++) {
		int k;

		wal_reader_open(&r, (const uint8_t *)f.out.p, f.out.n);
		while (wal_reader_next(&r, &rec, &err) == 1) {
			record_open(&rr, rec.p, rec.n);
			while ((k = record_next_samples(&rr, out, 512,
			    &err)) > 0)
				n += (size_t)k;
		}
	}
	if (n > 0) {
		(void)snprintf(label, sizeof(label), "Read/%s", name);
		report(label, n, start);
	}
	record_reader_clear(&rr);
	wal_reader_clear(&r);
	wal_framer_clear(&f);
}

static void
bench_chunks(void)
{
	static struct chunk_xor x[SAMPLES];
	static uint8_t data[SAMPLES][CHUNK_BYTES];
	static int64_t t[CHUNK];
	static double v[CHUNK];
	int64_t took = 0;
	mono_time start;

	for (int i = 0; i < SAMPLES; i++)
		chunk_xor_init(&x[i]);
	for (int round = 0; round < CHUNK; round++) {
		next_scrape(round);
		start = mono_now();
		for (int i = 0; i < SAMPLES; i++)
			if (!chunk_xor_append(&x[i], data[i], CHUNK_BYTES,
			    samples[i].t_ms, samples[i].v))
				abort();
		took += mono_sub_ns(mono_now(), start);
	}
	start = (mono_time){ mono_now().ns - took };
	report("ChunkAppend", (size_t)SAMPLES * CHUNK, start);
	start = mono_now();
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < SAMPLES; i++)
			if (chunk_xor_decode(data[i],
			    chunk_xor_len_bytes(&x[i]), CHUNK, t, v) == -1)
				abort();
	report("ChunkDecode", (size_t)SAMPLES * CHUNK * 5, start);
}

int
main(void)
{
	char path[] = "/tmp/bench-wal-XXXXXX";
	int fd = mkstemp(path);

	if (fd == -1)
		return 1;
	(void)unlink(path);
	buf_init(&record, 0);
	next_scrape(0);
	bench_record();
	bench_crc();
	bench_codec("none", COMPRESS_NONE, -1);
	bench_codec("snappy", COMPRESS_SNAPPY, -1);
	bench_codec("lz4", COMPRESS_LZ4, -1);
	bench_codec("zstd", COMPRESS_ZSTD, -1);
	bench_codec("none", COMPRESS_NONE, fd);
	bench_chunks();
	buf_clear(&record);
	return 0;
}
