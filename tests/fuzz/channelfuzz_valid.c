/* SPDX-License-Identifier: ISC */
/* One valid message of each row, as this worker's peer would send it now. */
#include "tests/fuzz/channelfuzz.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "ipc/reply_ring.h"

static int
copy_of(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int64_t
wall_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The id of a question that waits for this answer, or any. */
static uint64_t
pending_id(struct proc *p, unsigned type)
{
	struct pending *q = &p->pending[type];

	if (q->n == 0)
		return rng_below(100);
	q->n--;
	return q->id[q->n % PENDING_MAX];
}

#define ADD(m, s)	buf_add(&(m)->data, &(s), sizeof(s))

/* --- from the supervisor --- */

static void
valid_attached(struct message *m)
{
	struct msg_attached a = { .landlock_abi = 6, .seccomp = 1,
	    .uid = 65534, .gid = 65534 };

	ADD(m, a);
	put_text(&m->data, "");
}

static void
valid_peer_up(struct proc *p, struct message *m)
{
	struct msg_peer up = { .role = p->role == ROLE_QUERY ? ROLE_RULES :
	    p->role == ROLE_SCRAPE ? ROLE_WEB : p->role == ROLE_WEB ?
	    ROLE_SCRAPE : ROLE_REMOTE, .instance = (uint32_t)rng_below(3),
	    .n_instances = 1, .pid = 1 };
	int fds[2];

	ADD(m, up);
	pair_new(fds);
	(void)close(fds[0]);
	message_add_fd(m, fds[1]);
}

static void
valid_peer_down(struct message *m)
{
	struct msg_peer_down d = { .role = (uint32_t)rng_below(ROLE_COUNT),
	    .instance = (uint32_t)rng_below(3),
	    .cause = (uint32_t)rng_below(6) };

	ADD(m, d);
	put_text(&m->data, "killed");
}

static void
valid_opened(struct proc *p, struct message *m)
{
	struct msg_opened o = { .mtime_ns = 1 };
	int fd = p->role == ROLE_CONFIG ? world_config_fd(p->w) :
	    copy_of(p->w->password);
	struct stat st;

	m->id = pending_id(p, IPC_OPEN);
	if (rng_one_in(8)) {
		o.os = 2;
		(void)close(fd);
	} else if (fstat(fd, &st) == 0) {
		o.size_bytes = st.st_size;
		message_add_fd(m, fd);
	}
	ADD(m, o);
	put_text(&m->data, o.os != 0 ? "open x: no such file" : "");
}

static void
valid_globbed(struct proc *p, struct message *m)
{
	m->id = pending_id(p, IPC_GLOB);
	put_text(&m->data, "");
	wire_put_u32(&m->data, 0);
}

static void
valid_region(struct proc *p, struct message *m)
{
	struct msg_metrics_region r = { .role = ROLE_SCRAPE,
	    .instance = (uint32_t)rng_below(3), .pid = 7 };

	(void)p;
	ADD(m, r);
	if (m->type == IPC_METRICS_REGION)
		message_add_fd(m, fd_shared(METRICS_REGION_BYTES));
}

/* --- appends --- */

static void
put_series(struct buf *b, uint32_t id)
{
	char text[24];

	wire_put_u32(b, id);
	wire_put_u32(b, 2);
	put_text(b, "__name__");
	put_text(b, "fuzzed");
	put_text(b, "n");
	snprintf(text, sizeof(text), "%u", (unsigned)rng_below(50));
	put_text(b, text);
}

static void
valid_series(struct message *m)
{
	uint32_t n = 1 + (uint32_t)rng_below(5);

	wire_put_u32(&m->data, n);
	for (uint32_t i = 0; i < n; i++)
		put_series(&m->data, 1 + (uint32_t)rng_below(20));
	if (rng_one_in(3)) {
		/* as what a message does not hold travels */
		message_add_fd(m, fd_sealed(m->data.p, m->data.n));
		buf_reset(&m->data);
	}
}

/* Sent before samples, so that some of their series are declared. */
static void
declare(struct proc *p, enum role peer)
{
	struct message m;

	message_init(&m, IPC_SERIES);
	wire_put_u32(&m.data, 20);
	for (uint32_t i = 1; i <= 20; i++)
		put_series(&m.data, i);
	(void)message_send(p->ch[peer], &m);
	message_clear(&m);
}

static void
valid_samples(struct proc *p, enum role peer, struct message *m)
{
	uint32_t n = (uint32_t)rng_below(30);
	struct msg_samples s = { .seq = ++p->seq,
	    .base_ms = wall_ms(), .n = n,
	    .flags = SAMPLES_COMMIT | (rng_one_in(2) ? SAMPLES_SAME_TIME : 0) |
	    (rng_one_in(4) ? SAMPLES_RESEND : 0) };

	if (p->role == ROLE_STORAGE && (p->seq <= 1 || rng_one_in(10)) &&
	    p->ch[peer] != -1)
		declare(p, peer);
	ADD(m, s);
	for (uint32_t i = 0; i < n; i++)
		wire_put_f64(&m->data, (double)rng_below(1000));
	for (uint32_t i = 0; i < n; i++)
		wire_put_u32(&m->data, 1 + (uint32_t)rng_below(20));
	for (uint32_t i = 0; (s.flags & SAMPLES_SAME_TIME) == 0 && i < n; i++)
		wire_put_u32(&m->data, (uint32_t)rng_below(1000));
}

static void
valid_forget(struct message *m)
{
	struct msg_forget f = { .n = 1 + (uint32_t)rng_below(4) };

	ADD(m, f);
	for (uint32_t i = 0; i < f.n; i++)
		wire_put_u32(&m->data, 1 + (uint32_t)rng_below(20));
}

static void
valid_ack(struct proc *p, struct message *m)
{
	struct pending *q = &p->pending[IPC_SAMPLES];
	struct msg_ack a = { .stored = 1 };

	/* the oldest first: in order */
	a.seq = q->n == 0 ? p->seq : q->id[q->n < PENDING_MAX ? 0 :
	    q->n % PENDING_MAX];
	if (q->n > 0 && q->n <= PENDING_MAX) {
		q->n--;
		memmove(q->id, q->id + 1, q->n * sizeof(q->id[0]));
	}
	ADD(m, a);
}

/* --- readers --- */

static void
valid_head_map(struct proc *p, struct message *m)
{
	struct world *w = p->w;

	ADD(m, w->head_map);
	message_add_fd(m, copy_of(w->head));
}

/* What comes before the head when a reader has joined. */
static void
send_before_head(struct proc *p)
{
	static const unsigned types[] = { IPC_CHUNKS_FILE_ADD, IPC_BLOCK_ADD };
	struct message m;

	for (size_t i = 0; i < 2; i++) {
		valid_message(p, ROLE_STORAGE, types[i], &m);
		(void)message_send(p->ch[ROLE_STORAGE], &m);
		message_clear(&m);
	}
}

static void
valid_chunks_file(struct proc *p, struct message *m)
{
	size_t i = rng_below(p->w->n_files);

	ADD(m, p->w->file_msg[i]);
	if (m->type == IPC_CHUNKS_FILE_ADD)
		message_add_fd(m, copy_of(p->w->file[i]));
}

static void
valid_block(struct proc *p, struct message *m)
{
	struct msg_block b = { .mint_ms = 1000, .maxt_ms = 2030,
	    .n_segments = m->type == IPC_BLOCK_ADD };

	ADD(m, b);
	put_text(&m->data, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
	for (int i = 0; i < 3 && m->type == IPC_BLOCK_ADD; i++)
		message_add_fd(m, copy_of(p->w->block[i]));
}

/* --- queries --- */

void
put_asker(struct buf *b)
{
	put_text(b, "127.0.0.1");
	put_text(b, "GET");
	put_text(b, "/api/v1/query");
}

static void
valid_query(struct message *m)
{
	static const char *const exprs[] = { "up", "rate(m[5m])",
	    "sum by (job) (rate({__name__=~\"m|n\"}[5m]))",
	    "topk(3, m) or n", "histogram_quantile(0.9, m)", "m[10d:1ms]",
	    "quantile_over_time(0.5, m[1d])", "m offset -5m @ end()",
	    "absent(nonexistent)", "label_replace(m,\"a\",\"$1\",\"job\",\"(.*)\")" };
	struct msg_query q = { .kind = (uint32_t)rng_below(8),
	    .encoding = (uint32_t)rng_below(3), .now_ms = wall_ms(),
	    .deadline_ns = (now_ms() + 2000) * 1000000 };
	bool far = rng_one_in(2);
	struct buf params;
	char text[64];

	ADD(m, q);
	put_text(&m->data, q.kind == QUERY_LABEL_VALUES ? "job" : "");
	put_asker(&m->data);
	buf_init(&params, 0);
	wire_put_u32(&params, 5);
	put_text(&params, "query");
	put_text(&params, exprs[rng_below(10)]);
	put_text(&params, "match[]");
	put_text(&params, "{job=\"j\"}");
	put_text(&params, "start");
	snprintf(text, sizeof(text), "%lld", (long long)q.now_ms / 1000 - 3000);
	put_text(&params, text);
	put_text(&params, "end");
	snprintf(text, sizeof(text), "%lld", (long long)q.now_ms / 1000);
	put_text(&params, text);
	put_text(&params, "step");
	put_text(&params, "30");
	if (far) {
		wire_put_u32(&m->data, 0);
		message_add_fd(m, fd_sealed(params.p, params.n));
	} else
		buf_add_str(&m->data, buf_str(&params));
	buf_clear(&params);
	m->id = rng_below(1000) + 1;
}

struct msg_reply
valid_reply(struct proc *p)
{
	struct msg_reply r = { .offset = p->produced,
	    .len_bytes = (uint32_t)rng_below(4000), .flags = REPLY_FIRST |
	    REPLY_LAST, .http_status = 200, .total_bytes = -1 };

	if (r.offset % REPLY_RING_BYTES + r.len_bytes > REPLY_RING_BYTES)
		r.len_bytes = (uint32_t)(REPLY_RING_BYTES -
		    r.offset % REPLY_RING_BYTES);
	return r;
}

static void
put_reply(struct proc *p, struct message *m)
{
	struct msg_reply r = valid_reply(p);

	m->id = pending_id(p, IPC_QUERY);
	p->produced += r.len_bytes;
	ADD(m, r);
}

static void
valid_targets(struct proc *p, struct message *m)
{
	static const char text[] = "{\"a\":1}{\"b\":2}\"pool\":3,\"x\":4";
	struct msg_targets t = { 7, 7, sizeof(text) - 1 - 14 };

	m->id = pending_id(p, IPC_TARGETS_GET);
	ADD(m, t);
	message_add_fd(m, fd_sealed(text, sizeof(text) - 1));
}

/* --- names --- */

static void
valid_resolve(struct message *m)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "::1",
	    "a.invalid", "", "xn--nxasmq6b", "a..b", "1.2.3.4.5" };
	struct msg_resolve r = { .kind = RESOLVE_ADDRESS,
	    .timeout_ms = (uint32_t)rng_below(50) };

	m->id = rng();
	ADD(m, r);
	put_text(&m->data, names[rng_below(8)]);
}

