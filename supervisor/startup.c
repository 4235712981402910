/* SPDX-License-Identifier: ISC */

/*
 * The start, in the reference's order: first configuration (loaded, not yet
 * in force) → banner → listeners → data directory → workers → storage ready
 * → first configuration in force → RUN → ready.
 */

#include <sys/resource.h>
#include <sys/utsname.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "common/sandbox/sandbox.h"
#include "ipc/memfd.h"
#include "supervisor/kernel_log.h"
#include "supervisor/supervisor.h"

void
startup_fail(struct supervisor *sup, int exit_code, const struct err *err)
{
	log_error("Fatal error", F_ERR(err));
	if (sup->exit_code == 0)
		sup->exit_code = exit_code;
	stop_begin(sup, NULL);
}

/* --- the banner --- */

static void
limit_text(int resource, char out[80])
{
	char soft[32] = "unlimited", hard[32] = "unlimited";
	struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };

	(void)getrlimit(resource, &l);
	if (l.rlim_cur != RLIM_INFINITY)
		snprintf(soft, sizeof(soft), "%llu",
		    (unsigned long long)l.rlim_cur);
	if (l.rlim_max != RLIM_INFINITY)
		snprintf(hard, sizeof(hard), "%llu",
		    (unsigned long long)l.rlim_max);
	snprintf(out, 80, "(soft=%s, hard=%s)", soft, hard);
}

static void
log_banner(const struct supervisor *sup)
{
	char fds[80], vm[80], host[512] = "unknown";
	struct utsname u;

	if (uname(&u) == 0)
		snprintf(host, sizeof(host), "(%s %s %s %s %s)", u.sysname,
		    u.release, u.version, u.machine, u.nodename);
	limit_text(RLIMIT_NOFILE, fds);
	limit_text(RLIMIT_AS, vm);
	log_info("Starting Brazier", F_STR("mode", "server"),
	    F_STR("version", "(version=" BRAZIER_VERSION ")"));
	log_info("operational information",
	    F_STR("build_context", "(cc=" __VERSION__ ")"),
	    F_STR("host_details", host), F_STR("fd_limits", fds),
	    F_STR("vm_limits", vm));
	log_info("Memory is divided",
	    F_UINT("total_bytes", sup->memory.total_bytes),
	    F_UINT("head_bytes", sup->memory.head_bytes),
	    F_UINT("query_bytes", sup->memory.query_bytes),
	    F_UINT("eval_bytes", sup->memory.eval_bytes),
	    F_UINT("rest_bytes", sup->memory.rest_bytes));
}

/* --- data directory --- */

static int
open_data(struct supervisor *sup, struct err *err)
{
	const char *path = flags_str(sup->flags, FLAG_TSDB_PATH), *type;
	struct err e = ERR_INIT;
	char unknown[32];

	log_info("Starting TSDB ...");
	if (flags_check_storage(sup->flags, err) == -1)
		return -1;
	if (dirlock_open(&sup->dirlock, path,
	    !flags_bool(sup->flags, FLAG_TSDB_NO_LOCKFILE), &sup->identity,
	    &e) == -1) {
		*err = e;
		return err_wrap(err, "opening storage failed");
	}
	type = dirlock_fs_type(&sup->dirlock, unknown);
	if (strcmp(type, "NFS_SUPER_MAGIC") == 0)
		log_warn("This filesystem is not supported and may lead to data "
		    "corruption and data loss. Please carefully read "
		    "https://prometheus.io/docs/prometheus/latest/storage/ to "
		    "learn more about supported filesystems.",
		    F_STR("fs_type", type));
	else
		log_info("filesystem information", F_STR("fs_type", type));
	return 0;
}

/* --- steps --- */

static const char cors_error[] = "could not compile CORS regex string";

