/* SPDX-License-Identifier: ISC */

/*
 * What brazierctl status shows: the server, the division of memory, and for
 * each process what it is, uses and is confined by, as the kernel says it in
 * /proc and as the worker reported it.
 */

#include <sys/resource.h>
#include <sys/stat.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "supervisor/supervisor.h"

struct proc_facts {
	double		cpu_seconds;
	uint64_t	rss_bytes, shared_bytes, data_bytes, virtual_bytes;
	unsigned	uid;
	unsigned	seccomp, no_new_privs, threads;
	uint64_t	capabilities;
};

static void
read_stat(pid_t pid, struct proc_facts *p)
{
	unsigned long long user = 0, system = 0;
	char path[64], line[1024];
	const char *rest;
	FILE *fp;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((fp = fopen(path, "re")) == NULL)
		return;
	if (fgets(line, sizeof(line), fp) != NULL &&
	    (rest = strrchr(line, ')')) != NULL &&
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
	    "%llu %llu", &user, &system) == 2)
		p->cpu_seconds = (double)(user + system) /
		    (double)sysconf(_SC_CLK_TCK);
	fclose(fp);
}

static void
read_status(pid_t pid, struct proc_facts *p)
{
	char path[64], line[256];
	FILE *fp;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((fp = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), fp) != NULL) {
		unsigned long long n;

		if (sscanf(line, "VmRSS: %llu", &n) == 1)
			p->rss_bytes = n << 10;
		else if (sscanf(line, "RssShmem: %llu", &n) == 1)
			p->shared_bytes = n << 10;
		else if (sscanf(line, "VmSize: %llu", &n) == 1)
			p->virtual_bytes = n << 10;
		else if (sscanf(line, "VmData: %llu", &n) == 1)
			p->data_bytes = n << 10;
		else if (sscanf(line, "Uid: %*u %u", &p->uid) == 1 ||
		    sscanf(line, "Seccomp: %u", &p->seccomp) == 1 ||
		    sscanf(line, "NoNewPrivs: %u", &p->no_new_privs) == 1 ||
		    sscanf(line, "Threads: %u", &p->threads) == 1)
			continue;
		else if (sscanf(line, "CapEff: %llx", &n) == 1)
			p->capabilities = n;
	}
	fclose(fp);
}

static struct proc_facts
proc_facts_read(pid_t pid)
{
	struct proc_facts p = { .cpu_seconds = 0 };

	if (pid != 0) {
		read_stat(pid, &p);
		read_status(pid, &p);
	}
	return p;
}

static void
add_text(struct buf *out, const char *key, const char *text)
{
	json_add_key(out, key);
	json_add_str(out, str_c(text), false);
	buf_add_byte(out, ',');
}

static void
add_number(struct buf *out, const char *key, uint64_t n)
{
	json_add_key(out, key);
	buf_add_u64_text(out, n);
	buf_add_byte(out, ',');
}

static void
add_bool(struct buf *out, const char *key, bool v)
{
	json_add_key(out, key);
	buf_add_c(out, v ? "true," : "false,");
}

/* The comma that the last member has left. */
static void
close_object(struct buf *out)
{
	if (out->n > 0 && out->p[out->n - 1] == ',')
		out->n--;
	buf_add_byte(out, '}');
}

/* What the kernel says of the process. */
static void
add_facts(struct buf *out, pid_t pid)
{
	struct proc_facts p = proc_facts_read(pid);

	json_add_key(out, "cpu_seconds");
	buf_printf(out, "%.2f,", p.cpu_seconds);
	add_number(out, "rss_bytes", p.rss_bytes);
	add_number(out, "shared_bytes", p.shared_bytes);
	add_number(out, "data_bytes", p.data_bytes);
	add_number(out, "uid", p.uid);
	add_number(out, "threads", p.threads);
	add_bool(out, "seccomp", p.seccomp == 2);
	add_bool(out, "no_new_privs", p.no_new_privs == 1);
	json_add_key(out, "capabilities");
	buf_printf(out, "\"%016" PRIx64 "\",", p.capabilities);
}

static const char *
state_name(const struct child *c)
{
	if (c->state == CHILD_UP && c->running)
		return "running";
	return c->state == CHILD_DOWN ? "down" : c->state == CHILD_BOOT ?
	    "boot" : c->state == CHILD_STOPPING ? "stopping" :
	    c->ready ? "ready" : "starting";
}

static void
add_child(struct buf *out, const struct child *c)
{
	int64_t up_ms = c->pid == 0 ? 0 :
	    mono_sub_ns(mono_now(), c->started) / 1000000;
	char name[32];

	buf_add_byte(out, '{');
	add_text(out, "name", child_name(c, name));
	add_text(out, "role", role_name(c->role));
	add_number(out, "instance", c->instance);
	add_number(out, "pid", (uint64_t)c->pid);
	add_text(out, "state", state_name(c));
	add_number(out, "uptime_ms", (uint64_t)up_ms);
	add_number(out, "restarts", c->restarts);
	add_text(out, "last_cause", c->last_cause);
	add_number(out, "generation", c->generation);
	add_number(out, "limit_bytes", c->memory_limit);
	add_facts(out, c->pid);
	/* what the worker itself reported when it was locked in */
	add_number(out, "landlock_abi", c->attached.landlock_abi);
	add_text(out, "missing", c->missing);
	close_object(out);
}

