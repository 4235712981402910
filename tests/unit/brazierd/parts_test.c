/* SPDX-License-Identifier: ISC */

/* Memory division, role tables, log writer, directory lock, listeners. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/catalogue.h"
#include "supervisor/supervisor.h"

static void
write_file(const char *path, const char *text)
{
	FILE *fp = fopen(path, "w");

	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

static void
remove_tree(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void
test_cgroup_limit(void **state)
{
	char dir[] = "/tmp/brazier-cgroup-XXXXXX", path[128];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/a/b", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/a/b/memory.max", dir);
	write_file(path, "max\n");
	assert_int_equal(memory_cgroup_limit(dir, "0::/a/b\n"), 0);
	snprintf(path, sizeof(path), "%s/a/memory.max", dir);
	write_file(path, "1073741824\n");
	assert_int_equal(memory_cgroup_limit(dir, "0::/a/b\n"), 1 << 30);
	assert_int_equal(memory_cgroup_limit(dir, "1:cpu:/a\n0::/a/b\n"),
	    1 << 30);
	assert_int_equal(memory_cgroup_limit(dir, "0::/\n"), 0);
	assert_int_equal(memory_cgroup_limit(dir, "garbage"), 0);
	assert_int_equal(memory_cgroup_limit(dir, ""), 0);
	remove_tree(dir);
}

static void
test_memory_plan(void **state)
{
	struct err err = ERR_INIT;
	struct memory_plan m;
	struct flags f;

	(void)state;
	flags_init(&f);
	assert_int_equal(flags_set(&f, FLAG_MEMORY_MAX, "1000MB", &err), 0);
	memory_plan_make(&m, &f);
	assert_int_equal(m.total_bytes, 1000ULL << 20);
	assert_int_equal(m.head_bytes, (1000ULL << 20) / 100 * 50);
	assert_int_equal(m.query_bytes, (1000ULL << 20) / 100 * 25);
	assert_int_equal(m.eval_bytes, (1000ULL << 20) / 100 * 5);
	assert_int_equal(flags_set(&f, FLAG_HEAD_MAX, "100MB", &err), 0);
	memory_plan_make(&m, &f);
	assert_int_equal(m.head_bytes, 100ULL << 20);
	for (int r = 0; r < ROLE_COUNT; r++)
		assert_true(role_memory_limit((enum role)r, 4, &m) >= 1 << 26);
	flags_clear(&f);
}

/* Tables agree with each other and with the catalogue. */
static void
test_role_tables(void **state)
{
	uint32_t stops = 0, commits = 0, workers = 0;

	(void)state;
	for (size_t i = 0; i < n_stop_stages; i++) {
		assert_int_equal(stops & stop_stages[i].roles, 0);
		stops |= stop_stages[i].roles;
	}
	for (size_t i = 0; i < role_n_commit; i++)
		commits |= 1u << role_commit_order[i];
	for (int r = 0; r < ROLE_COUNT; r++)
		if (role_policies[r].is_worker)
			workers |= 1u << r;
	assert_int_equal(commits, workers);
	assert_int_equal(stops, workers | 1u << ROLE_CONFIG);
	for (size_t i = 0; i < role_n_pairs; i++) {
		bool talk = false;

		for (unsigned t = 0; t < IPC_TYPE_MAX; t++) {
			const struct ipc_row *row = ipc_row(t);

			if (row == NULL || t == IPC_CREDIT)
				continue;
			if ((row->from & 1u << role_pairs[i].a &&
			    row->to & 1u << role_pairs[i].b) ||
			    (row->from & 1u << role_pairs[i].b &&
			    row->to & 1u << role_pairs[i].a))
				talk = true;
		}
		if (!talk)
			fail_msg("no message between %s and %s",
			    role_name(role_pairs[i].a),
			    role_name(role_pairs[i].b));
	}
}

static void
test_role_counts(void **state)
{
	struct err err = ERR_INIT;
	struct flags f;

	(void)state;
	flags_init(&f);
	assert_true(role_count(ROLE_QUERY, &f) >= 4);
	assert_int_equal(role_count(ROLE_STORAGE, &f), 1);
	assert_int_equal(flags_set(&f, FLAG_QUERY_CONCURRENCY, "1", &err), 0);
	assert_int_equal(role_count(ROLE_QUERY, &f), 1);
	assert_int_equal(flags_set(&f, FLAG_QUERY_WORKERS, "1000", &err), 0);
	assert_int_equal(role_count(ROLE_QUERY, &f), 64);
	assert_int_equal(flags_set(&f, FLAG_SCRAPE_WORKERS, "-3", &err), 0);
	assert_true(role_count(ROLE_SCRAPE, &f) >= 1);
	flags_clear(&f);
}