static void
first_load_done_cb(void *arg, const struct err *load_err, unsigned exit_code)
{
	struct supervisor *sup = arg;
	struct err err = ERR_INIT;
	char cwd_file[8192];

	if (sup->phase == SUPER_STOPPING)
		return;
	if (load_err != NULL) {
		const char *file = flags_str(sup->flags, FLAG_CONFIG_FILE);

		sup->exit_code = exit_code == 0 ? 2 : (int)exit_code;
		if (strncmp(load_err->text, cors_error, strlen(cors_error)) == 0) {
			/* A flag's error: plain, as those before the log. */
			dprintf(STDERR_FILENO, "%s\n", load_err->text);
			stop_begin(sup, NULL);
			return;
		}
		snprintf(cwd_file, sizeof(cwd_file), "%s%s%s",
		    file[0] == '/' ? "" : sup->cwd, file[0] == '/' ? "" : "/",
		    file);
		log_error("Error loading config", F_STR("config_file", file),
		    F_STR("file", cwd_file), F_ERR(load_err));
		stop_begin(sup, NULL);
		return;
	}
	log_banner(sup);
	if (listeners_open(&sup->listeners, sup->flags, &err) == -1) {
		log_error("Unable to start web listener", F_ERR(&err));
		sup->exit_code = 1;
		stop_begin(sup, NULL);
		return;
	}
	if (*flags_str(sup->flags, FLAG_WEB_CONFIG_FILE) != '\0') {
		/* To serve without the TLS and the passwords that it asks for
		 * would be worse than not to serve. */
		log_error("Unable to validate web configuration file",
		    F_STR("file", flags_str(sup->flags, FLAG_WEB_CONFIG_FILE)),
		    F_STR("err", "TLS, passwords and headers are not in this "
		    "release"));
		sup->exit_code = 1;
		stop_begin(sup, NULL);
		return;
	}
	if (open_data(sup, &err) == -1) {
		startup_fail(sup, 1, &err);
		return;
	}
	queries_active_open(sup);
	if ((sup->control = control_open(sup, &err)) == NULL)
		log_error("No control socket, brazierctl cannot reach this server",
		    F_ERR(&err));
	FAULT_POINT("start.loaded");
	sup->phase = SUPER_STARTING;
	for (size_t i = 0; i < sup->n_children; i++)
		child_start(&sup->children[i]);
}

static void
first_commit_done_cb(void *arg, const struct err *commit_err,
    unsigned exit_code)
{
	struct supervisor *sup = arg;
	struct err err = ERR_INIT;

	(void)exit_code;
	if (sup->phase == SUPER_STOPPING)
		return;
	if (commit_err != NULL && commit_err->kind == ERR_UNAVAILABLE) {
		/* A worker ended meanwhile; again, when all are up. */
		log_warn("Start is held up", F_ERR(commit_err));
		sup->last_generation++;
		sup->phase = SUPER_STARTING;
		return;
	}
	if (commit_err != NULL) {
		err = *commit_err;
		err_wrap(&err, "error loading config from \"%s\"",
		    flags_str(sup->flags, FLAG_CONFIG_FILE));
		startup_fail(sup, 1, &err);
		return;
	}
	FAULT_POINT("start.committed");
	sup->phase = SUPER_RUNNING;
	for (size_t i = 0; i < sup->n_children; i++)
		if (sup->children[i].generation == sup->generation)
			child_run(&sup->children[i]);
	metrics_set(metrics_get(sup->metrics, METRIC_READY, ""), 1);
	status_update_metrics(sup);
	log_info("Server is ready to receive web requests.");
	FAULT_POINT("start.ready");
	peers_send_server_state(sup);
}

void
startup_check(struct supervisor *sup)
{
	if (sup->phase != SUPER_STARTING)
		return;
	for (size_t i = 0; i < sup->n_children; i++) {
		const struct child *c = &sup->children[i];

		if (c->state != CHILD_UP ||
		    (role_policies[c->role].waits_ready && !c->ready))
			return;
	}
	sup->phase = SUPER_COMMITTING;
	reload_commit_initial(sup, first_commit_done_cb, sup);
}

/* --- before the loop --- */

static void
signal_cb(evutil_socket_t number, short what, void *arg)
{
	struct supervisor *sup = arg;

	(void)what;
	switch (number) {
	case SIGCHLD:
		children_reap(sup);
		break;
	case SIGHUP:
		reload_on_signal(sup);
		break;
	case SIGINT:
		stop_begin(sup, "interrupt");
		break;
	case SIGTERM:
		stop_begin(sup, "terminated");
		break;
	}
}

