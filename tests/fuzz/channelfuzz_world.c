/* SPDX-License-Identifier: ISC */
/*
 * Valid things to send, made by those who make them: the blobs by a config
 * worker, arena and chunk files by a storage worker. The block is written
 * here.
 */
#include "tests/fuzz/channelfuzz.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/wire.h"
#include "tests/unit/promql/block_build.h"

#define SERIES		60
#define STEPS		300	/* two full chunks a series and an open one */
#define STEP_MS		10000

#define MANY(x) \
	"  - targets: [" x "0.test, " x "1.test, " x "2.test, " x "3.test, " \
	x "4.test, " x "5.test, " x "6.test, " x "7.test, " x "8.test, " \
	x "9.test, '127.0.0.1:1" "', '127.0.0.1:2']\n"

/* Many names, so that there is always something to resolve and append. */
static const char config[] =
    "global:\n  scrape_interval: 200ms\n  scrape_timeout: 100ms\n"
    "  external_labels: {site: here}\n"
    "scrape_config_files: [\"more-*.yml\"]\n"
    "scrape_configs:\n"
    "- job_name: a\n  static_configs:\n"
    "  - targets: ['127.0.0.1:9', 'target.test:80', 'other.test:81']\n"
    "    labels: {kind: x}\n"
    MANY("c") MANY("d") MANY("e") MANY("f")
    "- job_name: b\n  basic_auth: {username: me, password_file: password}\n"
    "  static_configs: [{targets: ['127.0.0.1:7', 'third.test:82']}]\n"
    "  relabel_configs:\n"
    "  - {source_labels: [__address__], regex: '127.*', action: drop}\n"
    "  metric_relabel_configs:\n"
    "  - {source_labels: [__name__], regex: 'go_(.*)', target_label: x}\n";

void
world_data_dir(struct world *w, char out[128])
{
	snprintf(out, 128, "%s/data-XXXXXX", w->dir);
	if (mkdtemp(out) == NULL || chmod(out, 0777) == -1)
		die("a data directory");
}

int
world_config_fd(const struct world *w)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/prometheus.yml", w->dir);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void
write_file(const struct world *w, const char *name, const char *text)
{
	char path[128];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	if ((fp = fopen(path, "we")) == NULL || fputs(text, fp) == EOF ||
	    fclose(fp) == EOF)
		die("writing %s", path);
}

void
world_new_listener(struct world *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sin);

	if (w->listener > 0)
		(void)close(w->listener);
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (w->listener == -1 || bind(w->listener, (struct sockaddr *)&sin,
	    sizeof(sin)) == -1 || listen(w->listener, 64) == -1 ||
	    getsockname(w->listener, (struct sockaddr *)&sin, &n) == -1)
		die("a listener");
	w->port = ntohs(sin.sin_port);
}

static void
make_block(struct world *w)
{
	static const char *const values[] = { "a", "b", "c", "d" };
	static struct build b;

	build_init(&b, 2);
	for (size_t i = 0; i < 4; i++) {
		struct build_series *s = &b.series[b.n_series++];

		s->label[0][0] = "__name__";
		s->label[0][1] = "m";
		s->label[1][0] = "i";
		s->label[1][1] = values[i];
		s->n_labels = 2;
		build_chunk(&b, s, 1000, 10, 3, 1);
		build_chunk(&b, s, 2000, 10, 3, 2);
	}
	build_tombstone(&b, 7, 1000, 1010);
	build_finish(&b);
	w->block[0] = fd_unsealed(b.file[0].p, b.file[0].n);
	w->block[1] = fd_unsealed(b.file[2].p, b.file[2].n);
	w->block[2] = fd_unsealed(b.file[1].p, b.file[1].n);
	build_clear(&b);
}

/* The config worker's blobs arrive in w->blob. */
static void
make_blobs(struct world *w)
{
	struct proc p;

	proc_bring_up(&p, w, ROLE_CONFIG, 0);
	if (!proc_ping(&p, false) || w->blob[ROLE_SCRAPE] == -1)
		die("the config worker made no blobs: %s", p.last_log);
	proc_end(&p);
}

static void
send_series(struct proc *p)
{
	struct message m;

	message_init(&m, IPC_SERIES);
	wire_put_u32(&m.data, SERIES);
	for (uint32_t i = 0; i < SERIES; i++) {
		char text[32];

		snprintf(text, sizeof(text), "i%u", (unsigned)i);
		wire_put_u32(&m.data, i + 1);
		wire_put_u32(&m.data, 3);
		wire_put_str(&m.data, STR_LIT("__name__"));
		wire_put_str(&m.data, i % 2 ? STR_LIT("m") : STR_LIT("n"));
		wire_put_str(&m.data, STR_LIT("instance"));
		wire_put_str(&m.data, str_c(text));
		wire_put_str(&m.data, STR_LIT("job"));
		wire_put_str(&m.data, STR_LIT("j"));
	}
	if (message_send(p->ch[ROLE_SCRAPE], &m) == -1)
		die("storage refused series");
	message_clear(&m);
}

static void
send_samples(struct proc *p, int64_t t_ms)
{
	struct msg_samples s = { .seq = ++p->seq, .base_ms = t_ms,
	    .n = SERIES, .flags = SAMPLES_COMMIT | SAMPLES_SAME_TIME };
	struct message m;

	message_init(&m, IPC_SAMPLES);
	buf_add(&m.data, &s, sizeof(s));
	for (uint32_t i = 0; i < SERIES; i++)
		wire_put_f64(&m.data, (double)(p->seq * i));
	for (uint32_t i = 0; i < SERIES; i++)
		wire_put_u32(&m.data, i + 1);
	if (message_send(p->ch[ROLE_SCRAPE], &m) == -1)
		die("storage refused samples");
	message_clear(&m);
}

/* What storage sends its readers, kept: see dispatch in channelfuzz_proc.c. */
static void
make_head(struct world *w)
{
	struct timespec ts;
	struct proc p;
	int64_t end, t_ms;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	t_ms = (int64_t)ts.tv_sec * 1000 - STEPS * STEP_MS;
	proc_bring_up(&p, w, ROLE_STORAGE, 0);
	send_series(&p);
	for (int i = 0; i < STEPS; i++)
		send_samples(&p, t_ms + i * STEP_MS);
	end = now_ms() + WAIT_MS;
	while ((w->head == -1 || w->n_files == 0) && now_ms() < end)
		proc_pump(&p, 100);
	proc_pump(&p, 600);	/* the tick that writes full chunks */
	if (w->head == -1 || w->n_files == 0)
		die("storage handed out no head: %s", p.last_log);
	proc_end(&p);
}

void
world_init(struct world *w, const char *build)
{
	char path[4200];

	memset(w, 0, sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/brazier-channels-XXXXXX");
	if (mkdtemp(w->dir) == NULL || chmod(w->dir, 0755) == -1 ||
	    realpath(build, w->build) == NULL)
		die("%s", build);
	for (int r = 0; r < ROLE_COUNT; r++)
		w->blob[r] = -1;
	w->head = -1;
	w->sanitized = strstr(w->build, "san-") != NULL;
	write_file(w, "prometheus.yml", config);
	write_file(w, "password", "secret\n");
	snprintf(path, sizeof(path), "%s/password", w->dir);
	w->password = open(path, O_RDONLY | O_CLOEXEC);
	world_new_listener(w);
	make_block(w);
	make_blobs(w);
	make_head(w);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

void
world_clear(struct world *w)
{
	(void)nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
