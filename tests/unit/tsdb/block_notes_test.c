/* SPDX-License-Identifier: ISC */
/* meta.json, and which blocks of a directory are handed out. */

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tsdb/block_dir.h"

#define A	"01H5YK8Q0000000000000000AA"
#define B	"01H5YK8Q0000000000000000BB"
#define C	"01H5YK8Q0000000000000000CC"
#define D	"01H5YK8Q0000000000000000DD"

static void
write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
make_block(int data, const char *ulid, const char *meta)
{
	char path[64];

	assert_int_equal(mkdirat(data, ulid, 0700), 0);
	snprintf(path, sizeof(path), "%s/meta.json", ulid);
	write_file(data, path, meta);
}

static void
on_bad(void *arg, const char *name, const struct err *why)
{
	assert_string_equal(name, D);
	assert_non_null(strstr(why->text, "unexpected meta file version 9"));
	++*(int *)arg;
}

static void
remove_all(const char *dir)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

static void
test_notes(void **state)
{
	char dir[] = "/tmp/block_notes_XXXXXX";
	struct block_note *v;
	struct err err = ERR_INIT;
	int data, bad = 0, fds[8];
	size_t n, n_fds, i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	data = open(dir, O_RDONLY | O_DIRECTORY);
	/* B was made from A; C is earlier; D cannot be read. */
	make_block(data, A, "{\"ulid\":\"" A "\",\"minTime\":1000,"
	    "\"maxTime\":2000,\"version\":1}");
	make_block(data, B, "{\"ulid\":\"" B "\",\"minTime\":1000,"
	    "\"maxTime\":3000,\"version\":1,\"compaction\":{\"level\":2,"
	    "\"sources\":[\"" A "\"],\"parents\":[{\"ulid\":\"" A "\","
	    "\"minTime\":1000,\"maxTime\":2000}],"
	    "\"hints\":[\"from-out-of-order\"]}}");
	make_block(data, C, "{\"ulid\":\"" C "\",\"minTime\":-5,"
	    "\"maxTime\":7,\"version\":1,\"stats\":{\"numSeries\":3}}");
	make_block(data, D, "{\"ulid\":\"" D "\",\"version\":9}");
	assert_int_equal(mkdirat(data, "wal", 0700), 0);
	assert_int_equal(block_notes_list(data, on_bad, &bad, &v, &n, &err),
	    0);
	assert_int_equal(bad, 1);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].ulid.s, C);
	assert_int_equal(v[0].mint_ms, -5);
	assert_string_equal(v[1].ulid.s, B);
	assert_int_equal(v[1].hints, BLOCK_FROM_OUT_OF_ORDER);

	assert_int_equal(block_note_open(data, &v[0], fds, 8, &n_fds, &err),
	    -1);
	write_file(data, C "/index", "x");
	assert_int_equal(mkdirat(data, C "/chunks", 0700), 0);
	write_file(data, C "/chunks/000001", "x");
	write_file(data, C "/chunks/000002", "x");
	write_file(data, C "/chunks/000004", "x");
	assert_int_equal(block_note_open(data, &v[0], fds, 3, &n_fds, &err),
	    -1);
	assert_int_equal(block_note_open(data, &v[0], fds, 8, &n_fds, &err),
	    0);
	assert_int_equal(n_fds, 4);
	assert_int_equal(fds[1], -1);
	for (i = 0; i < n_fds; i++)
		if (fds[i] != -1)
			close(fds[i]);
	free(v);
	close(data);
	remove_all(dir);
}

static void
test_meta(void **state)
{
	static const char *const bad[] = { "", "[]", "{}", "{\"version\":1}",
	    "{\"version\":1,\"ulid\":\"x\"}",
	    "{\"version\":1,\"ulid\":\"" A "\",\"minTime\":\"1\"}",
	    "{\"version\":1,\"ulid\":\"" A "\",\"stats\":[]}",
	    "{\"version\":1,\"ulid\":\"" A "\",\"stats\":{\"numSeries\":-1}}",
	    "{\"version\":1,\"ulid\":\"" A "\",\"compaction\":"
	    "{\"sources\":[\"y\"]}}" };
	struct err err = ERR_INIT;
	struct block_meta m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(block_meta_parse(&m, str_c(bad[i]), &err),
		    -1);
	assert_int_equal(block_meta_parse(&m, STR_LIT("{\"version\":1,"
	    "\"ulid\":\"" A "\",\"minTime\":1,\"maxTime\":2,\"stats\":{"
	    "\"numSamples\":9,\"numTombstones\":4},\"compaction\":{"
	    "\"level\":3,\"sources\":[\"" A "\",\"" B "\"],"
	    "\"deletable\":true,\"failed\":true},\"more\":null}"), &err), 0);
	assert_int_equal(m.n_samples, 9);
	assert_int_equal(m.n_tombstones, 4);
	assert_int_equal(m.n_sources, 2);
	assert_string_equal(m.sources[1].s, B);
	assert_true(m.deletable && m.failed && m.level == 3);
	block_meta_clear(&m);
	assert_true(ulid_is_valid(STR_LIT(A)));
	assert_false(ulid_is_valid(STR_LIT("81H5YK8Q0000000000000000AA")));
	assert_false(ulid_is_valid(STR_LIT("01H5YK8Q0000000000000000AI")));
	assert_false(ulid_is_valid(STR_LIT("01H5YK8Q0000000000000000aa")));
	assert_false(ulid_is_valid(STR_LIT(A ".tmp-for-deletion")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
