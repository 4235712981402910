/* SPDX-License-Identifier: ISC */
/*
 * One worker and all that it talks to. What it asks is answered as a real
 * peer would, but for the one question that the row under test answers
 * (hold): its ids are kept for the answers that are made up.
 */
#include "tests/fuzz/channelfuzz.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "ipc/reply_ring.h"

#define PING_INSTANCE	7
#define CREDIT_BYTES	(64 * 1024)

static const struct { enum role role; enum role peers[4]; size_t n; } graph[] = {
	{ ROLE_STORAGE, { ROLE_SCRAPE, ROLE_REMOTE, ROLE_QUERY, ROLE_EVAL }, 4 },
	{ ROLE_RESOLVER, { ROLE_SCRAPE, ROLE_DISCOVERY, ROLE_REMOTE }, 3 },
	{ ROLE_SCRAPE, { ROLE_STORAGE, ROLE_RESOLVER, ROLE_WEB }, 3 },
	{ ROLE_QUERY, { ROLE_STORAGE, ROLE_WEB }, 2 },
	{ ROLE_WEB, { ROLE_QUERY, ROLE_SCRAPE }, 2 },
};

bool
proc_has_peer(enum role role, enum role peer)
{
	for (size_t i = 0; i < sizeof(graph) / sizeof(graph[0]); i++)
		for (size_t k = 0; k < graph[i].n; k++)
			if (graph[i].role == role && graph[i].peers[k] == peer)
				return true;
	return peer == ROLE_SUPERVISOR;
}

void
put_text(struct buf *b, const char *text)
{
	wire_put_str(b, str_c(text));
}

/* --- start --- */

static void
child(struct proc *p, int channel)
{
	char path[4200], name[64];
	char *argv[] = { name, NULL };
	char asan[] = "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:"
	    "quarantine_size_mb=8:allocator_may_return_null=1";
	char ubsan[] = "UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1";
	char *envp[] = { asan, ubsan, NULL };

	/* names are looked up and targets dialled nowhere */
	if (p->role != ROLE_WEB)
		(void)unshare(CLONE_NEWNET);
	snprintf(path, sizeof(path), "%s/libexec/%s", p->w->build,
	    role_name(p->role));
	snprintf(name, sizeof(name), "brazier-%s", role_name(p->role));
	channel = fcntl(channel, F_DUPFD, 10);
	if (dup2(p->err, 2) == -1 || dup2(channel, 3) == -1)
		_exit(126);
	(void)close_range(4, ~0U, 0);
	(void)execve(path, argv, envp);
	_exit(127);
}