static void
add_self(struct buf *out, const struct supervisor *sup)
{
	json_add_key(out, "supervisor");
	buf_add_byte(out, '{');
	add_text(out, "name", role_name(ROLE_SUPERVISOR));
	add_number(out, "pid", (uint64_t)getpid());
	add_text(out, "state", "running");
	add_number(out, "uptime_ms", (uint64_t)(wall_now_ms() - sup->start_ms));
	add_number(out, "generation", sup->generation);
	add_facts(out, getpid());
	close_object(out);
	buf_add_byte(out, ',');
}

static void
add_memory(struct buf *out, const struct memory_plan *m)
{
	json_add_key(out, "memory");
	buf_add_byte(out, '{');
	add_number(out, "machine_bytes", m->machine_bytes);
	add_number(out, "cgroup_bytes", m->cgroup_bytes);
	add_number(out, "total_bytes", m->total_bytes);
	add_number(out, "head_bytes", m->head_bytes);
	add_number(out, "query_bytes", m->query_bytes);
	add_number(out, "eval_bytes", m->eval_bytes);
	add_number(out, "rest_bytes", m->rest_bytes);
	close_object(out);
	buf_add_byte(out, ',');
}

void
status_json(struct supervisor *sup, struct buf *out)
{
	buf_add_byte(out, '{');
	add_text(out, "version", BRAZIER_VERSION);
	add_bool(out, "ready", sup->phase == SUPER_RUNNING);
	add_bool(out, "stopping", sup->phase == SUPER_STOPPING);
	add_number(out, "start_ms", (uint64_t)sup->start_ms);
	add_number(out, "generation", sup->generation);
	add_bool(out, "reload_ok", sup->reload_ok);
	add_number(out, "reload_ms", (uint64_t)sup->reload_ms);
	add_text(out, "config_file", flags_str(sup->flags, FLAG_CONFIG_FILE));
	add_text(out, "user", sup->identity.name);
	add_number(out, "log_lines", sup->log_writer.lines);
	add_number(out, "log_lost", sup->log_writer.lost);
	add_memory(out, &sup->memory);
	add_self(out, sup);
	json_add_key(out, "workers");
	buf_add_byte(out, '[');
	for (size_t i = 0; i < sup->n_children; i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		add_child(out, &sup->children[i]);
	}
	buf_add_c(out, "]}");
}

/*
 * Open descriptors of a process. Since Linux 6.2 they are the size of its
 * directory in /proc, which anybody may ask for; before, only root can count
 * those of locked-in workers.
 */
static uint64_t
count_fds(pid_t pid)
{
	struct stat st;
	char path[64];
	uint64_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (pid == 0)
		return 0;
	if (stat(path, &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	if ((dir = opendir(path)) == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	n -= n < 2 ? n : 2;		/* "." and ".." */
	return n > 0 && pid == getpid() ? n - 1 : n;	/* the directory's own */
}

static void
set_value(struct supervisor *sup, enum metrics_family family, double v)
{
	metrics_set(metrics_get(sup->metrics, family, ""), v);
}

static void
update_limits(struct supervisor *sup)
{
	struct rlimit fds = { RLIM_INFINITY, RLIM_INFINITY }, as = fds;

	(void)getrlimit(RLIMIT_NOFILE, &fds);
	(void)getrlimit(RLIMIT_AS, &as);
	set_value(sup, METRIC_PROCESS_MAX_FDS, (double)fds.rlim_cur);
	set_value(sup, METRIC_PROCESS_VMAX, (double)as.rlim_cur);
}

void
status_update_metrics(struct supervisor *sup)
{
	struct proc_facts own = proc_facts_read(getpid());
	uint64_t rss = own.rss_bytes, size = own.virtual_bytes;
	uint64_t fds = count_fds(getpid());
	double cpu = own.cpu_seconds;
	char labels[96];

	for (size_t i = 0; i < sup->n_children; i++) {
		const struct child *c = &sup->children[i];
		struct proc_facts p = proc_facts_read(c->pid);

		cpu += p.cpu_seconds;
		rss += p.rss_bytes > p.shared_bytes ?
		    p.rss_bytes - p.shared_bytes : 0;
		/* The head is shared by all who map it; storage carries it. */
		if (c->role == ROLE_STORAGE)
			rss += p.shared_bytes;
		size += p.virtual_bytes;
		fds += count_fds(c->pid);
		snprintf(labels, sizeof(labels), "instance_nr=\"%u\",role=\"%s\"",
		    (unsigned)c->instance, role_name(c->role));
		metrics_set(metrics_get(sup->metrics, METRIC_WORKER_CPU, labels),
		    p.cpu_seconds);
		metrics_set(metrics_get(sup->metrics, METRIC_WORKER_UP, labels),
		    c->state == CHILD_UP);
	}
	set_value(sup, METRIC_PROCESS_CPU, cpu);
	set_value(sup, METRIC_PROCESS_RSS, (double)rss);
	set_value(sup, METRIC_PROCESS_VSIZE, (double)size);
	set_value(sup, METRIC_PROCESS_FDS, (double)fds);
	set_value(sup, METRIC_PROCESS_START, (double)sup->start_ms / 1000);
	set_value(sup, METRIC_LOG_LOST, (double)sup->log_writer.lost);
	update_limits(sup);
}