static int
open_signals(struct supervisor *sup, struct err *err)
{
	static const int numbers[] = { SIGCHLD, SIGHUP, SIGINT, SIGTERM };

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sup->signals[i] = evsignal_new(sup->base, numbers[i], signal_cb,
		    sup);
		if (sup->signals[i] == NULL || event_add(sup->signals[i],
		    NULL) == -1)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

/* As Go programs do: web and scrape need a descriptor for each connection. */
static void
raise_descriptor_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int
open_metrics(struct supervisor *sup, struct err *err)
{
	int fd = memfd_shared("metrics", METRICS_REGION_BYTES, err);

	if (fd == -1)
		return -1;
	if ((sup->metrics_fd = memfd_readonly(fd, err)) == -1 ||
	    (sup->metrics = metrics_open(fd, err)) == NULL)
		return -1;
	/* As the reference: no alert about a reload while the WAL is read. */
	metrics_set(metrics_get(sup->metrics, METRIC_RELOAD_OK, ""), 1);
	metrics_set(metrics_get(sup->metrics, METRIC_RELOAD_TIME, ""),
	    (double)sup->start_ms / 1000);
	metrics_set(metrics_get(sup->metrics, METRIC_READY, ""), 0);
	metrics_set(metrics_get(sup->metrics, METRIC_BUILD_INFO, "branch=\"main\""
	    ",goarch=\"amd64\",goos=\"linux\",goversion=\"none\",revision=\""
	    BRAZIER_VERSION "\",tags=\"\",version=\"" BRAZIER_VERSION "\""), 1);
	return 0;
}

int
supervisor_start(struct supervisor *sup)
{
	struct err err = ERR_INIT;

	sup->start_ms = wall_now_ms();
	sup->reload_ms = sup->start_ms;
	sup->reload_ok = true;
	sup->exit_code = 1;
	sup->kernel_log = kernel_log_open();
	sup->dirlock.dir_fd = sup->dirlock.lock_fd = -1;
	sup->queries_active_fd = -1;
	for (int i = 0; i < ROLE_COUNT; i++)
		sup->blobs[i] = sup->launcher.fds[i] = -1;
	(void)gethostname(sup->hostname, sizeof(sup->hostname) - 1);
	if (getcwd(sup->cwd, sizeof(sup->cwd)) == NULL)
		snprintf(sup->cwd, sizeof(sup->cwd), "/");
	raise_descriptor_limit();
	memory_plan_make(&sup->memory, sup->flags);
	if (identity_find(&sup->identity, flags_str(sup->flags, FLAG_USER),
	    &err) == -1 || launcher_open(&sup->launcher, &err) == -1)
		goto fail;
	if ((sup->base = event_base_new()) == NULL) {
		err_set(&err, ERR_INTERNAL, "no event loop");
		goto fail;
	}
	if (open_signals(sup, &err) == -1 || open_metrics(sup, &err) == -1 ||
	    children_new(sup, &err) == -1)
		goto fail;
	sup->broker = broker_state_new(sup);
	sup->auto_reload = auto_reload_new(sup);
	sup->watchdog = watchdog_new(sup);
	sup->resolver_files = resolver_files_new(sup);
	if (sandbox_supervisor(&err) == -1)
		goto fail;
	sup->exit_code = 0;
	reload_load_initial(sup, first_load_done_cb, sup);
	return 0;
fail:
	log_error("Fatal error", F_ERR(&err));
	return -1;
}

void
supervisor_free(struct supervisor *sup)
{
	reload_cancel_all(sup, "the server has stopped");
	control_close(sup->control);
	children_free(sup);
	broker_state_free(sup->broker);
	auto_reload_free(sup->auto_reload);
	watchdog_free(sup->watchdog);
	resolver_files_free(sup->resolver_files);
	listeners_close(&sup->listeners);
	if (sup->queries_active_fd != -1)
		close(sup->queries_active_fd);
	dirlock_close(&sup->dirlock);
	log_files_clear(&sup->log_files);
	for (int i = 0; i < ROLE_COUNT; i++)
		if (sup->blobs[i] != -1)
			close(sup->blobs[i]);
	for (size_t i = 0; i < sizeof(sup->signals) / sizeof(sup->signals[0]); i++)
		if (sup->signals[i] != NULL)
			event_free(sup->signals[i]);
	if (sup->metrics != NULL)
		metrics_close(sup->metrics);
	if (sup->base != NULL)
		event_base_free(sup->base);
	launcher_close(&sup->launcher);
	if (sup->kernel_log != -1)
		close(sup->kernel_log);
}