void
proc_start(struct proc *p, struct world *w, enum role role)
{
	char dir[128];
	int fds[2];

	memset(p, 0, sizeof(*p));
	p->w = w;
	p->role = role;
	p->state = IPC_BOOT;
	p->ping_ch = p->data_dir = -1;
	for (int r = 0; r < ROLE_COUNT; r++)
		p->ch[r] = -1;
	for (size_t i = 0; i < sizeof(p->http) / sizeof(p->http[0]); i++)
		p->http[i] = -1;
	p->err = fd_unsealed("", 0);
	if (role == ROLE_STORAGE) {
		world_data_dir(w, dir);
		p->data_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	p->page = mmap(NULL, sizeof(*p->page), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p->log = -1;
	pair_new(fds);
	if ((p->pid = fork()) == -1)
		die("fork");
	if (p->pid == 0)
		child(p, fds[1]);
	(void)close(fds[1]);
	p->ch[ROLE_SUPERVISOR] = fds[0];
}

static void
pair(struct buf *b, uint32_t *n, const char *key, const char *value)
{
	put_text(b, key);
	put_text(b, value);
	(*n)++;
}

static void
put_flags(struct proc *p, struct buf *b)
{
	static const char *const flags[][2] = {
		{ "log.level", "info" }, { "log.format", "logfmt" },
		{ "query.timeout", "5s" }, { "query.max-concurrency", "20" },
		{ "query.max-samples", "1000000" },
		{ "query.lookback-delta", "5m" },
		{ "web.read-timeout", "5m" }, { "web.max-connections", "512" },
		{ "web.cors.origin", ".*" }, { "web.enable-lifecycle", "true" },
		{ "web.listen-address", "127.0.0.1:9090" },
		{ "storage.tsdb.min-block-duration", "2h" },
		{ "storage.tsdb.samples-per-chunk", "120" },
		{ "storage.tsdb.wal-compression", "true" },
		{ "storage.tsdb.wal-compression-type", "snappy" },
		{ "scrape.adjust-timestamps", "true" },
		{ "scrape.timestamp-tolerance", "2ms" },
		{ "scrape.max-body-size", "1MB" }, { "enable-feature", "" },
		{ "brazier.head.max-bytes", "67108864" },
		{ "brazier.query.limit-bytes", "67108864" },
		{ "brazier.start-time-ms", "1700000000000" },
		{ "brazier.retention-ms", "1296000000" },
		{ "brazier.retention-bytes", "0" },
		{ "brazier.hostname", "host" }, { "brazier.cwd", "/" },
		{ "brazier.external-url", "http://localhost:9090/" },
		{ "brazier.route-prefix", "/" },
	};
	struct buf pairs;
	uint32_t n = 0;

	(void)p;
	buf_init(&pairs, 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		pair(&pairs, &n, flags[i][0], flags[i][1]);
	wire_put_u32(b, n);
	buf_add_str(b, buf_str(&pairs));
	buf_clear(&pairs);
}

void
proc_attach_message(struct proc *p, struct message *m)
{
	bool root = geteuid() == 0;
	struct msg_attach a = { .role = p->role, .n_instances = 1,
	    .uid = root ? 65534 : 0, .gid = root ? 65534 : 0,
	    .memory_limit_bytes = (uint64_t)1 << 30 };
	int fds[2];

	message_init(m, IPC_ATTACH);
	buf_add(&m->data, &a, sizeof(a));
	put_flags(p, &m->data);
	wire_put_u32(&m->data, p->role == ROLE_STORAGE ||
	    p->role == ROLE_WEB ? 3 : 2);
	put_text(&m->data, "log");
	put_text(&m->data, "metrics");
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    fds) == -1)
		die("socketpair");
	if (p->log != -1)
		(void)close(p->log);
	p->log = fds[0];
	message_add_fd(m, fds[1]);
	message_add_fd(m, fd_shared(METRICS_REGION_BYTES));
	if (p->role == ROLE_STORAGE) {
		put_text(&m->data, "data-dir");
		message_add_fd(m, fcntl(p->data_dir, F_DUPFD_CLOEXEC, 3));
	} else if (p->role == ROLE_WEB) {
		put_text(&m->data, "listener");
		message_add_fd(m, fcntl(p->w->listener, F_DUPFD_CLOEXEC, 3));
	}
}

/* --- what it says, and the answers --- */

static void
answer(struct proc *p, enum role peer, unsigned type, const struct arrival *a)
{
	uint64_t now = 0;
	struct message m;

	/* the valid answer to this id */
	now = p->pending[a->type].n;
	p->pending[a->type].id[now % PENDING_MAX] = a->id;
	p->pending[a->type].n++;
	if (p->hold == a->type)
		return;
	valid_message(p, peer, type, &m);
	m.id = a->id;
	(void)message_send(p->ch[peer], &m);
	message_clear(&m);
	p->pending[a->type].n = now;
}

/* A batch ends: the number to acknowledge is in the data. */
static void
on_samples(struct proc *p, const struct arrival *a)
{
	struct msg_samples s;
	struct arrival as_id = { .type = IPC_SAMPLES };

	memcpy(&s, a->data, sizeof(s));
	if ((s.flags & SAMPLES_COMMIT) == 0)
		return;
	as_id.id = s.seq;
	p->seq = s.seq;
	answer(p, ROLE_STORAGE, IPC_ACK, &as_id);
}

static void
on_ring(struct proc *p, struct arrival *a)
{
	void *page = mmap(NULL, sizeof(*p->page), PROT_READ | PROT_WRITE,
	    MAP_SHARED, a->fds[1], 0);

	if (page == MAP_FAILED)
		die("mapping a reply page");
	(void)munmap(p->page, sizeof(*p->page));
	p->page = page;
	p->has_ring = true;
}

static void
on_reply(struct proc *p, const struct arrival *a)
{
	struct msg_reply r;

	memcpy(&r, a->data, sizeof(r));
	reply_store(&p->page->taken, r.offset + r.len_bytes);
	if (reply_load(&p->page->waiting) != 0 && p->ch[ROLE_WEB] != -1) {
		struct message m;

		reply_store(&p->page->waiting, 0);
		message_init(&m, IPC_REPLY_MORE);
		(void)message_send(p->ch[ROLE_WEB], &m);
		message_clear(&m);
	}
	if ((r.flags & REPLY_LAST) != 0)
		p->ponged = a->id;
}

static void
keep_fd(int *slot, struct arrival *a)
{
	if (*slot != -1)
		(void)close(*slot);
	*slot = a->fds[0];
	a->fds[0] = -1;
}

static void
on_chunks_file(struct proc *p, struct arrival *a)
{
	struct world *w = p->w;

	/* of the first storage only: the head that is handed on */
	if (w->n_files == FILES_MAX || w->head == -1)
		return;
	memcpy(&w->file_msg[w->n_files], a->data, sizeof(w->file_msg[0]));
	w->file[w->n_files] = -1;
	keep_fd(&w->file[w->n_files++], a);
}

static void
on_head_map(struct proc *p, struct arrival *a)
{
	if (p->w->head != -1)
		return;
	memcpy(&p->w->head_map, a->data, sizeof(p->w->head_map));
	keep_fd(&p->w->head, a);
}

static void
on_from_supervised(struct proc *p, struct arrival *a)
{
	uint32_t first = 0;

	if (a->n >= sizeof(first))
		memcpy(&first, a->data, sizeof(first));
	switch (a->type) {
	case IPC_ATTACHED:
		p->state = IPC_UP;
		break;
	case IPC_READY:
		p->ready = true;
		break;
	case IPC_PREPARED:
		p->prepared = true;
		p->prepared_ok = first == 1;
		break;
	case IPC_COMMITTED:
		p->committed = true;
		break;
	case IPC_STOPPED:
		p->stopped = true;
		break;
	case IPC_OPEN:
		answer(p, ROLE_SUPERVISOR, IPC_OPENED, a);
		break;
	case IPC_GLOB:
		answer(p, ROLE_SUPERVISOR, IPC_GLOBBED, a);
		break;
	case IPC_RELOAD:
		answer(p, ROLE_SUPERVISOR, IPC_RELOADED, a);
		break;
	case IPC_BLOB:
		if (first < ROLE_COUNT)
			keep_fd(&p->w->blob[first], a);
		break;
	case IPC_LOADED:
		p->loaded = true;
		p->load_ok = first == 1;
		break;
	case IPC_CTL_REPLY:
		p->ponged = a->id;
		break;
	default:
		break;
	}
}

static void
on_message(struct proc *p, enum role peer, struct arrival *a)
{
	struct msg_ack ack;

	switch (a->type) {
	case IPC_READER_JOIN:
		answer(p, peer, IPC_HEAD_MAP, a);
		break;
	case IPC_QUERY_RING:
		on_ring(p, a);
		break;
	case IPC_REPLY:
		on_reply(p, a);
		break;
	case IPC_QUERY:
		answer(p, peer, IPC_REPLY, a);
		break;
	case IPC_TARGETS_GET:
		answer(p, peer, IPC_TARGETS, a);
		break;
	case IPC_SAMPLES:
		on_samples(p, a);
		break;
	case IPC_RESOLVE:
		answer(p, peer, IPC_RESOLVED, a);
		break;
	case IPC_ACK:
		memcpy(&ack, a->data, sizeof(ack));
		p->acked = ack.seq;
		break;
	case IPC_RESOLVED:
	case IPC_TARGETS:
		p->ponged = a->id;
		break;
	case IPC_HEAD_MAP:
		on_head_map(p, a);
		break;
	case IPC_CHUNKS_FILE_ADD:
		on_chunks_file(p, a);
		break;
	default:
		if (peer == ROLE_SUPERVISOR)
			on_from_supervised(p, a);
	}
}

static void
give_credit(int fd, size_t *handled, size_t n)
{
	struct msg_credit c;
	struct message m;

	*handled += n + HDR_BYTES;
	if (*handled < CREDIT_BYTES)
		return;
	c.bytes = *handled;
	*handled = 0;
	message_init(&m, IPC_CREDIT);
	buf_add(&m.data, &c, sizeof(c));
	(void)message_send(fd, &m);
	message_clear(&m);
}

/* All of one channel; closes it when the other end has. */
static void
read_channel(struct proc *p, enum role peer, int *fd, size_t *handled)
{
	struct arrival a;
	int r;

	while (*fd != -1 && (r = message_receive(*fd, &a)) != 0) {
		if (r == -1) {
			(void)close(*fd);
			*fd = -1;
			*handled = 0;
			p->n_closed++;
			return;
		}
		on_message(p, peer, &a);
		if (a.type != IPC_CREDIT && *fd != -1)
			give_credit(*fd, handled, a.n);
		arrival_clear(&a);
	}
}

static void
read_log(struct proc *p)
{
	ssize_t n;

	while (p->log != -1 && (n = recv(p->log, p->last_log,
	    sizeof(p->last_log) - 1, MSG_DONTWAIT)) > 0)
		p->last_log[n] = '\0';
}

/* The role that speaks over the second channel: see proc_ping. */
static enum role
ping_role(enum role role)
{
	return role == ROLE_STORAGE ? ROLE_RULES : role == ROLE_RESOLVER ?
	    ROLE_NOTIFY : ROLE_WEB;
}

void
proc_pump(struct proc *p, int ms)
{
	struct pollfd fds[ROLE_COUNT + 2];
	nfds_t n = 0;

	for (int r = 0; r < ROLE_COUNT; r++)
		if (p->ch[r] != -1)
			fds[n++] = (struct pollfd){ p->ch[r], POLLIN, 0 };
	if (p->ping_ch != -1)
		fds[n++] = (struct pollfd){ p->ping_ch, POLLIN, 0 };
	if (ms > 0)
		(void)poll(fds, n, ms);
	for (int r = 0; r < ROLE_COUNT; r++)
		read_channel(p, (enum role)r, &p->ch[r], &p->handled[r]);
	read_channel(p, ping_role(p->role), &p->ping_ch,
	    &p->handled[ROLE_COUNT]);
	read_log(p);
}

bool
proc_alive(struct proc *p)
{
	if (p->pid != 0 && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
		p->pid = 0;
	return p->pid != 0;
}

/* --- channels to peers --- */

static int
peer_up(struct proc *p, enum role peer, uint32_t instance)
{
	struct msg_peer up = { .role = peer, .instance = instance,
	    .n_instances = 1, .pid = 1 };
	struct message m;
	int fds[2];

	pair_new(fds);
	message_init(&m, IPC_PEER_UP);
	m.generation = p->generation;
	buf_add(&m.data, &up, sizeof(up));
	message_add_fd(&m, fds[1]);
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	return fds[0];
}

/* What a peer says first. */
static void
greet(struct proc *p, enum role peer)
{
	struct message m;
	unsigned type = p->role == ROLE_WEB && peer == ROLE_QUERY ?
	    IPC_QUERY_RING : p->role == ROLE_STORAGE &&
	    (peer == ROLE_QUERY || peer == ROLE_EVAL) ? IPC_READER_JOIN : 0;

	if (type == 0 || p->hold == type)
		return;
	valid_message(p, peer, type, &m);
	(void)message_send(p->ch[peer], &m);
	message_clear(&m);
}

void
proc_open_peer(struct proc *p, enum role peer)
{
	if (p->ch[peer] != -1 || peer == ROLE_SUPERVISOR)
		return;
	if (p->role == ROLE_QUERY && peer == ROLE_WEB)
		p->has_ring = false;
	if (p->role == ROLE_STORAGE && peer == ROLE_SCRAPE)
		p->seq = 0;
	p->produced = 0;
	p->pending[IPC_QUERY].n = p->pending[IPC_TARGETS_GET].n = 0;
	if (p->role == ROLE_SCRAPE && peer == ROLE_STORAGE)
		p->pending[IPC_SAMPLES].n = 0;
	if (p->role == ROLE_SCRAPE && peer == ROLE_RESOLVER)
		p->pending[IPC_RESOLVE].n = 0;
	p->ch[peer] = peer_up(p, peer, 0);
	greet(p, peer);
	if (p->role != ROLE_QUERY)
		return;
	/* the head, or the ring */
	for (int64_t end = now_ms() + WAIT_MS; now_ms() < end; ) {
		proc_pump(p, 20);
		if (peer == ROLE_WEB ? p->has_ring :
		    p->pending[IPC_READER_JOIN].n > 0 || p->hold !=
		    IPC_READER_JOIN || !proc_alive(p))
			break;
	}
}

void
proc_close_peer(struct proc *p, enum role peer)
{
	if (p->ch[peer] != -1)
		(void)close(p->ch[peer]);
	p->ch[peer] = -1;
	p->handled[peer] = 0;
}

void
proc_open_ping(struct proc *p, enum role peer)
{
	if (p->ping_ch != -1)
		return;
	p->ping_seq = 0;
	p->ping_ch = peer_up(p, peer, PING_INSTANCE);
}

/* --- life --- */

bool
proc_reload(struct proc *p, int blob, bool commit)
{
	struct message m;

	if (p->ch[ROLE_SUPERVISOR] == -1)
		return false;
	message_init(&m, IPC_PREPARE);
	m.generation = ++p->generation;
	if (blob != -1)
		message_add_fd(&m, fcntl(blob, F_DUPFD_CLOEXEC, 3));
	p->prepared = p->committed = false;
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	if (!commit)
		return true;
	for (int64_t end = now_ms() + WAIT_MS; !p->prepared &&
	    now_ms() < end && p->ch[ROLE_SUPERVISOR] != -1; )
		proc_pump(p, 100);
	if (!p->prepared || !p->prepared_ok)
		return false;
	message_init(&m, IPC_COMMIT);
	m.generation = p->generation;
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	return true;
}

static void
tell_web(struct proc *p)
{
	static const unsigned types[] = { IPC_SERVER_STATE,
	    IPC_METRICS_REGION };
	struct message m;

	for (size_t i = 0; i < 2; i++) {
		valid_message(p, ROLE_SUPERVISOR, types[i], &m);
		(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
		message_clear(&m);
	}
}

void
proc_bring_up(struct proc *p, struct world *w, enum role role, unsigned hold)
{
	struct message m;
	int64_t end = now_ms() + WAIT_MS;

	proc_start(p, w, role);
	proc_attach_message(p, &m);
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	while (!p->ready && now_ms() < end && p->ch[ROLE_SUPERVISOR] != -1)
		proc_pump(p, 100);
	if (!p->ready) {
		proc_complain(p);
		die("%s did not get ready", role_name(role));
	}
	if (role == ROLE_CONFIG)
		return;
	if (!proc_reload(p, w->blob[role], true))
		die("%s refused its blob: %s", role_name(role), p->last_log);
	p->hold = hold;
	if (role == ROLE_WEB)
		tell_web(p);
	for (int r = 0; r < ROLE_COUNT; r++)
		if (r != ROLE_SUPERVISOR && proc_has_peer(role, (enum role)r))
			proc_open_peer(p, (enum role)r);
	message_init(&m, IPC_RUN);
	(void)message_send(p->ch[ROLE_SUPERVISOR], &m);
	message_clear(&m);
	p->state = IPC_RUNNING;
}

void
proc_end(struct proc *p)
{
	if (p->pid != 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, &p->status, 0);
		p->pid = 0;
	}
	for (int r = 0; r < ROLE_COUNT; r++)
		proc_close_peer(p, (enum role)r);
	proc_http_close(p);
	if (p->ping_ch != -1)
		(void)close(p->ping_ch);
	p->ping_ch = -1;
	if (p->log != -1)
		(void)close(p->log);
	if (p->err != -1)
		(void)close(p->err);
	if (p->data_dir != -1)
		(void)close(p->data_dir);
	p->log = p->err = p->data_dir = -1;
	if (p->page != NULL)
		(void)munmap(p->page, sizeof(*p->page));
	p->page = NULL;
}

size_t
proc_n_fds(const struct proc *p)
{
	char path[64];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->pid);
	if ((d = opendir(path)) == NULL)
		return 0;	/* an ordinary user may not look */
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

uint64_t
proc_anon_bytes(const struct proc *p)
{
	unsigned long long kb = 0;
	char path[64], line[256];
	FILE *fp;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	if ((fp = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), fp) != NULL)
		if (sscanf(line, "RssAnon: %llu", &kb) == 1)
			break;
	fclose(fp);
	return kb * 1024;
}

void
proc_complain(struct proc *p)
{
	static char text[8192];
	ssize_t n;

	read_log(p);
	fprintf(stderr, "  its last words: %s\n", p->last_log);
	if (p->err == -1 || (n = pread(p->err, text, sizeof(text) - 1, 0)) <= 0)
		return;
	text[n] = '\0';
	fprintf(stderr, "  on stderr: %s\n", text);
}
