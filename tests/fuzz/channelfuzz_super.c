/* SPDX-License-Identifier: ISC */
/*
 * The supervisor as the receiver. It starts doubles instead of workers
 * (channel_double.c), whose channels are ours: here all of them do what a
 * worker would, but for the message under test. A worker that breaks the
 * rules is killed and started again later and later, so the supervisor is
 * started anew once nobody is left who may send the row.
 */
#include "tests/fuzz/channelfuzz.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/wire.h"

#define ENDS_MAX	64
#define POOL		"8"	/* workers of scrape and query each */
#define FDS_SLACK	40
#define BYTES_SLACK	((uint64_t)32 << 20)

struct end {
	enum role	role;
	uint32_t	instance;
	int		conn;		/* to the double; closed ends it */
	int		ch;		/* its channel, -1 = closed */
	size_t		handled;
	bool		up, ran;	/* attached; has seen RUN */
	unsigned	asked;		/* question that is not answered */
	uint32_t	generation;	/* of that question */
	uint64_t	id;
};

struct super {
	struct proc	 p;		/* brazierd: pid, stderr, world */
	char		 dir[128];
	int		 listener;
	struct end	 ends[ENDS_MAX];
	size_t		 n;
	int		 ctl;
	size_t		 ctl_handled;
	uint64_t	 ctl_id, ctl_answered;
	unsigned	 hold;
	unsigned	 type;
	struct tally	*t;
	size_t		 fds_before;
	uint64_t	 bytes_before;
	char		 last[1024];
};

static bool
found(struct super *s, const char *what)
{
	fprintf(stderr, "FOUND in supervisor by row %s: %s\n  after %s\n",
	    ipc_row(s->type)->name, what, s->last);
	proc_complain(&s->p);
	return false;
}

/* --- doubles --- */

static void
end_close(struct super *s, size_t i)
{
	if (s->ends[i].ch != -1)
		(void)close(s->ends[i].ch);
	(void)close(s->ends[i].conn);
	s->ends[i] = s->ends[--s->n];
}

static void
accept_double(struct super *s)
{
	union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[64] = "", name[32] = "";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.bytes, .msg_controllen = sizeof(control) };
	struct end *e;
	unsigned instance = 0;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd == -1)
		return;
	if (s->n == ENDS_MAX || recvmsg(fd, &mh, MSG_CMSG_CLOEXEC) <= 0 ||
	    sscanf(text, "brazier-%31s %u", name, &instance) != 2 ||
	    CMSG_FIRSTHDR(&mh) == NULL) {
		(void)close(fd);
		return;
	}
	e = &s->ends[s->n++];
	memset(e, 0, sizeof(*e));
	e->role = role_by_name(str_c(name));
	e->instance = instance;
	e->conn = fd;
	memcpy(&e->ch, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(e->ch));
}

static void
say(struct end *e, unsigned type, uint32_t generation, uint64_t id,
    const void *fixed, size_t n, const char *text)
{
	struct message m;

	message_init(&m, type);
	m.generation = generation;
	m.id = id;
	buf_add(&m.data, fixed, n);
	if (text != NULL)
		put_text(&m.data, text);
	if (type == IPC_LOADED) {
		wire_put_u32(&m.data, 0);
		wire_put_u32(&m.data, 0);
		wire_put_u32(&m.data, 0);
	}
	if (type == IPC_BLOB)
		message_add_fd(&m, fd_sealed("blob", 4));
	(void)message_send(e->ch, &m);
	message_clear(&m);
}

