/* SPDX-License-Identifier: ISC */

/*
 * The log files that a configuration names. They are the only ones the broker
 * opens for writing: a worker that was taken over must not append to whatever
 * else the service's user may write.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "supervisor/supervisor.h"

void
log_files_clear(struct log_files *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->path[i]);
	free(l->path);
	*l = (struct log_files){ 0 };
}

void
log_files_read(struct log_files *l, struct wire_reader *r)
{
	uint32_t n = wire_get_count(r, 4);

	log_files_clear(l);
	l->path = xcalloc(n + 1UL, sizeof(*l->path));
	while (n-- > 0) {
		struct str path = wire_get_str(r);

		if ((l->path[l->n] = str_dup(path)) == NULL)
			fatal("out of memory");
		l->n++;
	}
}

bool
log_files_have(const struct log_files *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->path[i], path) == 0)
			return true;
	return false;
}
