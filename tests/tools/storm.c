/* SPDX-License-Identifier: ISC */

/*
 *	storm kill STORAGE DIR ACKS ROUNDS SEED
 *		kills storage under load so many times, every other time with
 *		ACKs withheld, at times during its replay; what was seen or
 *		acknowledged must be there afterwards, once and whole. Each
 *		ACK is a line "client batch" in the file ACKS.
 *	storm read STORAGE DIR SECONDS READERS SEED
 *		readers in processes of their own check everything while
 *		100,000 samples a second arrive; one of them is stopped and
 *		must be reported, and what it held be freed.
 *
 * DIR is an empty data directory; `storm dump START_MS` explains a line of
 * `promtool tsdb dump` (labels, value, time) on its input to a test: it
 * fails unless each is a sample of the shape, and prints "client batch n"
 * for each batch.
 */

#include "tests/tools/storm.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/vec.h"

#define TICK_MS		10	/* 100,000 samples a second … */
#define KILL_TICK_MS	5	/* … or twice as many */
#define LATE_NS_MAX	((int64_t)500 * 1000000)
#define READERS_MAX	16
#define ALL		INT64_MIN

static uint64_t rnd_state = 1;

void
storm_seed(uint64_t seed)
{
	rnd_state = seed;
}

uint32_t
storm_rnd(uint32_t n)
{
	rnd_state = rnd_state * 6364136223846793005ULL +
	    1442695040888963407ULL;
	return (uint32_t)(rnd_state >> 33) % n;
}

void
storm_fail(const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fprintf(stderr, "storm (%d): ", (int)getpid());
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(1);
}

/* --- kill --- */

struct killing {
	struct storm_storage	s;
	struct storm_load	l;
	struct storm_view	v;
	uint64_t		seen[STORM_CLIENTS];
	uint64_t		withheld;	/* stored, ACK not read */
	unsigned		in_replay;
};

/* What is there now must reach as far as what was acknowledged or seen. */
static void
look(struct killing *k, int64_t from_ms)
{
	uint64_t acked[STORM_CLIENTS];

	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		int64_t t;

		acked[i] = k->l.c[i].acked;
		/* the window must reach back to it */
		t = shape_time(k->l.start_ms, i, acked[i], 0);
		if (t < from_ms)
			from_ms = t;
	}
	storm_view_pass(&k->v, from_ms, -1, 0);
	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		if (k->v.newest[i] < acked[i] || k->v.newest[i] < k->seen[i])
			storm_fail("client %u: %llu are there, %llu were "
			    "acknowledged, %llu seen", i,
			    (unsigned long long)k->v.newest[i],
			    (unsigned long long)acked[i],
			    (unsigned long long)k->seen[i]);
		if (k->v.newest[i] > k->l.c[i].sent)
			storm_fail("client %u: more than was sent", i);
		k->seen[i] = k->v.newest[i];
	}
}

static void
start_and_look(struct killing *k)
{
	storm_storage_start(&k->s);
	storm_wait(&k->s, &k->s.ready, "ready");
	storm_view_open(&k->v, k->s.base,
	    storm_peer_up(&k->s, ROLE_QUERY, 0, 1), 0, k->l.start_ms);
	storm_wait(&k->s, &k->v.mapped, "the head");
	look(k, ALL);
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		k->withheld += k->v.newest[i] - k->l.c[i].acked;
	storm_load_connect(&k->l);
}

static void
end_round(struct killing *k)
{
	storm_load_disconnect(&k->l);
	storm_view_close(&k->v);
	storm_storage_forget(&k->s);
}

static void
kill_round(struct killing *k, unsigned round)
{
	mono_time end;

	if (round % 8 == 7) {
		k->in_replay++;
		storm_storage_start(&k->s);
		storm_run(&k->s, storm_rnd(40));
		storm_storage_kill(&k->s);
		storm_storage_forget(&k->s);
		return;
	}
	start_and_look(k);
	end = mono_add_ms(mono_now(), storm_rnd(400));
	while (mono_before(mono_now(), end)) {
		storm_load_tick(&k->l);
		storm_run(&k->s, KILL_TICK_MS);
		if (storm_rnd(10) == 0)
			look(k, k->l.start_ms + (int64_t)k->l.tick *
			    STORM_STEP_MS - 3000);
	}
	if (round % 2 == 0) {
		/* nobody reads: what is stored now is not acknowledged */
		for (uint32_t n = storm_rnd(60) + 10; n > 0; n--) {
			storm_load_tick(&k->l);
			(void)usleep(storm_rnd(1500));
		}
		storm_storage_kill(&k->s);
	} else {
		storm_load_tick(&k->l);
		storm_storage_kill(&k->s);
		storm_wait(&k->s, &k->s.gone, "the channel's end");
	}
	end_round(k);
}

