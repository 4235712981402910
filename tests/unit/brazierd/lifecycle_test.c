/* SPDX-License-Identifier: ISC */

/*
 * The supervisor with real processes that play the workers
 * (tests/doubles): start, deaths, reloads that are accepted, refused and
 * interrupted, queued requests, ordered stop.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "supervisor/supervisor.h"

#define PATIENCE_MS	20000
#define LOG_END_BYTES	900	/* what a failure shows; cmocka cuts at 1024 */

struct world {
	struct flags		f;
	struct flags_result	r;
	struct flags_settings	s;
	struct supervisor	*sup;
	char			dir[64];
	int			log_fd;
};

static void
world_open(struct world *w, const char *config)
{
	char path[96], data[128], file[128];
	char *argv[] = { "brazierd", file, data, "--scrape.workers=2",
	    "--query.workers=2", "--web.listen-address=127.0.0.1:0",
	    "--log.level=debug", "--memory.max-bytes=2GB", "--user=nobody" };
	int argc = geteuid() == 0 ? 9 : 8;

	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/brazier-life-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(data, sizeof(data), "--storage.tsdb.path=%s/data", w->dir);
	snprintf(file, sizeof(file), "--config.file=%s", config);
	snprintf(path, sizeof(path), "%s/log", w->dir);
	w->log_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(w->log_fd >= 0);
	flags_init(&w->f);
	flags_result_init(&w->r);
	flags_parse(&w->f, argc, argv, &w->r);
	w->sup = calloc(1, sizeof(*w->sup));
	log_writer_init(&w->sup->log_writer, w->log_fd);
	log_open("supervisor", LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT,
	    log_writer_sink, &w->sup->log_writer);
	flags_check(&w->f, &w->s, &w->r);
	assert_int_equal(w->r.exit_code, FLAGS_GO_ON);
	w->sup->flags = &w->f;
	w->sup->settings = &w->s;
	assert_int_equal(supervisor_start(w->sup), 0);
}

static void
world_close(struct world *w)
{
	char command[128];

	supervisor_free(w->sup);
	free(w->sup);
	log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, NULL, NULL);
	flags_settings_clear(&w->s);
	flags_result_clear(&w->r);
	flags_clear(&w->f);
	close(w->log_fd);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
}

static char *
world_log(struct world *w)
{
	off_t n = lseek(w->log_fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)n + 1);

	assert_int_equal(pread(w->log_fd, text, (size_t)n, 0), n);
	return text;
}

static void
assert_logged(struct world *w, const char *words)
{
	char *text = world_log(w);

	if (strstr(text, words) == NULL)
		fail_msg("not in the log: %s\n%s", words, text);
	free(text);
}

typedef bool condition(struct world *w);

static void
world_until(struct world *w, condition *is_so, const char *what)
{
	mono_time end = mono_add_ms(mono_now(), PATIENCE_MS);
	struct timeval tick = { 0, 20000 };

	while (!is_so(w)) {
		if (mono_before(end, mono_now())) {
			char *text = world_log(w);
			size_t n = strlen(text);

			fail_msg("waited in vain: %s\n%s", what,
			    text + (n > LOG_END_BYTES ? n - LOG_END_BYTES : 0));
		}
		event_base_loopexit(w->sup->base, &tick);
		event_base_dispatch(w->sup->base);
	}
}

static bool
all_run(struct world *w)
{
	if (w->sup->phase != SUPER_RUNNING || w->sup->reload != NULL)
		return false;
	for (size_t i = 0; i < w->sup->n_children; i++) {
		const struct child *c = &w->sup->children[i];

		if (c->state != CHILD_UP || !c->running || c->step != STEP_IDLE ||
		    c->generation != w->sup->generation)
			return false;
	}
	return true;
}

static bool
all_gone(struct world *w)
{
	for (size_t i = 0; i < w->sup->n_children; i++)
		if (w->sup->children[i].pid != 0)
			return false;
	return w->sup->phase == SUPER_STOPPING && w->sup->config.pid == 0;
}