static void
test_log_writer(void **state)
{
	struct event_base *base = event_base_new();
	struct err err = ERR_INIT;
	struct log_writer w;
	struct log_input in;
	char text[256];
	int out[2], fd;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	log_writer_init(&w, out[1]);
	assert_int_equal(log_input_open(&in, &w, base, &fd, &err), 0);
	assert_int_equal(send(fd, "level=INFO msg=x\n", 17, 0), 17);
	assert_int_equal(send(fd, "evil\x1b[2J\nsecond line\n", 21, 0), 21);
	assert_int_equal(send(fd, "no newline", 10, 0), 10);
	event_base_loop(base, EVLOOP_NONBLOCK);
	n = read(out[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "level=INFO msg=x\n"
	    "evil?[2J?second line\nno newline\n");
	/* What a worker wrote last is read after its death. */
	assert_int_equal(send(fd, "last\n", 5, 0), 5);
	close(fd);
	log_input_close(&in);
	n = read(out[0], text, sizeof(text) - 1);
	assert_int_equal(n, 5);
	assert_int_equal(w.lines, 4);
	close(out[0]);
	close(out[1]);
	event_base_free(base);
}

/* A reader that stands still costs lines, not us. */
static void
test_log_writer_full(void **state)
{
	struct log_writer w;
	char line[4096];
	int out[2];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	log_writer_init(&w, out[1]);
	for (int i = 0; i < 20; i++)
		log_writer_sink(&w, LOG_LEVEL_INFO, line, sizeof(line));
	assert_int_equal(w.lines, 16);
	assert_int_equal(w.lost, 4);
	close(out[0]);
	close(out[1]);
}

static void
test_dirlock(void **state)
{
	char dir[] = "/tmp/brazier-lock-XXXXXX", path[128], unknown[32];
	struct identity id = { .switches = false };
	struct err err = ERR_INIT;
	struct dirlock a, b;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x/y//data/", dir);
	assert_int_equal(dirlock_open(&a, path, true, &id, &err), 0);
	assert_non_null(dirlock_fs_type(&a, unknown));
	assert_int_equal(dirlock_open(&b, path, true, &id, &err), -1);
	assert_string_equal(err.text, "lock DB directory: resource temporarily "
	    "unavailable");
	assert_int_equal(dirlock_open(&b, path, false, &id, &err), 0);
	dirlock_close(&b);
	dirlock_close(&a);
	assert_int_equal(dirlock_open(&a, path, true, &id, &err), 0);
	dirlock_close(&a);
	assert_int_equal(dirlock_open(&a, "/proc/none", true, &id, &err), -1);
	remove_tree(dir);
}

static void
test_listeners(void **state)
{
	struct err err = ERR_INIT;
	struct listeners l;
	struct flags f;

	(void)state;
	flags_init(&f);
	flags_set(&f, FLAG_WEB_LISTEN_ADDRESS, "127.0.0.1:0", &err);
	flags_set(&f, FLAG_WEB_LISTEN_ADDRESS, "127.0.0.1:0", &err);
	assert_int_equal(listeners_open(&l, &f, &err), 0);
	assert_int_equal(l.n, 2);
	listeners_close(&l);
	flags_set(&f, FLAG_WEB_LISTEN_ADDRESS, "192.0.2.1:0", &err);
	assert_int_equal(listeners_open(&l, &f, &err), -1);
	assert_string_equal(err.text, "listen tcp 192.0.2.1:0: bind: cannot "
	    "assign requested address");
	assert_int_equal(l.n, 0);
	flags_clear(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_limit),
		cmocka_unit_test(test_memory_plan),
		cmocka_unit_test(test_role_tables),
		cmocka_unit_test(test_role_counts),
		cmocka_unit_test(test_log_writer),
		cmocka_unit_test(test_log_writer_full),
		cmocka_unit_test(test_dirlock),
		cmocka_unit_test(test_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