static void
valid_resolved(struct proc *p, struct message *m)
{
	struct msg_resolved r = { .ok = 1, .ttl_s = 1 };
	uint32_t n = 1 + (uint32_t)rng_below(3);

	m->id = pending_id(p, IPC_RESOLVE);
	ADD(m, r);
	put_text(&m->data, "");
	wire_put_u32(&m->data, n);
	while (n-- > 0) {
		wire_put_u32(&m->data, 4);
		wire_put_u32(&m->data, 0);
		put_text(&m->data, "127.0.0.1");
		put_text(&m->data, "");
	}
}

/* --- to the supervisor --- */

static void
valid_file_request(struct proc *p, struct message *m)
{
	static const char *const paths[] = { "prometheus.yml", "/etc/passwd",
	    "/etc/shadow", "password", "../../../etc/group", "/dev/zero",
	    "/proc/self/mem", ".", "more-*.yml", "/*/*/*", "data/lock",
	    "{a,b}*[x", "" };
	struct msg_open o = { .flags = (uint32_t)rng_below(2) };
	char path[256];

	snprintf(path, sizeof(path), rng_one_in(3) ? "%s/%s" : "%.0s%s",
	    p->w->dir, paths[rng_below(13)]);
	m->id = rng();
	if (m->type == IPC_OPEN)
		ADD(m, o);
	put_text(&m->data, path);
	if (m->type != IPC_WATCH)
		put_text(&m->data, "channel test");
}