#define UNTIL(w, c)	world_until(w, c, #c)

static void
test_start_and_stop(void **state)
{
	struct world w;
	char *log;

	(void)state;
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	assert_int_equal(w.sup->n_children, 7);
	assert_int_equal(w.sup->generation, 1);
	assert_logged(&w, "Server is ready to receive web requests.");
	if (geteuid() == 0)
		assert_int_equal(w.sup->children[0].attached.uid,
		    getpwnam("nobody")->pw_uid);
#ifndef BRAZIER_SANITIZED
	assert_int_equal(w.sup->children[0].attached.seccomp, 1);
#endif
	stop_begin(w.sup, "terminated");
	UNTIL(&w, all_gone);
	assert_int_equal(w.sup->exit_code, 0);
	log = world_log(&w);
	assert_non_null(strstr(log, "See you next time!"));
	assert_true(strstr(log, "Stopping scrape manager...") <
	    strstr(log, "Scrape manager stopped"));
	assert_true(strstr(log, "Scrape manager stopped") <
	    strstr(log, "Stopping storage..."));
	assert_true(strstr(log, "TSDB stopped") <
	    strstr(log, "Stopping web handler..."));
	assert_null(strstr(log, "restarting it"));
	free(log);
	world_close(&w);
}

static void
test_bad_first_configuration(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "bad.yml");
	UNTIL(&w, all_gone);
	assert_int_equal(w.sup->exit_code, 2);
	assert_logged(&w, "Error loading config");
	assert_logged(&w, "line 3: it is bad");
	world_close(&w);
	world_open(&w, "refuse=web.yml");
	UNTIL(&w, all_gone);
	assert_int_equal(w.sup->exit_code, 1);
	assert_logged(&w, "error loading config from");
	assert_logged(&w, "web does not like it");
	world_close(&w);
}

/* There is no old configuration to keep: it is tried again, but not for
 * ever. */
static void
test_deaths_at_start(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "die=web.yml");
	UNTIL(&w, all_gone);
	assert_int_equal(w.sup->exit_code, 1);
	assert_logged(&w, "Start is held up");
	assert_logged(&w, "web/0 ended 5 times at start");
	world_close(&w);
}

static void
test_deaths(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	for (size_t i = 0; i < w.sup->n_children; i++) {
		struct child *c = &w.sup->children[i];
		pid_t before = c->pid;

		assert_int_equal(kill(c->pid, SIGKILL), 0);
		while (c->pid == before)
			event_base_loop(w.sup->base, EVLOOP_ONCE);
		UNTIL(&w, all_run);
		assert_int_not_equal(c->pid, before);
		assert_int_equal(c->restarts, 1);
	}
	assert_int_equal(w.sup->generation, 1);
	assert_logged(&w, "cause=Killed");
	/* All at once. */
	for (size_t i = 0; i < w.sup->n_children; i++)
		(void)kill(w.sup->children[i].pid, SIGKILL);
	event_base_loop(w.sup->base, EVLOOP_ONCE);
	while (w.sup->children[0].restarts != 2)
		event_base_loop(w.sup->base, EVLOOP_ONCE);
	UNTIL(&w, all_run);
	world_close(&w);
}

/* --- reloads --- */

struct answer {
	int		n;	/* times called */
	int		order;
	bool		ok;
	char		text[ERR_TEXT_MAX];
};

static int answers_so_far;

static void
answer_cb(void *arg, const struct err *err, unsigned exit_code)
{
	struct answer *a = arg;

	(void)exit_code;
	a->n++;
	a->order = ++answers_so_far;
	a->ok = err == NULL;
	snprintf(a->text, sizeof(a->text), "%s", err == NULL ? "" : err->text);
}