static void
answer(struct super *s, struct end *e, unsigned question)
{
	const struct msg_attached attached = { 6, 1, 65534, 65534 };
	const struct msg_prepared prepared = { .ok = 1 };
	const struct msg_loaded loaded = { .ok = 1 };
	const struct msg_ctl_reply reply = { .ok = 1 };
	struct msg_blob blob = { 0 };

	(void)s;
	e->asked = 0;
	switch (question) {
	case IPC_ATTACH:
		say(e, IPC_ATTACHED, e->generation, 0, &attached,
		    sizeof(attached), "");
		say(e, IPC_READY, e->generation, 0, NULL, 0, NULL);
		e->up = true;
		break;
	case IPC_RUN:
		e->ran = true;
		break;
	case IPC_PREPARE:
		say(e, IPC_PREPARED, e->generation, 0, &prepared,
		    sizeof(prepared), "");
		break;
	case IPC_COMMIT:
		say(e, IPC_COMMITTED, e->generation, 0, NULL, 0, NULL);
		break;
	case IPC_LOAD:
		for (uint32_t r = ROLE_STORAGE; r < ROLE_CTL; r++) {
			blob.role = r;
			say(e, IPC_BLOB, 0, e->id, &blob, sizeof(blob), NULL);
		}
		say(e, IPC_LOADED, 0, e->id, &loaded, sizeof(loaded), "");
		break;
	case IPC_STOP:
		say(e, IPC_STOPPED, e->generation, 0, NULL, 0, NULL);
		break;
	case IPC_QUERIES_GET:
	case IPC_QUERY_KILL:
		say(e, IPC_CTL_REPLY, e->generation, e->id, &reply,
		    sizeof(reply), NULL);
		break;
	default:
		break;
	}
}

/* false: the double is to end. */
static bool
read_end(struct super *s, struct end *e)
{
	struct arrival a;
	int r;

	while ((r = message_receive(e->ch, &a)) == 1) {
		arrival_clear(&a);
		e->handled += a.n + HDR_BYTES;
		if (a.type != IPC_CREDIT && e->handled > 65536) {
			struct msg_credit c = { e->handled };

			e->handled = 0;
			say(e, IPC_CREDIT, 0, 0, &c, sizeof(c), NULL);
		}
		e->generation = a.generation;
		e->id = a.id;
		e->asked = a.type;
		if (a.type == s->hold)
			return true;	/* what follows waits */
		answer(s, e, a.type);
		if (a.type == IPC_STOP)
			return false;
	}
	return r == 0;
}

static void
read_ctl(struct super *s)
{
	struct arrival a;
	int r;

	while (s->ctl != -1 && (r = message_receive(s->ctl, &a)) != 0) {
		if (r == -1) {
			(void)close(s->ctl);
			s->ctl = -1;
			return;
		}
		if (a.type == IPC_CTL_REPLY && a.id > s->ctl_answered)
			s->ctl_answered = a.id;
		arrival_clear(&a);
		s->ctl_handled += a.n + HDR_BYTES;
		if (s->ctl_handled > 65536) {
			struct msg_credit c = { s->ctl_handled };
			struct message m;

			s->ctl_handled = 0;
			message_init(&m, IPC_CREDIT);
			buf_add(&m.data, &c, sizeof(c));
			(void)message_send(s->ctl, &m);
			message_clear(&m);
		}
	}
}

static void
pump(struct super *s, int ms)
{
	struct pollfd fds[ENDS_MAX + 2];
	nfds_t n = 0;

	fds[n++] = (struct pollfd){ s->listener, POLLIN, 0 };
	if (s->ctl != -1)
		fds[n++] = (struct pollfd){ s->ctl, POLLIN, 0 };
	for (size_t i = 0; i < s->n; i++)
		if (s->ends[i].asked == 0)
			fds[n++] = (struct pollfd){ s->ends[i].ch, POLLIN, 0 };
	(void)poll(fds, n, ms);
	if (fds[0].revents != 0)
		accept_double(s);
	for (size_t i = s->n; i > 0; i--)
		if (!read_end(s, &s->ends[i - 1]))
			end_close(s, i - 1);
	read_ctl(s);
}

/* --- the control socket --- */