static void
valid_loaded(struct message *m)
{
	struct msg_loaded l = { .ok = (uint32_t)rng_below(2), .exit_code = 2 };

	ADD(m, l);
	put_text(&m->data, l.ok ? "" : "line 3: it is bad");
	wire_put_u32(&m->data, 1);
	put_text(&m->data, "query.log");
	wire_put_u32(&m->data, 1);
	put_text(&m->data, "a warning");
	wire_put_u32(&m->data, 1);
	put_text(&m->data, "prometheus.yml");
}

static void
valid_to_supervisor(struct proc *p, struct message *m)
{
	struct msg_prepared prepared = { .ok = (uint32_t)rng_below(2) };
	struct msg_progress progress = { 0, 10, (int64_t)rng_below(10) };
	struct msg_kill_reader kill = { .role = ROLE_QUERY,
	    .instance = (uint32_t)rng_below(8), .held_ms = 1000 };
	struct msg_blob blob = { .role = ROLE_SCRAPE };
	struct msg_ctl_reply reply = { .ok = 1 };
	struct msg_query_kill qk = { rng_below(100) };
	struct msg_peer_lost lost = { .role = rng_one_in(2) ? ROLE_STORAGE :
	    ROLE_QUERY, .pid = (uint32_t)rng() };

	switch (m->type) {
	case IPC_ATTACHED:
		valid_attached(m);
		break;
	case IPC_PREPARED:
		ADD(m, prepared);
		put_text(&m->data, prepared.ok ? "" : "it does not like it");
		break;
	case IPC_PROGRESS:
		ADD(m, progress);
		break;
	case IPC_KILL_READER:
		ADD(m, kill);
		break;
	case IPC_PEER_LOST:
		ADD(m, lost);
		break;
	case IPC_BLOB:
		ADD(m, blob);
		message_add_fd(m, fd_sealed("blob", 4));
		break;
	case IPC_LOADED:
		valid_loaded(m);
		break;
	case IPC_CTL_REPLY:
		m->id = rng_below(20);
		ADD(m, reply);
		buf_add_c(&m->data, "{\"queries\":[]}");
		break;
	case IPC_QUERY_KILL:
		m->id = rng();
		ADD(m, qk);
		break;
	case IPC_OPEN:
	case IPC_GLOB:
	case IPC_WATCH:
		valid_file_request(p, m);
		break;
	default:
		m->id = rng();
		break;
	}
}