static void
reload_as(struct world *w, const char *config, struct answer *a)
{
	memset(a, 0, sizeof(*a));
	flags_override_str(&w->f, FLAG_CONFIG_FILE, config);
	reload_request(w->sup, answer_cb, a);
	UNTIL(w, all_run);
	assert_int_equal(a->n, 1);
}

static void
test_reloads(void **state)
{
	struct answer a;
	struct world w;
	pid_t web;

	(void)state;
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	web = children_find(w.sup, ROLE_WEB, 0)->pid;
	reload_as(&w, "good2.yml", &a);
	assert_true(a.ok);
	assert_int_equal(w.sup->generation, 2);
	reload_as(&w, "bad.yml", &a);
	assert_false(a.ok);
	assert_string_equal(a.text, "couldn't load configuration "
	    "(--config.file=\"bad.yml\"): line 3: it is bad");
	assert_false(w.sup->reload_ok);
	assert_int_equal(w.sup->generation, 2);
	reload_as(&w, "refuse=scrape", &a);
	assert_false(a.ok);
	assert_non_null(strstr(a.text, "scrape does not like it"));
	assert_int_equal(w.sup->generation, 2);
	/* Nobody was restarted for any of this. */
	assert_int_equal(children_find(w.sup, ROLE_WEB, 0)->pid, web);
	/* A death before the decision: refused, restarted on the old one. */
	reload_as(&w, "die=web", &a);
	assert_false(a.ok);
	assert_non_null(strstr(a.text, "web/0 ended meanwhile: exit status 7"));
	assert_int_equal(w.sup->generation, 2);
	assert_int_equal(children_find(w.sup, ROLE_WEB, 0)->restarts, 1);
	/* One that takes its time is waited for. */
	reload_as(&w, "late=scrape", &a);
	assert_true(a.ok);
	assert_true(w.sup->reload_ok);
	assert_true(w.sup->generation > 2);
	world_close(&w);
}

/* A refusal crosses the answer of one that is still preparing. */
static void
test_abort_crosses_answer(void **state)
{
	struct answer a;
	struct world w;

	(void)state;
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	reload_as(&w, "late=scrape,refuse=web", &a);
	assert_false(a.ok);
	reload_as(&w, "late=scrape", &a);
	assert_true(a.ok);
	assert_int_equal(children_find(w.sup, ROLE_SCRAPE, 0)->restarts, 0);
	world_close(&w);
}

static void
test_queued_reloads(void **state)
{
	struct answer a[20] = { { 0 } };
	struct world w;
	int refused = 0;

	(void)state;
	answers_so_far = 0;
	world_open(&w, "good.yml");
	/* Early ones wait until the server runs. */
	reload_request(w.sup, answer_cb, &a[0]);
	UNTIL(&w, all_run);
	assert_int_equal(a[0].n, 1);
	assert_int_equal(w.sup->generation, 2);
	for (int i = 1; i < 4; i++)
		reload_request(w.sup, answer_cb, &a[i]);
	UNTIL(&w, all_run);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(a[i].n, 1);
		assert_true(a[i].ok);
		assert_int_equal(a[i].order, i + 1);
	}
	assert_int_equal(w.sup->generation, 5);
	memset(a, 0, sizeof(a));
	for (int i = 0; i < 20; i++)
		reload_request(w.sup, answer_cb, &a[i]);
	for (int i = 0; i < 20; i++)
		refused += a[i].n == 1 && !a[i].ok;
	assert_int_equal(refused, 4);
	/* Those that wait when the server stops are told. */
	stop_begin(w.sup, NULL);
	for (int i = 0; i < 20; i++)
		assert_int_equal(a[i].n, 1);
	UNTIL(&w, all_gone);
	world_close(&w);
}

/* Each role ends at each step: before the decision and after it. */
/* How often storage got a channel to a scrape worker. */
static size_t
n_connected(struct world *w)
{
	static const char words[] = "double connects\" role=storage to=scrape";
	char *text = world_log(w), *p = text;
	size_t n = 0;

	for (; (p = strstr(p, words)) != NULL; p += sizeof(words) - 1)
		n++;
	free(text);
	return n;
}