static bool
ctl_open(struct super *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (s->ctl != -1)
		return true;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.80s/control.sock",
	    s->dir);
	s->ctl = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	s->ctl_handled = 0;
	if (connect(s->ctl, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return true;
	(void)close(s->ctl);
	s->ctl = -1;
	return false;
}

static void
ctl_send(struct super *s, unsigned type)
{
	struct message m;

	if (!ctl_open(s))
		return;
	message_init(&m, type);
	m.id = ++s->ctl_id | (uint64_t)1 << 40;
	(void)message_send(s->ctl, &m);
	message_clear(&m);
}

static bool
ping(struct super *s)
{
	int64_t end = now_ms() + WAIT_MS;
	uint64_t want = 0;

	while (now_ms() < end && proc_alive(&s->p)) {
		if (s->ctl == -1 || want == 0) {
			ctl_send(s, IPC_CTL_STATUS);
			want = s->ctl == -1 ? 0 :
			    (s->ctl_id | (uint64_t)1 << 40);
		}
		pump(s, want == 0 ? 1 : 20);
		if (want != 0 && s->ctl_answered >= want)
			return true;
	}
	return false;
}

/* --- start and end --- */

static void
exec_brazierd(struct super *s)
{
	char program[256], control[256], user[32];
	char *argv[] = { program, (char *)(uintptr_t)"--config.file=good",
	    (char *)(uintptr_t)"--storage.tsdb.path=data", control,
	    (char *)(uintptr_t)"--web.listen-address=127.0.0.1:0",
	    (char *)(uintptr_t)"--scrape.workers=" POOL,
	    (char *)(uintptr_t)"--query.workers=" POOL,
	    (char *)(uintptr_t)"--web.enable-lifecycle",
	    geteuid() == 0 ? user : NULL, NULL };
	char asan[] = "ASAN_OPTIONS=abort_on_error=1:quarantine_size_mb=8";
	char *envp[] = { asan, NULL };

	snprintf(program, sizeof(program), "%s/brazierd", s->dir);
	snprintf(control, sizeof(control), "--control.path=%s/control.sock",
	    s->dir);
	snprintf(user, sizeof(user), "--user=nobody");
	if (chdir(s->dir) == -1 || dup2(s->p.err, 2) == -1)
		_exit(126);
	(void)execve(program, argv, envp);
	_exit(127);
}

static bool
all_up(const struct super *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->ends[i].ran;
	return n >= 2 * strtoul(POOL, NULL, 10) + 3;
}

static bool
start(struct super *s)
{
	int64_t end = now_ms() + WAIT_MS;
	char good[256];

	s->hold = 0;
	s->fds_before = 0;
	s->ctl = -1;
	snprintf(good, sizeof(good), "%s/good", s->dir);
	(void)close(open(good, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	if (s->p.err != -1)
		(void)close(s->p.err);
	s->p.err = fd_unsealed("", 0);
	if ((s->p.pid = fork()) == -1)
		die("fork");
	if (s->p.pid == 0)
		exec_brazierd(s);
	while (!all_up(s) && now_ms() < end && proc_alive(&s->p))
		pump(s, 20);
	if (!all_up(s) || !ping(s))
		return found(s, "it does not start");
	for (int i = 0; i < 10; i++)
		pump(s, 5);
	s->fds_before = proc_n_fds(&s->p);
	s->bytes_before = proc_anon_bytes(&s->p);
	return true;
}

static bool
ended_well(struct super *s)
{
	char text[64];

	if (WIFEXITED(s->p.status) && WEXITSTATUS(s->p.status) == 0)
		return true;
	snprintf(text, sizeof(text), "it ended: wait status 0x%x",
	    (unsigned)s->p.status);
	return found(s, text);
}

/* In order, and nothing left in memory (the leak sanitizer's exit code). */
static bool
stop(struct super *s)
{
	int64_t end = now_ms() + 3 * WAIT_MS;
	bool ok = true;

	s->hold = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->ends[i].asked != 0)
			answer(s, &s->ends[i], s->ends[i].asked);
	if (proc_alive(&s->p))
		(void)kill(s->p.pid, SIGTERM);
	while (proc_alive(&s->p) && now_ms() < end)
		pump(s, 10);
	if (proc_alive(&s->p)) {
		ok = found(s, "it does not stop");
		(void)kill(s->p.pid, SIGKILL);
		(void)waitpid(s->p.pid, &s->p.status, 0);
		s->p.pid = 0;
	} else
		ok = ended_well(s);
	while (s->n > 0)
		end_close(s, s->n - 1);
	if (s->ctl != -1)
		(void)close(s->ctl);
	s->ctl = -1;
	/* doubles of the past that still wait to be heard */
	for (int i = 0; i < 3; i++)
		pump(s, 1);
	while (s->n > 0)
		end_close(s, s->n - 1);
	return ok;
}

static bool
check_leaks(struct super *s)
{
	size_t fds = proc_n_fds(&s->p);
	uint64_t bytes = proc_anon_bytes(&s->p);
	char text[128];

	if (fds > s->fds_before + FDS_SLACK) {
		snprintf(text, sizeof(text), "%zu descriptors, %zu before",
		    fds, s->fds_before);
		return found(s, text);
	}
	if (!s->p.w->sanitized && bytes > s->bytes_before + BYTES_SLACK) {
		snprintf(text, sizeof(text), "%llu bytes, %llu before",
		    (unsigned long long)bytes,
		    (unsigned long long)s->bytes_before);
		return found(s, text);
	}
	return true;
}

/* --- a run --- */

/* What the supervisor asks before the row is its answer. */
static unsigned
question_of(unsigned type)
{
	switch (type) {
	case IPC_ATTACHED:
		return IPC_ATTACH;
	case IPC_PREPARED:
		return IPC_PREPARE;
	case IPC_COMMITTED:
		return IPC_COMMIT;
	case IPC_BLOB:
	case IPC_LOADED:
		return IPC_LOAD;
	case IPC_CTL_REPLY:
		return IPC_QUERIES_GET;
	default:
		return 0;
	}
}

/* Somebody who may send it (or may not), asked for it if need be. */
static struct end *
pick(struct super *s, bool wrong)
{
	const struct ipc_row *row = ipc_row(s->type);
	struct end *fit[ENDS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct end *e = &s->ends[i];
		bool right = (row->from & 1u << e->role) != 0;

		if (right != wrong && (e->up || s->hold == IPC_ATTACH) &&
		    (s->hold == 0 || wrong || e->asked == s->hold))
			fit[n++] = e;
	}
	return n == 0 ? NULL : fit[rng_below(n)];
}

static struct end *
wait_for_end(struct super *s, enum how how)
{
	int64_t until = now_ms() + 500;
	bool wrong = how == HOW_SENDER && rng_one_in(2) &&
	    (ipc_row(s->type)->from & R_WORKER) != R_WORKER;
	struct end *e;

	s->hold = question_of(s->type);
	if (s->hold == IPC_QUERIES_GET)
		ctl_send(s, IPC_QUERIES_GET);
	else if (s->hold != 0 && s->hold != IPC_ATTACH)
		ctl_send(s, IPC_RELOAD);
	else if (s->hold == IPC_ATTACH || rng_one_in(10))
		ctl_send(s, IPC_RELOAD);	/* a config worker to come */
	while ((e = pick(s, wrong)) == NULL && now_ms() < until &&
	    proc_alive(&s->p))
		pump(s, 10);
	return e;
}

/* The other ends go on, this one's question is taken as answered. */
static void
resume(struct super *s)
{
	unsigned held = s->hold;

	s->hold = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct end *e = &s->ends[i];

		if (e->asked == held && held != 0)
			answer(s, e, held);
	}
}

static bool
wait_closed(struct super *s, int ch, uint64_t *closed)
{
	for (int64_t end = now_ms() + WAIT_MS; now_ms() < end &&
	    proc_alive(&s->p); ) {
		bool open = s->ctl == ch;

		for (size_t i = 0; i < s->n; i++)
			open = open || s->ends[i].ch == ch;
		if (!open) {
			++*closed;
			return true;
		}
		pump(s, 10);
	}
	return !proc_alive(&s->p) ||
	    found(s, "the channel of a violation is still open");
}

/* A valid QUIT ends it, and any message that became one. */
static bool
after(struct super *s, unsigned type, bool must)
{
	if (!must && type == IPC_QUIT) {
		for (int64_t end = now_ms() + WAIT_MS; now_ms() < end &&
		    proc_alive(&s->p); )
			pump(s, 10);
	}
	if (!proc_alive(&s->p) && type != IPC_QUIT)
		return found(s, "it has ended");
	if (!proc_alive(&s->p) || ping(s))
		return true;
	return found(s, "it does not answer any more");
}

static bool
run_one(struct super *s)
{
	enum how how = (enum how)rng_below(HOW_COUNT);
	const struct ipc_row *row = ipc_row(s->type);
	bool by_ctl = (row->from & R_CTL) != 0 && rng_one_in(2), must;
	struct end *e = by_ctl ? NULL : wait_for_end(s, how);
	enum role from = by_ctl || e == NULL ? ROLE_CTL : e->role;
	uint64_t closed = 0;
	struct message m;
	unsigned type;
	bool ok;
	int ch;

	if (!proc_alive(&s->p))
		return after(s, s->type, true);
	if (e == NULL && (!by_ctl || !ctl_open(s))) {
		/* nobody is left who could */
		s->t->restarts++;
		return stop(s) && start(s);
	}
	valid_message(&s->p, from, s->type, &m);
	if (e != NULL && s->hold != 0) {
		m.generation = e->generation;
		m.id = e->id;
	}
	mutate(&m, how);
	must = must_close(&m, from, ROLE_SUPERVISOR, IPC_RUNNING, how);
	describe(s->last, sizeof(s->last), from, ROLE_SUPERVISOR, how, &m);
	if (getenv("CHANNELFUZZ_VERBOSE") != NULL)
		fprintf(stderr, "%lld %s\n", (long long)now_ms(), s->last);
	type = m.type;
	ch = e == NULL ? s->ctl : e->ch;
	if (e != NULL && s->hold != 0)
		e->asked = s->type == IPC_BLOB ? IPC_LOAD : 0;
	s->t->runs++;
	s->t->by[how]++;
	(void)message_send(ch, &m);
	message_clear(&m);
	ok = !must || wait_closed(s, ch, &closed);
	resume(s);
	s->t->closed += closed;
	if (!ok || !after(s, type, must))
		return false;
	if (proc_alive(&s->p))
		return true;
	s->t->restarts++;
	return ended_well(s) && stop(s) && start(s);
}

static void
prepare_dir(struct super *s)
{
	static const char *const roles[] = { "config", "storage", "resolver",
	    "scrape", "query", "web" };
	char from[4300], to[4300];

	snprintf(s->dir, sizeof(s->dir), "%s/super-XXXXXX", s->p.w->dir);
	if (mkdtemp(s->dir) == NULL || chmod(s->dir, 0755) == -1)
		die("a directory for the supervisor");
	snprintf(to, sizeof(to), "%s/libexec", s->dir);
	(void)mkdir(to, 0755);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		snprintf(from, sizeof(from), "%s/tests/channel_double",
		    s->p.w->build);
		snprintf(to, sizeof(to), "%s/libexec/%s", s->dir, roles[i]);
		if (symlink(from, to) == -1)
			die("%s", to);
	}
	/* it looks for libexec beside itself: a copy */
	snprintf(from, sizeof(from), "cp %s/brazierd %s/", s->p.w->build,
	    s->dir);
	if (system(from) != 0)
		die("%s", from);
}

static void
make_listener(struct super *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.80s/fuzz.sock",
	    s->dir);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (s->listener == -1 || bind(s->listener, (struct sockaddr *)&sun,
	    sizeof(sun)) == -1 || listen(s->listener, ENDS_MAX) == -1 ||
	    chmod(sun.sun_path, 0777) == -1)
		die("listening on %s", sun.sun_path);
}

bool
super_row(struct world *w, unsigned type, int64_t ms, struct tally *t)
{
	static struct super s;
	int64_t end = now_ms() + ms;
	bool ok;

	memset(&s, 0, sizeof(s));
	s.p.w = w;
	s.p.role = ROLE_SUPERVISOR;
	s.p.err = s.p.log = s.ctl = -1;
	s.type = type;
	s.t = t;
	prepare_dir(&s);
	make_listener(&s);
	ok = start(&s);
	while (ok && now_ms() < end)
		ok = run_one(&s);
	ok = ok && check_leaks(&s);
	ok = stop(&s) && ok;
	(void)close(s.listener);
	(void)close(s.p.err);
	return ok;
}