static void
valid_from_supervisor(struct proc *p, struct message *m)
{
	struct msg_stop stop = { .deadline_ms = 500 };
	struct msg_load load = { .check_only = (uint32_t)rng_below(2),
	    .initial = (uint32_t)rng_below(2) };
	struct msg_reloaded reloaded = { .ok = (uint32_t)rng_below(2) };
	struct msg_server_state state = { .ready = 1, .reload_ok = 1,
	    .reload_ms = 1700000000000, .start_ms = 1700000000000 };
	char path[128];

	switch (m->type) {
	case IPC_PREPARE:
		if (p->w->blob[p->role] != -1)
			message_add_fd(m, copy_of(p->w->blob[p->role]));
		m->generation = ++p->generation;
		break;
	case IPC_STOP:
		ADD(m, stop);
		break;
	case IPC_LOAD:
		ADD(m, load);
		snprintf(path, sizeof(path), "%s/prometheus.yml", p->w->dir);
		put_text(&m->data, path);
		break;
	case IPC_CHANGED:
		snprintf(path, sizeof(path), "%s/password", p->w->dir);
		put_text(&m->data, path);
		break;
	case IPC_RELOADED:
		m->id = pending_id(p, IPC_RELOAD);
		ADD(m, reloaded);
		put_text(&m->data, reloaded.ok ? "" : "no");
		break;
	case IPC_SERVER_STATE:
		ADD(m, state);
		break;
	default:
		break;
	}
}

