/* SPDX-License-Identifier: ISC */

/*
 * A reader as a process of its own: pictures of random extent, some held for
 * a while before they are read, until SIGTERM. After SIGUSR1 it takes an
 * epoch and stops itself, as a stopped query process would.
 */

#include "tests/tools/storm.h"

#include <sys/prctl.h>

#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#define PAUSE_US	10000

static volatile sig_atomic_t told_to_end, told_to_stop;

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		told_to_stop = 1;
	else
		told_to_end = 1;
}

static int64_t
newest_ms(const struct storm_view *v)
{
	struct head_figures f;

	head_reader_figures(&v->r, &f);
	return f.maxt_ms;
}

/* Mostly what is new, sometimes far back, now and then everything. */
static void
some_pass(struct storm_view *v)
{
	uint32_t kind = storm_rnd(200);
	int64_t back = kind == 0 ? INT64_C(1) << 40 :
	    (int64_t)storm_rnd(kind < 20 ? 600000 : 30000);
	int client = storm_rnd(3) == 0 ? (int)storm_rnd(STORM_CLIENTS) : -1;

	if (newest_ms(v) > v->start_ms)
		storm_view_pass(v, newest_ms(v) - back, client,
		    storm_rnd(4) == 0 ? storm_rnd(200) : 0);
}

int
storm_reader_main(uint32_t instance, int64_t start_ms, uint64_t seed)
{
	struct event_base *base = event_base_new();
	struct sigaction sa = { .sa_handler = on_signal };
	struct storm_view v;
	uint64_t first_epoch, epoch;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGUSR1, &sa, NULL);
	storm_seed(seed);
	storm_view_open(&v, base, 3, instance, start_ms);
	while (!v.mapped && !v.closed && !told_to_end)
		(void)event_base_loop(base, EVLOOP_ONCE);
	if (!v.mapped)
		storm_fail("reader %u was not given the head", instance);
	first_epoch = __atomic_load_n(&v.r.super->epoch, __ATOMIC_RELAXED);
	while (!told_to_end && !v.closed) {
		if (told_to_stop) {
			head_reader_begin(&v.r);
			(void)raise(SIGSTOP);
			head_reader_end(&v.r);	/* woken after all */
			told_to_stop = 0;
		}
		some_pass(&v);
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
		(void)usleep(PAUSE_US);
	}
	epoch = __atomic_load_n(&v.r.super->epoch, __ATOMIC_RELAXED);
	(void)printf("reader %u: %llu pictures, %llu samples, %llu epochs\n",
	    instance, (unsigned long long)v.n_passes,
	    (unsigned long long)v.n_samples,
	    (unsigned long long)(epoch - first_epoch));
	if (v.closed && !told_to_end)
		storm_fail("reader %u lost storage", instance);
	storm_view_close(&v);
	event_base_free(base);
	return 0;
}
