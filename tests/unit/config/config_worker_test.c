/* SPDX-License-Identifier: ISC */
/*
 * The config worker as a process in its sandbox: LOAD, its questions to the
 * broker, one sealed blob a role, the verdict.
 */

#include "tests/unit/config/worker_harness.h"

#include "common/config/blob/scrape_conf.h"
#include "common/config/blob/server_conf.h"
#include "common/config/blob/storage_conf.h"

struct loads {
	const char	*main_text;	/* NULL: the file is not there */
	bool		 loaded;
	struct msg_loaded verdict;
	char		 error[1100];
	uint32_t	 n_warnings, n_files, n_logs;
	char		 log[64];	/* the last one */
	int		 blobs[ROLE_COUNT];
};

/* p.yml as the test says, inc/a.yml with a job, nothing else. */
static void
on_open(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_open *o = m->data;
	struct loads *l = ((struct harness *)ctx)->test;
	struct msg_opened reply = { 0 };
	struct err err = ERR_INIT;
	const char *text = NULL;
	struct wire_reader r;
	struct str path;
	struct buf b;
	int fd = -1;

	wire_reader_init(&r, o + 1, m->n - sizeof(*o));
	path = wire_get_str(&r);
	if (str_eq_c(path, "p.yml"))
		text = l->main_text;
	else if (str_eq_c(path, "inc/a.yml"))
		text = "scrape_configs: [{job_name: included}]\n";
	buf_init(&b, 0);
	if (text != NULL)
		fd = memfd_seal("file", str_c(text), &err);
	reply.os = fd == -1 ? 2 : 0;
	buf_add(&b, &reply, sizeof(reply));
	wire_put_str(&b, fd == -1 ?
	    STR_LIT("open p.yml: no such file or directory") : STR_EMPTY);
	assert_int_equal(ipc_send(ch, IPC_OPENED, m->id, b.p, b.n, &fd,
	    fd == -1 ? 0 : 1, &err), 0);
	buf_clear(&b);
}

static void
on_glob(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct err err = ERR_INIT;
	struct buf b;

	(void)ctx;
	buf_init(&b, 0);
	wire_put_str(&b, STR_EMPTY);
	wire_put_u32(&b, 1);
	wire_put_str(&b, STR_LIT("inc/a.yml"));
	assert_int_equal(ipc_send(ch, IPC_GLOBBED, m->id, b.p, b.n, NULL, 0,
	    &err), 0);
	buf_clear(&b);
}

static void
on_blob(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct loads *l = ((struct harness *)ctx)->test;
	const struct msg_blob *b = m->data;

	(void)ch;
	assert_true(b->role < ROLE_COUNT);
	assert_int_equal(l->blobs[b->role], -1);
	l->blobs[b->role] = ipc_msg_take_fd(m, 0);
}

static void
on_loaded(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct loads *l = ((struct harness *)ctx)->test;
	const struct msg_loaded *msg = m->data;
	struct wire_reader r;
	struct str error;
	uint32_t i;

	(void)ch;
	l->verdict = *msg;
	wire_reader_init(&r, msg + 1, m->n - sizeof(*msg));
	error = wire_get_str(&r);
	(void)snprintf(l->error, sizeof(l->error), "%.*s", STR_ARG(error));
	l->n_logs = wire_get_count(&r, 4);
	for (i = 0; i < l->n_logs; i++) {
		struct str path = wire_get_str(&r);

		(void)snprintf(l->log, sizeof(l->log), "%.*s", STR_ARG(path));
	}
	l->n_warnings = wire_get_count(&r, 4);
	for (i = 0; i < l->n_warnings; i++)
		(void)wire_get_str(&r);
	l->n_files = wire_get_count(&r, 4);
	for (i = 0; i < l->n_files; i++)
		(void)wire_get_str(&r);
	assert_true(wire_end(&r));
	l->loaded = true;
}

