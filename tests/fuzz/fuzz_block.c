/* SPDX-License-Identifier: ISC */
/*
 * A small block with bytes changed and all checksums made right again, so
 * that what they protect is hostile too. The input is a list of changes:
 * file and offset (2 bytes), value (1). Property: reading everything, and
 * looking up by matchers, ends.
 */

#include <sys/mman.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/promql/source_block.h"
#include "tests/unit/promql/block_build.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make(struct build *b, int version)
{
	static const char *const values[] = { "a", "b", "c", "d" };
	size_t i;

	build_init(b, version);
	for (i = 0; i < 4; i++) {
		struct build_series *s = &b->series[b->n_series++];

		s->label[0][0] = "__name__";
		s->label[0][1] = "m";
		s->label[1][0] = "i";
		s->label[1][1] = values[i];
		s->n_labels = 2;
		build_chunk(b, s, 1000, 10, 3, 1);
		build_chunk(b, s, 2000, 10, 3, 2);
	}
	build_tombstone(b, 7, 1000, 1010);
	build_finish(b);
}

static void
change(struct build *b, const uint8_t *data, size_t size)
{
	size_t off, i;

	for (; size >= 3; data += 3, size -= 3) {
		off = (size_t)data[0] << 8 | data[1];
		for (i = 0; i < 3; i++) {
			if (off < b->file[i].n) {
				b->file[i].p[off] = (char)data[2];
				break;
			}
			off -= b->file[i].n;
		}
	}
	build_fix(b);
}

static void
read_all(struct source *src, const struct matcher *const *m, size_t n)
{
	struct source_hints hints = { .mint_ms = INT64_MIN,
	    .maxt_ms = INT64_MAX };
	struct err err = ERR_INIT;
	static int64_t t[65536];
	static double v[65536];
	struct source_series s;
	struct source_cursor *c;
	struct arena a;
	struct str *texts;
	uint32_t i;

	arena_init(&a, 4 << 20);
	if (src->ops->begin(src, &a, &err) == -1)
		abort();
	if (src->ops->select(src, m, n, &hints, &c, &err) == 0)
		while (src->ops->next(c, &s, &err) == 1) {
			for (i = 0; i < s.n_labels; i++) {
				(void)src->ops->symbol(src,
				    s.labels[i].name);
				(void)src->ops->symbol(src,
				    s.labels[i].value);
			}
			for (i = 0; i < s.n_spans; i++)
				if (s.spans[i].encoding == CHUNK_ENC_XOR)
					(void)chunk_xor_decode(
					    s.spans[i].data,
					    s.spans[i].len_bytes,
					    s.spans[i].n_samples, t, v);
		}
	(void)src->ops->label_names(src, m, n, &hints, &texts,
	    &(size_t){ 0 }, &err);
	(void)src->ops->label_values(src, STR_LIT("i"), m, n, &hints, &texts,
	    &(size_t){ 0 }, &err);
	src->ops->end(src);
	arena_clear(&a);
}

static int
memory_fd(const struct buf *b)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 || write(fd, b->p, b->n) != (ssize_t)b->n)
		abort();
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct { enum matcher_type type; const char *value; }
	    specs[] = { { MATCH_EQUAL, "b" }, { MATCH_NOT_EQUAL, "b" },
	    { MATCH_REGEXP, "b|c" }, { MATCH_REGEXP, "c.*" },
	    { MATCH_NOT_REGEXP, ".*d" }, { MATCH_NOT_REGEXP, ".+" } };
	struct err err = ERR_INIT;
	struct block_reader *r;
	struct block_fds fds;
	struct source *src;
	struct build b;
	int segment;
	size_t i;

	if (size == 0)
		return 0;
	make(&b, data[0] % 2 + 1);
	change(&b, data + 1, size - 1);
	segment = memory_fd(&b.file[1]);
	fds = (struct block_fds){ memory_fd(&b.file[0]),
	    memory_fd(&b.file[2]), &segment, 1 };
	r = block_reader_open(STR_LIT("01H5YK8Q0000000000000000AA"), 0,
	    100000, &fds, &err);
	close(fds.index);
	close(fds.tombstones);
	close(segment);
	if (r != NULL) {
		src = source_block_new(r);
		read_all(src, NULL, 0);
		for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
			struct matcher m;
			const struct matcher *pm = &m;

			if (matcher_init(&m, specs[i].type, STR_LIT("i"),
			    str_c(specs[i].value), &err) == -1)
				abort();
			read_all(src, &pm, 1);
			matcher_clear(&m);
		}
		source_block_free(src);
		block_reader_close(r);
	}
	build_clear(&b);
	return 0;
}