static int
storm_kill(char **argv)
{
	struct killing *k = xcalloc(1, sizeof(*k));
	unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
	mono_time end;

	storm_seed(strtoull(argv[4], NULL, 10));
	storm_storage_init(&k->s, event_base_new(), argv[0], argv[1]);
	storm_load_init(&k->l, &k->s, wall_now_ms() - 3600000);
	k->l.ack_log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
	    0644);
	if (k->l.ack_log == -1)
		storm_fail("%s: %s", argv[2], strerror(errno));
	for (unsigned i = 0; i < rounds; i++)
		kill_round(k, i);
	start_and_look(k);
	end = mono_add_ms(mono_now(), 60000);
	while (!storm_load_is_acked(&k->l)) {
		if (mono_before(end, mono_now()))
			storm_fail("not all is acknowledged");
		storm_run(&k->s, TICK_MS);
	}
	look(k, ALL);
	storm_storage_stop(&k->s);
	end_round(k);
	start_and_look(k);
	storm_storage_stop(&k->s);
	end_round(k);
	(void)printf("start_ms %lld\n", (long long)k->l.start_ms);
	(void)printf("rounds %u, in the replay %u, samples acknowledged %llu, "
	    "batches sent again %llu, of them stored %llu\n", rounds,
	    k->in_replay, (unsigned long long)k->l.acked_samples,
	    (unsigned long long)k->l.resent, (unsigned long long)k->withheld);
	event_base_free(k->s.base);
	free(k);
	return 0;
}

/* --- read --- */

struct reading {
	struct storm_storage	s;
	struct storm_load	l;
	struct storm_view	v;	/* for the figures */
	pid_t			reader[READERS_MAX];
	uint32_t		n_readers;
	const char		*self, *seed;
};

static void
reader_start(struct reading *d, uint32_t i)
{
	int fd = storm_peer_up(&d->s, ROLE_QUERY, i, d->n_readers + 1);
	char number[16], start[32];
	char *argv[] = { (char *)(uintptr_t)"storm",
	    (char *)(uintptr_t)"reader", number, start,
	    (char *)(uintptr_t)d->seed, NULL };

	(void)snprintf(number, sizeof(number), "%u", i);
	(void)snprintf(start, sizeof(start), "%lld", (long long)d->l.start_ms);
	(void)fflush(stdout);
	d->reader[i] = fork();
	if (d->reader[i] == 0) {
		if (dup2(fd, 3) == 3)
			(void)execv(d->self, argv);
		_exit(127);
	}
	(void)close(fd);
}

static void
reader_end(struct reading *d, uint32_t i)
{
	int status;

	(void)kill(d->reader[i], SIGTERM);
	if (waitpid(d->reader[i], &status, 0) != d->reader[i] || status != 0)
		storm_fail("reader %u ended with %x", i, status);
	d->reader[i] = 0;
}

/* Load at the clock's pace; what a busy machine missed is made up for. */
static void
load_for(struct reading *d, int64_t ms, const bool *until)
{
	mono_time end = mono_add_ms(mono_now(), ms), next = mono_now();
	int status;

	while (mono_before(mono_now(), end) && (until == NULL || !*until)) {
		next = mono_add_ms(next, TICK_MS);
		storm_load_tick(&d->l);
		storm_run(&d->s, mono_before(mono_now(), next) ? TICK_MS : 1);
		if (mono_sub_ns(mono_now(), next) > LATE_NS_MAX)
			next = mono_now();
		for (uint32_t i = 0; i < d->n_readers; i++)
			if (d->reader[i] != 0 && waitpid(d->reader[i],
			    &status, WNOHANG) == d->reader[i])
				storm_fail("reader %u ended with %x", i,
				    status);
		if (d->s.gone)
			storm_fail("storage ended");
	}
}

static uint64_t
used_bytes(const struct reading *d)
{
	struct head_figures f;

	head_reader_figures(&d->v.r, &f);
	return f.used_bytes;
}

/* A stopped reader holds its epoch: storage must ask for its end, and then
 * use again what waited for it. */
static void
stopped_reader(struct reading *d)
{
	uint64_t before, held;
	int status;

	/* others may only be slow: they go on */
	d->s.kill_asked = 0;
	(void)kill(d->reader[0], SIGUSR1);
	if (waitpid(d->reader[0], &status, WUNTRACED) != d->reader[0] ||
	    !WIFSTOPPED(status))
		storm_fail("reader 0 did not stop: %x", status);
	before = used_bytes(d);
	for (unsigned i = 0; (d->s.kill_asked & 1) == 0; i++) {
		pid_t pid = d->reader[0];

		if (i == 1200)
			storm_fail("nobody asked for the stopped reader's end");
		d->reader[0] = 0;
		load_for(d, 100, NULL);
		d->reader[0] = pid;
	}
	held = used_bytes(d);
	(void)kill(d->reader[0], SIGKILL);
	(void)waitpid(d->reader[0], &status, 0);
	d->reader[0] = 0;
	storm_peer_down(&d->s, ROLE_QUERY, 0);
	for (unsigned i = 0; used_bytes(d) >= held; i++) {
		if (i == 600)
			storm_fail("nothing was freed: %llu bytes in use",
			    (unsigned long long)used_bytes(d));
		load_for(d, 20, NULL);
	}
	(void)printf("stopped reader: %llu bytes in use before, %llu when it "
	    "was killed, %llu then\n", (unsigned long long)before,
	    (unsigned long long)held, (unsigned long long)used_bytes(d));
	reader_start(d, 0);
}

