/* SPDX-License-Identifier: ISC */

/* See identity.h. Order: groups, gid, uid on the way in; back reversed. */

#include "supervisor/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static int
find_own(struct identity *id, const char *user)
{
	const struct passwd *pw = getpwuid(geteuid());

	id->uid = geteuid();
	id->gid = getegid();
	if (pw != NULL)
		snprintf(id->name, sizeof(id->name), "%s", pw->pw_name);
	else
		snprintf(id->name, sizeof(id->name), "%u", (unsigned)id->uid);
	if (*user != '\0' && strcmp(user, id->name) != 0)
		log_warn("Not started as root, workers keep this user",
		    F_STR("user", id->name));
	return 0;
}

int
identity_find(struct identity *id, const char *user, struct err *err)
{
	const char *name = *user != '\0' ? user : SERVICE_USER_DEFAULT;
	const struct passwd *pw;

	memset(id, 0, sizeof(*id));
	if (geteuid() != 0)
		return find_own(id, user);
	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return err_set(err, ERR_NOT_FOUND, "no user %s: create it or name "
		    "another with --user", name);
	if (pw->pw_uid == 0)
		return err_set(err, ERR_BAD_DATA, "--user=%s: workers never run "
		    "as root", name);
	id->switches = true;
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	snprintf(id->name, sizeof(id->name), "%s", pw->pw_name);
	id->n_groups = SERVICE_GROUPS_MAX;
	if (getgrouplist(name, id->gid, id->groups, &id->n_groups) == -1)
		return err_set(err, ERR_LIMIT, "user %s is in more than %d groups",
		    name, SERVICE_GROUPS_MAX);
	id->n_own_groups = getgroups(SERVICE_GROUPS_MAX, id->own_groups);
	if (id->n_own_groups == -1)
		return err_set_os(err, "reading our groups");
	return 0;
}

int
identity_enter(const struct identity *id, struct err *err)
{
	if (!id->switches)
		return 0;
	if (setgroups((size_t)id->n_groups, id->groups) == -1 ||
	    setegid(id->gid) == -1 || seteuid(id->uid) == -1) {
		err_set_os(err, "taking the identity of %s", id->name);
		identity_leave(id);
		return -1;
	}
	return 0;
}

void
identity_leave(const struct identity *id)
{
	if (!id->switches)
		return;
	if (seteuid(0) == -1 || setegid(0) == -1 ||
	    setgroups((size_t)id->n_own_groups, id->own_groups) == -1)
		fatal("returning from the identity of %s: %s", id->name,
		    strerror(errno));
}
