/* SPDX-License-Identifier: ISC */
/*
 * channelfuzz: options, the rows, the report. See channelfuzz.h.
 *
 *	channelfuzz [-j N] [-s SEED] [-t SECONDS] BUILD [ROW …]
 *
 * -t is for each row; with -j N rows run N at a time. Every row prints one
 * line with its seed: -s SEED and the row's name run it again alone.
 */
#include "tests/fuzz/channelfuzz.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_SLACK	12		/* sockets under way, timers */
#define BYTES_SLACK	((uint64_t)48 << 20)
#define RUNS_MIN	20		/* before what it holds is measured */

void
describe(char *out, size_t n, enum role from, enum role to, enum how how,
    const struct message *m)
{
	size_t at = (size_t)snprintf(out, n, "%s → %s, %s: type %u zero %u "
	    "id %llu bytes %zu fds %zu data", role_name(from), role_name(to),
	    how_names[how], m->type, m->zero, (unsigned long long)m->id,
	    m->data.n, m->n_fds);

	for (size_t i = 0; i < m->data.n && i < 160 && at + 4 < n; i++)
		at += (size_t)snprintf(out + at, n - at, "%s%02x",
		    i % 4 == 0 ? " " : "", (unsigned char)m->data.p[i]);
}

/* Of one row in one receiver. */
struct job {
	struct proc	 p;
	unsigned	 type;
	unsigned	 hold;
	bool		 deep;		/* the ping reads what was sent */
	struct tally	*t;
	size_t		 fds_before;
	uint64_t	 bytes_before;
	uint64_t	 runs;
	uint64_t	 sup_run;	/* the last that the supervisor sent */
	char		 last[1024];
};

/* The question whose answer the row is. */
static unsigned
question_of(unsigned row)
{
	static const struct { unsigned row, question; } all[] = {
		{ IPC_OPENED, IPC_OPEN }, { IPC_GLOBBED, IPC_GLOB },
		{ IPC_RELOADED, IPC_RELOAD }, { IPC_ACK, IPC_SAMPLES },
		{ IPC_HEAD_MAP, IPC_READER_JOIN }, { IPC_REPLY, IPC_QUERY },
		{ IPC_TARGETS, IPC_TARGETS_GET },
		{ IPC_RESOLVED, IPC_RESOLVE },
		/* said unasked: then it is not said in greeting */
		{ IPC_QUERY_RING, IPC_QUERY_RING },
		{ IPC_READER_JOIN, IPC_READER_JOIN },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].row == row)
			return all[i].question;
	return 0;
}

static bool
found(struct job *j, const char *what)
{
	char command[64];

	fprintf(stderr, "FOUND in %s by row %s: %s\n  after %s\n",
	    role_name(j->p.role), ipc_row(j->type)->name, what, j->last);
	proc_complain(&j->p);
	if (j->p.pid != 0 && getenv("CHANNELFUZZ_VERBOSE") != NULL) {
		snprintf(command, sizeof(command), "ls -l /proc/%d/fd >&2",
		    (int)j->p.pid);
		if (system(command) == -1)
			perror(command);
	}
	return false;
}