static int
storm_read(char **argv)
{
	struct reading *d = xcalloc(1, sizeof(*d));
	int64_t ms = strtoll(argv[2], NULL, 10) * 1000;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	mono_time began, ended;

	self[n > 0 ? n : 0] = '\0';
	d->self = self;
	d->seed = argv[4];
	d->n_readers = (uint32_t)strtoul(argv[3], NULL, 10);
	if (d->n_readers < 1 || d->n_readers > READERS_MAX)
		storm_fail("1 to %d readers", READERS_MAX);
	storm_storage_init(&d->s, event_base_new(), argv[0], argv[1]);
	/* a long run has pictures that take long, on a busy machine */
	d->s.query_timeout = ms < 60000 ? "1s" : "20s";
	storm_load_init(&d->l, &d->s, wall_now_ms() - 2 * 3600000);
	storm_storage_start(&d->s);
	storm_wait(&d->s, &d->s.ready, "ready");
	storm_view_open(&d->v, d->s.base, storm_peer_up(&d->s, ROLE_QUERY,
	    d->n_readers, d->n_readers + 1), d->n_readers, d->l.start_ms);
	storm_wait(&d->s, &d->v.mapped, "the head");
	storm_load_connect(&d->l);
	for (uint32_t i = 0; i < d->n_readers; i++)
		reader_start(d, i);
	began = mono_now();
	load_for(d, ms / 2, NULL);
	stopped_reader(d);
	load_for(d, ms / 2, NULL);
	while (!storm_load_is_acked(&d->l))
		storm_run(&d->s, TICK_MS);
	ended = mono_now();
	for (uint32_t i = 0; i < d->n_readers; i++)
		reader_end(d, i);
	storm_view_pass(&d->v, ALL, -1, 0);
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		if (d->v.newest[i] != d->l.c[i].sent)
			storm_fail("client %u: not all is there", i);
	(void)printf("%llu samples acknowledged, %.0f a second\n",
	    (unsigned long long)d->l.acked_samples,
	    (double)d->l.acked_samples * 1e9 /
	    (double)mono_sub_ns(ended, began));
	storm_load_disconnect(&d->l);
	storm_view_close(&d->v);
	storm_storage_stop(&d->s);
	storm_storage_forget(&d->s);
	event_base_free(d->s.base);
	free(d);
	return 0;
}

/* --- dump --- */

static int
storm_dump(int64_t start_ms)
{
	uint32_t *count[STORM_CLIENTS] = { NULL };
	size_t n[STORM_CLIENTS] = { 0 }, cap[STORM_CLIENTS] = { 0 };
	char line[512];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		unsigned client, index;
		long long t;
		uint64_t seq;
		double v;

		if (sscanf(line, "{__name__=\"storm\", client=\"%u\", "
		    "i=\"%u\"} %lf %lld", &client, &index, &v, &t) != 4 ||
		    client >= STORM_CLIENTS ||
		    (seq = shape_batch(start_ms, client, index, t, v)) == 0 ||
		    seq >= 1u << 26)
			storm_fail("nobody sent %s", line);
		if (vec_grow(&count[client], &cap[client], seq + 1,
		    sizeof(uint32_t)) == -1)
			storm_fail("out of memory");
		while (n[client] <= seq)
			count[client][n[client]++] = 0;
		count[client][seq]++;
	}
	for (unsigned c = 0; c < STORM_CLIENTS; c++) {
		for (size_t seq = 1; seq < n[c]; seq++)
			(void)printf("%u %zu %u %u\n", c, seq, count[c][seq],
			    shape_samples(c));
		free(count[c]);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 7 && strcmp(argv[1], "kill") == 0)
		return storm_kill(argv + 2);
	if (argc == 7 && strcmp(argv[1], "read") == 0)
		return storm_read(argv + 2);
	if (argc == 5 && strcmp(argv[1], "reader") == 0)
		return storm_reader_main((uint32_t)strtoul(argv[2], NULL, 10),
		    strtoll(argv[3], NULL, 10), strtoull(argv[4], NULL, 10) +
		    strtoull(argv[2], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "dump") == 0)
		return storm_dump(strtoll(argv[2], NULL, 10));
	(void)fprintf(stderr, "usage: storm kill STORAGE DIR ACKS ROUNDS SEED\n"
	    "       storm read STORAGE DIR SECONDS READERS SEED\n"
	    "       storm dump START_MS\n");
	return 2;
}