static void
valid_ring(struct message *m)
{
	struct msg_query_ring r = { REPLY_RING_BYTES };

	ADD(m, r);
	message_add_fd(m, fd_shared(REPLY_RING_BYTES));
	message_add_fd(m, fd_shared(REPLY_PAGE_BYTES));
}

static int
epoch_page(void)
{
	int fd = fd_unsealed("", 0);

	if (ftruncate(fd, 4096) == -1 || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		die("an epoch page");
	return fd;
}

void
valid_message(struct proc *p, enum role peer, unsigned type,
    struct message *m)
{
	struct msg_credit credit = { rng_below(20) };
	struct msg_targets_get get = { .state = (uint32_t)rng_below(3) };

	message_init(m, type);
	m->generation = p->generation;
	switch (type) {
	case IPC_CREDIT:
		ADD(m, credit);
		break;
	case IPC_ATTACH:
		message_clear(m);
		proc_attach_message(p, m);
		break;
	case IPC_PEER_UP:
		valid_peer_up(p, m);
		break;
	case IPC_PEER_DOWN:
		valid_peer_down(m);
		break;
	case IPC_OPENED:
		valid_opened(p, m);
		break;
	case IPC_GLOBBED:
		valid_globbed(p, m);
		break;
	case IPC_METRICS_REGION:
	case IPC_METRICS_GONE:
		valid_region(p, m);
		break;
	case IPC_SERIES:
		valid_series(m);
		break;
	case IPC_SAMPLES:
		valid_samples(p, peer, m);
		break;
	case IPC_FORGET:
		valid_forget(m);
		break;
	case IPC_ACK:
		valid_ack(p, m);
		break;
	case IPC_READER_JOIN:
		message_add_fd(m, epoch_page());
		break;
	case IPC_HEAD_MAP:
		if (p->role == ROLE_QUERY && p->pending[IPC_READER_JOIN].n > 0)
			send_before_head(p);
		valid_head_map(p, m);
		p->pending[IPC_READER_JOIN].n = 0;
		break;
	case IPC_CHUNKS_FILE_ADD:
	case IPC_CHUNKS_FILE_DROP:
		valid_chunks_file(p, m);
		break;
	case IPC_BLOCK_ADD:
	case IPC_BLOCK_DROP:
		valid_block(p, m);
		break;
	case IPC_QUERY_RING:
		valid_ring(m);
		break;
	case IPC_QUERY:
		valid_query(m);
		break;
	case IPC_REPLY:
		put_reply(p, m);
		break;
	case IPC_TARGETS_GET:
		ADD(m, get);
		put_text(&m->data, rng_one_in(2) ? "" : "a");
		m->id = rng();
		break;
	case IPC_TARGETS:
		valid_targets(p, m);
		break;
	case IPC_RESOLVE:
		valid_resolve(m);
		break;
	case IPC_RESOLVED:
		valid_resolved(p, m);
		break;
	default:
		if ((ipc_row(type)->from & R_SUP) != 0 &&
		    type != IPC_CTL_REPLY && type != IPC_QUERIES_GET &&
		    type != IPC_QUERY_KILL)
			valid_from_supervisor(p, m);
		else
			valid_to_supervisor(p, m);
	}
}