/* It has ended: as it may when its supervisor breaks the rules? */
static bool
ended_well(struct job *j, bool may)
{
	char text[128];
	int status;

	for (int64_t end = now_ms() + WAIT_MS; proc_alive(&j->p) &&
	    now_ms() < end; )
		proc_pump(&j->p, 1);
	if (proc_alive(&j->p))
		return found(j, "it does not end without its supervisor");
	status = j->p.status;
	if (WIFSIGNALED(status) || !may || WEXITSTATUS(status) > 1) {
		snprintf(text, sizeof(text), "it ended: %s %d",
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
		return found(j, text);
	}
	return true;
}

static void
measure(struct job *j, size_t *fds, uint64_t *bytes)
{
	/* sockets to targets come and go */
	*fds = proc_n_fds(&j->p);
	for (int i = 0; i < 5; i++) {
		size_t n;

		proc_pump(&j->p, 20);
		n = proc_n_fds(&j->p);
		if (n < *fds)
			*fds = n;
	}
	*bytes = proc_anon_bytes(&j->p);
}

/* Brings a new one up; false when it cannot even do that. */
static bool
begin(struct job *j, struct world *w, enum role role)
{
	proc_bring_up(&j->p, w, role, j->hold);
	j->runs = j->sup_run = 0;
	j->fds_before = 0;
	return true;
}

/* Nothing is left behind but what the slack allows. */
static bool
check_leaks(struct job *j)
{
	char text[128];
	uint64_t bytes;
	size_t fds;

	if (j->runs < RUNS_MIN || !proc_alive(&j->p))
		return true;
	if (j->fds_before == 0) {
		measure(j, &j->fds_before, &j->bytes_before);
		return true;
	}
	measure(j, &fds, &bytes);
	if (fds > j->fds_before + FDS_SLACK && j->type != IPC_PEER_UP &&
	    j->type != IPC_CHUNKS_FILE_ADD) {
		snprintf(text, sizeof(text), "%zu descriptors, %zu before",
		    fds, j->fds_before);
		return found(j, text);
	}
	if (!j->p.w->sanitized && bytes > j->bytes_before + BYTES_SLACK) {
		snprintf(text, sizeof(text), "%llu bytes, %llu before",
		    (unsigned long long)bytes,
		    (unsigned long long)j->bytes_before);
		return found(j, text);
	}
	return true;
}

/* Who sends: someone with a channel to it, the right one mostly. */
static enum role
pick_sender(struct job *j, enum how how)
{
	const struct ipc_row *row = ipc_row(j->type);
	enum role right[ROLE_COUNT], wrong[ROLE_COUNT];
	size_t n_right = 0, n_wrong = 0;

	for (int r = 0; r < ROLE_COUNT; r++) {
		if (!proc_has_peer(j->p.role, (enum role)r))
			continue;
		if ((row->from & 1u << r) != 0 &&
		    (row->to & 1u << j->p.role) != 0)
			right[n_right++] = (enum role)r;
		else if (r != ROLE_SUPERVISOR || rng_one_in(8))
			wrong[n_wrong++] = (enum role)r;
	}
	if (n_wrong > 0 && (how == HOW_SENDER || n_right == 0))
		return wrong[rng_below(n_wrong)];
	return n_right > 0 ? right[rng_below(n_right)] : ROLE_SUPERVISOR;
}

/* The channel must close; a worker without supervisor must end. */
static bool
closed_in_time(struct job *j, enum role from)
{
	for (int64_t end = now_ms() + WAIT_MS; j->p.ch[from] != -1 &&
	    now_ms() < end; )
		proc_pump(&j->p, 10);
	return j->p.ch[from] == -1 ||
	    found(j, "the channel of a violation is still open");
}

/* It has ended, or is just about to: what the caller looks at. */
static bool
is_ending(struct proc *p, int ms)
{
	for (int64_t end = now_ms() + ms; ; ) {
		proc_pump(p, 0);
		if (p->ch[ROLE_SUPERVISOR] == -1 || !proc_alive(p))
			return true;
		if (now_ms() >= end)
			return false;
		proc_pump(p, 10);
	}
}

/* After a message that might have been taken: does it still work? */
static bool
still_works(struct job *j, enum role from)
{
	struct proc *p = &j->p;

	if (is_ending(p, 0))
		return true;
	if (j->type == IPC_PEER_UP || j->type == IPC_PEER_DOWN)
		/* it talks to somebody else of that role now, or to nobody */
		for (int r = 0; r < ROLE_COUNT; r++)
			if (r != ROLE_SUPERVISOR)
				proc_close_peer(p, (enum role)r);
	/* a question half answered would stay open */
	if (j->type == IPC_REPLY && rng_one_in(2))
		proc_close_peer(p, ROLE_QUERY);
	if (j->type == IPC_TARGETS && rng_one_in(2))
		proc_close_peer(p, ROLE_SCRAPE);
	/* the query process answers one at a time */
	if (p->role == ROLE_QUERY && j->type == IPC_QUERY &&
	    p->ch[from] != -1) {
		for (int64_t end = now_ms() + WAIT_MS; p->ponged == 0 &&
		    p->ch[from] != -1 && now_ms() < end; )
			proc_pump(p, 10);
	}
	/* the channel of the first may have been closed by the message */
	for (int tries = 0; tries < 3; tries++)
		if (proc_ping(p, j->deep) || is_ending(p, 300))
			return true;
	return found(j, "it does not answer any more");
}

/* A process that has not been told who it is yet. */
static bool
run_boot(struct job *j, struct world *w, enum role role)
{
	struct job k = { .type = j->type, .t = j->t };
	struct message m;
	bool ok, must;

	proc_start(&k.p, w, role);
	valid_message(&k.p, ROLE_SUPERVISOR, j->type, &m);
	if (j->type == IPC_ATTACH || rng_one_in(3))
		mutate(&m, (enum how)rng_below(HOW_SENDER));
	describe(k.last, sizeof(k.last), ROLE_SUPERVISOR, role, HOW_STATE,
	    &m);
	must = must_close(&m, ROLE_SUPERVISOR, role, IPC_BOOT, HOW_STATE) ||
	    m.type == IPC_ATTACH;
	(void)message_send(k.p.ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	for (int64_t end = now_ms() + (must ? WAIT_MS : 20);
	    k.p.ch[ROLE_SUPERVISOR] != -1 && !k.p.ready && now_ms() < end; )
		proc_pump(&k.p, 10);
	if (k.p.ready || (!must && k.p.ch[ROLE_SUPERVISOR] != -1)) {
		proc_end(&k.p);
		return true;
	}
	ok = k.p.ch[ROLE_SUPERVISOR] == -1 ? ended_well(&k, true) :
	    found(&k, "neither attached nor ended");
	proc_end(&k.p);
	j->t->closed++;
	return ok;
}

/* sent: the type that went out, which a mutation may have changed. */
static bool
after_prepare(struct job *j, enum how how, unsigned sent)
{
	struct proc *p = &j->p;
	struct message m;

	if (j->type != IPC_PREPARE || sent != IPC_PREPARE || how == HOW_SENDER)
		return true;
	for (int64_t end = now_ms() + WAIT_MS; !p->prepared &&
	    p->ch[ROLE_SUPERVISOR] != -1 && now_ms() < end; )
		proc_pump(p, 10);
	if (!p->prepared && p->ch[ROLE_SUPERVISOR] != -1)
		return found(j, "PREPARE is not answered");
	if (!p->prepared_ok || rng_one_in(3))
		return true;
	message_init(&m, IPC_COMMIT);
	m.generation = p->generation;
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	proc_pump(p, 20);
	return true;
}

static bool
run_one(struct job *j, struct world *w)
{
	enum how how = (enum how)rng_below(HOW_COUNT);
	enum role role = j->p.role, from = pick_sender(j, how);
	struct proc *p = &j->p;
	struct message m;
	unsigned sent;
	bool must;

	j->t->runs++;
	j->t->by[how]++;
	j->runs++;
	if (from == ROLE_SUPERVISOR)
		j->sup_run = j->runs;
	if (j->type == IPC_ATTACH || (how == HOW_STATE &&
	    from == ROLE_SUPERVISOR))
		return run_boot(j, w, role);
	for (int r = 0; r < ROLE_COUNT; r++)
		if (proc_has_peer(role, (enum role)r))
			proc_open_peer(p, (enum role)r);
	proc_provoke(p, j->type);
	valid_message(p, from, j->type, &m);
	mutate(&m, how);
	p->ponged = 0;
	p->prepared = false;
	must = must_close(&m, from, role, from == ROLE_SUPERVISOR ? p->state :
	    IPC_UP, how);
	describe(j->last, sizeof(j->last), from, role, how, &m);
	if (getenv("CHANNELFUZZ_VERBOSE") != NULL)
		fprintf(stderr, "%lld %s\n", (long long)now_ms(), j->last);
	sent = m.type;
	if (message_send(p->ch[from], &m) == -1)
		must = true;
	message_clear(&m);
	if (must && !closed_in_time(j, from))
		return false;
	if (!must && !after_prepare(j, how, sent))
		return false;
	if (!still_works(j, from))
		return false;
	j->t->closed += p->n_closed;
	p->n_closed = 0;
	if (p->ch[ROLE_SUPERVISOR] != -1 && proc_alive(p))
		return j->runs % 256 != RUNS_MIN || check_leaks(j);
	/* by its supervisor's fault alone, which may be seen some runs later;
	 * credit it was not owed whenever the next real one comes */
	if (!ended_well(j, j->sup_run > 0 && (j->type == IPC_CREDIT ||
	    j->sup_run + 5 >= j->runs)))
		return false;
	proc_end(p);
	j->t->restarts++;
	return begin(j, w, role);
}

static bool
row_in_role(struct world *w, unsigned type, enum role role, int64_t ms,
    struct tally *t)
{
	struct job j = { .type = type, .hold = question_of(type), .t = t,
	    .deep = type >= IPC_READER_JOIN && type <= IPC_BLOCK_DROP };
	int64_t end = now_ms() + ms;
	bool ok = true;

	if (type == IPC_METRICS_REGION)
		j.deep = true;
	begin(&j, w, role);
	while (ok && now_ms() < end)
		ok = run_one(&j, w);
	ok = ok && check_leaks(&j);
	proc_end(&j.p);
	return ok;
}

/* Whose program this release has. */
static bool
is_there(const struct world *w, enum role role)
{
	char path[4200];

	if (role == ROLE_EVAL)
		return false;	/* query's program */
	snprintf(path, sizeof(path), "%s/libexec/%s", w->build,
	    role_name(role));
	return role != ROLE_SUPERVISOR && role != ROLE_CTL &&
	    access(path, X_OK) == 0;
}

/* Every receiver gets its share of the row's time. */
static bool
run_row(struct world *w, unsigned type, int64_t ms, uint64_t seed,
    struct tally *t)
{
	const struct ipc_row *row = ipc_row(type);
	enum role to[ROLE_COUNT];
	bool super = (row->to & R_SUP) != 0, ok = true;
	size_t n = 0;

	rng_seed(seed + type);
	for (int r = 0; r < ROLE_COUNT; r++)
		if ((row->to & 1u << r) != 0 && is_there(w, (enum role)r))
			to[n++] = (enum role)r;
	ms /= (int64_t)(n + super);
	for (size_t i = 0; i < n && ok; i++)
		ok = row_in_role(w, type, to[i], ms, t);
	return ok && super ? super_row(w, type, ms, t) : ok;
}

static void
print_row(unsigned type, bool ok, uint64_t seed, const struct tally *t)
{
	printf("%s %-18s seed %llu  %7llu runs  %7llu closed  %5llu restarts",
	    ok ? "ok  " : "FAIL", ipc_row(type)->name,
	    (unsigned long long)seed, (unsigned long long)t->runs,
	    (unsigned long long)t->closed, (unsigned long long)t->restarts);
	for (int h = 0; h < HOW_COUNT && getenv("CHANNELFUZZ_HOW") != NULL; h++)
		printf(", %s %llu", how_names[h],
		    (unsigned long long)t->by[h]);
	putchar('\n');
	fflush(stdout);
}

struct shared {
	unsigned next;		/* row to take, of rows[] */
	unsigned failed, passed;
	uint64_t runs;
};

static void
run_rows(struct world *w, const unsigned *rows, unsigned n, int64_t ms,
    uint64_t seed, struct shared *sh)
{
	unsigned i;

	while ((i = __atomic_fetch_add(&sh->next, 1, __ATOMIC_SEQ_CST)) < n) {
		struct tally t = { 0 };
		bool ok = run_row(w, rows[i], ms, seed, &t);

		print_row(rows[i], ok, seed, &t);
		__atomic_fetch_add(ok ? &sh->passed : &sh->failed, 1,
		    __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&sh->runs, t.runs, __ATOMIC_SEQ_CST);
	}
}

static unsigned
choose_rows(char **names, int n_names, unsigned *rows)
{
	unsigned n = 0;

	for (unsigned type = 0; type < IPC_TYPE_MAX; type++) {
		const struct ipc_row *row = ipc_row(type);
		bool want = n_names == 0;

		for (int i = 0; row != NULL && i < n_names; i++)
			want = want || strcmp(names[i], row->name) == 0;
		if (row != NULL && want)
			rows[n++] = type;
	}
	return n;
}

int
main(int argc, char **argv)
{
	uint64_t seed = 1;
	int64_t ms = 2000;
	unsigned rows[IPC_TYPE_MAX], n, jobs = 1;
	struct shared *sh;
	struct world w;
	int c, status;

	while ((c = getopt(argc, argv, "j:s:t:")) != -1) {
		if (c == 'j')
			jobs = (unsigned)atoi(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (c == 't')
			ms = (int64_t)(strtod(optarg, NULL) * 1000);
		else
			return 2;
	}
	if (optind == argc)
		die("usage: channelfuzz [-j N] [-s SEED] [-t SECONDS] BUILD "
		    "[ROW ...]");
	(void)signal(SIGPIPE, SIG_IGN);
	n = choose_rows(argv + optind + 1, argc - optind - 1, rows);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		die("mmap");
	rng_seed(seed);
	world_init(&w, argv[optind]);
	for (unsigned k = 0; k < jobs; k++) {
		pid_t pid = fork();

		if (pid == -1)
			die("fork");
		if (pid == 0) {
			/* a port of its own: the other's web has the first */
			world_new_listener(&w);
			run_rows(&w, rows, n, ms, seed, sh);
			_exit(0);
		}
	}
	while (wait(&status) != -1 || errno == EINTR)
		if (status != 0)
			__atomic_fetch_add(&sh->failed, 1, __ATOMIC_SEQ_CST);
	world_clear(&w);
	printf("%u rows passed, %u failed, %llu runs\n", sh->passed,
	    sh->failed, (unsigned long long)sh->runs);
	return sh->failed == 0 && sh->passed == n ? 0 : 1;
}