static void
load(struct harness *h, struct loads *l, const char *text)
{
	static const struct ipc_handler handlers[] = {
		{ IPC_OPEN, on_open }, { IPC_GLOB, on_glob },
		{ IPC_BLOB, on_blob }, { IPC_LOADED, on_loaded },
	};
	struct msg_load msg = { .initial = 1 };
	struct err err = ERR_INIT;
	struct buf b;
	size_t i;

	memset(h, 0, sizeof(*h));
	memset(l, 0, sizeof(*l));
	for (i = 0; i < ROLE_COUNT; i++)
		l->blobs[i] = -1;
	l->main_text = text;
	h->test = l;
	harness_start(h, ROLE_CONFIG, "config", handlers, 4);
	buf_init(&b, 0);
	buf_add(&b, &msg, sizeof(msg));
	wire_put_str(&b, STR_LIT("p.yml"));
	assert_int_equal(ipc_send(h->sup, IPC_LOAD, 7, b.p, b.n, NULL, 0,
	    &err), 0);
	buf_clear(&b);
	assert_true(harness_wait(h, &l->loaded));
}

static struct str
map_blob(struct loads *l, enum role role)
{
	struct err err = ERR_INIT;
	struct str blob;

	assert_int_not_equal(l->blobs[role], -1);
	assert_int_equal(memfd_map(l->blobs[role], 1 << 20, &blob, &err), 0);
	return blob;
}

static void
test_good(void **state)
{
	struct scrape_confs scrape;
	struct err err = ERR_INIT;
	struct web_conf web;
	struct harness h;
	struct loads l;
	struct str blob;

	(void)state;
	load(&h, &l, "global: {external_labels: {x: $NAME}, "
	    "query_log_file: /q.log}\n"
	    "scrape_config_files: [inc/*.yml]\n"
	    "remote_read: [{url: 'http://x/'}]\n"
	    "scrape_configs: [{job_name: a, bearer_token: hush}]\n");
	assert_int_equal(l.verdict.ok, 1);
	assert_string_equal(l.error, "");
	assert_int_equal(l.n_warnings, 1);
	assert_int_equal(l.n_files, 2);
	assert_int_equal(l.n_logs, 1);
	assert_string_equal(l.log, "/q.log");
	blob = map_blob(&l, ROLE_SCRAPE);
	scrape_confs_init(&scrape);
	assert_int_equal(scrape_confs_decode(&scrape, blob, &err), 0);
	assert_int_equal(scrape.n_jobs, 2);
	assert_true(str_eq_c(secret_reveal(&scrape.jobs[0].http.credentials),
	    "hush"));
	assert_true(str_eq_c(scrape.external_labels[0].value, "passed"));
	scrape_confs_clear(&scrape);
	memfd_unmap(blob);
	/* nobody but scrape gets the secret */
	blob = map_blob(&l, ROLE_WEB);
	assert_null(memmem(blob.p, blob.n, "hush", 4));
	assert_int_equal(web_conf_decode(&web, blob, &err), 0);
	assert_int_equal(web.n_pools, 2);
	web_conf_clear(&web);
	memfd_unmap(blob);
	memfd_unmap(map_blob(&l, ROLE_STORAGE));
	memfd_unmap(map_blob(&l, ROLE_QUERY));
	harness_stop(&h);
}

static void
test_bad(void **state)
{
	struct harness h;
	struct loads l;

	(void)state;
	load(&h, &l, "scrape_configs:\n- job_name: a\n  scrape_interval: x\n");
	assert_int_equal(l.verdict.ok, 0);
	assert_int_equal(l.verdict.exit_code, 2);
	assert_string_equal(l.error, "parsing YAML file p.yml: line 3: "
	    "not a valid duration string: \"x\"");
	assert_int_equal(l.blobs[ROLE_SCRAPE], -1);
	harness_stop(&h);
}

static void
test_missing(void **state)
{
	struct harness h;
	struct loads l;

	(void)state;
	load(&h, &l, NULL);
	assert_int_equal(l.verdict.ok, 0);
	assert_string_equal(l.error, "open p.yml: no such file or directory");
	harness_stop(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
