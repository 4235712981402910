/* SPDX-License-Identifier: ISC */

/* See memory.h. */

#include "supervisor/memory.h"

#include <sys/sysinfo.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below this nothing works; a smaller limit is taken for a mistake. */
#define MEMORY_MIN_BYTES	(64ULL << 20)
#define HEAD_PERCENT		50
#define QUERY_PERCENT		25
#define EVAL_PERCENT		5

static uint64_t
read_limit(const char *path)
{
	char line[64];
	FILE *fp = fopen(path, "re");
	uint64_t v = 0;

	if (fp == NULL)
		return 0;
	if (fgets(line, sizeof(line), fp) != NULL && line[0] >= '0' &&
	    line[0] <= '9')
		v = strtoull(line, NULL, 10);
	fclose(fp);
	/* Version 1 writes "no limit" as a number near 2^63. */
	return v >= (1ULL << 60) ? 0 : v;
}

static uint64_t
smaller_limit(uint64_t a, uint64_t b)
{
	return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

/* Walks from the group up to the root. */
static uint64_t
group_limit(const char *root, const char *prefix, const char *group,
    const char *file)
{
	char path[1024], name[1024];
	uint64_t limit = 0;
	size_t n;

	snprintf(path, sizeof(path), "%s", group);
	for (;;) {
		n = (size_t)snprintf(name, sizeof(name), "%s%s%s/%s", root, prefix,
		    strcmp(path, "/") == 0 ? "" : path, file);
		if (n < sizeof(name))
			limit = smaller_limit(limit, read_limit(name));
		if (strrchr(path, '/') == NULL || strcmp(path, "/") == 0 ||
		    path[0] == '\0')
			return limit;
		*strrchr(path, '/') = '\0';
	}
}

uint64_t
memory_cgroup_limit(const char *root, const char *membership)
{
	uint64_t limit = 0;

	for (const char *line = membership; *line != '\0'; ) {
		size_t n = strcspn(line, "\n");
		char one[1024], *controllers, *group;

		snprintf(one, sizeof(one), "%.*s", (int)n, line);
		line += n + (line[n] == '\n');
		if ((controllers = strchr(one, ':')) == NULL ||
		    (group = strchr(controllers + 1, ':')) == NULL)
			continue;
		*group++ = '\0';
		controllers++;
		if (*controllers == '\0')
			limit = smaller_limit(limit, group_limit(root, "", group,
			    "memory.max"));
		else if (strcmp(controllers, "memory") == 0)
			limit = smaller_limit(limit, group_limit(root, "/memory",
			    group, "memory.limit_in_bytes"));
	}
	return limit;
}

static uint64_t
own_cgroup_limit(void)
{
	char text[4096];
	FILE *fp = fopen("/proc/self/cgroup", "re");
	size_t n;

	if (fp == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, fp);
	fclose(fp);
	text[n] = '\0';
	return memory_cgroup_limit("/sys/fs/cgroup", text);
}

static uint64_t
part(const struct flags *f, enum flag_id id, uint64_t total, int percent)
{
	if (flags_int(f, id) > 0)
		return (uint64_t)flags_int(f, id);
	return total / 100 * (unsigned)percent;
}

void
memory_plan_make(struct memory_plan *m, const struct flags *f)
{
	struct sysinfo si;
	uint64_t used;

	memset(m, 0, sizeof(*m));
	if (sysinfo(&si) == 0)
		m->machine_bytes = (uint64_t)si.totalram * si.mem_unit;
	m->cgroup_bytes = own_cgroup_limit();
	m->total_bytes = m->machine_bytes;
	if (flags_bool(f, FLAG_AUTO_GOMEMLIMIT) && m->cgroup_bytes != 0 &&
	    m->cgroup_bytes < m->total_bytes)
		m->total_bytes = m->cgroup_bytes;
	/* The reference's share is of a heap; given explicitly, it is ours too. */
	if (flags_is_set(f, FLAG_AUTO_GOMEMLIMIT_RATIO))
		m->total_bytes = (uint64_t)((double)m->total_bytes *
		    f->v[FLAG_AUTO_GOMEMLIMIT_RATIO].f);
	if (flags_int(f, FLAG_MEMORY_MAX) > 0)
		m->total_bytes = (uint64_t)flags_int(f, FLAG_MEMORY_MAX);
	if (m->total_bytes < MEMORY_MIN_BYTES)
		m->total_bytes = MEMORY_MIN_BYTES;
	m->head_bytes = part(f, FLAG_HEAD_MAX, m->total_bytes, HEAD_PERCENT);
	m->query_bytes = part(f, FLAG_QUERY_POOL_MAX, m->total_bytes,
	    QUERY_PERCENT);
	m->eval_bytes = part(f, FLAG_EVAL_POOL_MAX, m->total_bytes, EVAL_PERCENT);
	used = m->head_bytes + m->query_bytes + m->eval_bytes;
	m->rest_bytes = used < m->total_bytes ? m->total_bytes - used : 0;
	if (m->rest_bytes < m->total_bytes / 10)
		m->rest_bytes = m->total_bytes / 10;
}