static bool
is_connected_again(struct world *w)
{
	return n_connected(w) >= 3;
}

/* A channel that closes between two who live is made new, once. */
static void
test_lost_channels(void **state)
{
	struct answer a;
	struct world w;

	(void)state;
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	/* each of the two scrape workers */
	assert_int_equal(n_connected(&w), 2);
	reload_as(&w, "part=storage", &a);
	assert_true(a.ok);
	UNTIL(&w, is_connected_again);
	assert_logged(&w, "Channel between workers had closed");
	reload_as(&w, "good.yml", &a);
	assert_true(a.ok);
	assert_int_equal(n_connected(&w), 3);
	for (size_t i = 0; i < w.sup->n_children; i++)
		assert_int_equal(w.sup->children[i].restarts, 0);
	world_close(&w);
}

static void
test_deaths_in_reload(void **state)
{
	static const enum role roles[] = { ROLE_STORAGE, ROLE_SCRAPE,
	    ROLE_QUERY, ROLE_WEB };
	struct answer a;
	struct world w;
	char script[64];

	(void)state;
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		uint32_t generation = w.sup->generation;

		snprintf(script, sizeof(script), "die=%s", role_name(roles[i]));
		reload_as(&w, script, &a);
		assert_false(a.ok);
		assert_int_equal(w.sup->generation, generation);
		snprintf(script, sizeof(script), "end=%s", role_name(roles[i]));
		reload_as(&w, script, &a);
		assert_true(a.ok);
		assert_true(w.sup->generation > generation);
		assert_int_equal(children_find(w.sup, roles[i], 0)->restarts, 2);
		assert_int_equal(children_find(w.sup, roles[i], 0)->generation,
		    w.sup->generation);
	}
	world_close(&w);
}

/*
 * Deaths, good and bad reloads in any order: each request is answered once,
 * and in the end everybody runs on the one generation in force.
 */
static void
test_storm(void **state)
{
	static const char *const scripts[] = { "good", "bad", "late=scrape",
	    "refuse=query", "late=web,refuse=storage", "die=scrape" };
	unsigned seed = (unsigned)getpid();
	struct timeval tick = { 0, 30000 };
	struct answer a[40] = { { 0 } };
	struct world w;
	int n = 0;

	(void)state;
	print_message("seed %u\n", seed);
	world_open(&w, "good.yml");
	UNTIL(&w, all_run);
	for (int round = 0; round < 40; round++) {
		const struct child *c =
		    &w.sup->children[(unsigned)rand_r(&seed) % w.sup->n_children];

		if (rand_r(&seed) % 3 == 0 && c->restarts < 4 && c->pid != 0)
			(void)kill(c->pid, SIGKILL);
		if (w.sup->reload == NULL && n < 40) {
			flags_override_str(&w.f, FLAG_CONFIG_FILE,
			    scripts[(unsigned)rand_r(&seed) % 6]);
			reload_request(w.sup, answer_cb, &a[n++]);
		}
		event_base_loopexit(w.sup->base, &tick);
		event_base_dispatch(w.sup->base);
	}
	flags_override_str(&w.f, FLAG_CONFIG_FILE, "good");
	UNTIL(&w, all_run);
	for (int i = 0; i < n; i++)
		assert_int_equal(a[i].n, 1);
	stop_begin(w.sup, NULL);
	UNTIL(&w, all_gone);
	assert_int_equal(w.sup->exit_code, 0);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_stop),
		cmocka_unit_test(test_bad_first_configuration),
		cmocka_unit_test(test_deaths_at_start),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_reloads),
		cmocka_unit_test(test_abort_crosses_answer),
		cmocka_unit_test(test_queued_reloads),
		cmocka_unit_test(test_lost_channels),
		cmocka_unit_test(test_deaths_in_reload),
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
