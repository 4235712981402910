/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_IDENTITY_H
#define BRAZIER_SUPERVISOR_IDENTITY_H

/*
 * Who the workers are, and acting as them for a moment. As root the
 * supervisor stays root and switches its effective ids around every file
 * that it opens for somebody; as an ordinary user there is nobody to be but
 * oneself.
 */

#include <sys/types.h>

#include <stdbool.h>

#include "common/base/err.h"

#define SERVICE_USER_DEFAULT	"_brazier"
#define SERVICE_GROUPS_MAX	64

struct identity {
	bool	 switches;		/* we are root: workers change user */
	char	 name[64];
	uid_t	 uid;
	gid_t	 gid;
	gid_t	 groups[SERVICE_GROUPS_MAX];
	int	 n_groups;
	/* our own, to come back to */
	gid_t	 own_groups[SERVICE_GROUPS_MAX];
	int	 n_own_groups;
};

/*
 * user  name from --user, "" = _brazier. Ignored with a warning when we are
 * not root and it is not us. Fails when we are root and there is no such
 * user, or it is root itself.
 */
int	 identity_find(struct identity *id, const char *user, struct err *err);

/*
 * Effective ids and groups of the service user; identity_leave comes back.
 * Both do nothing without root. identity_leave ends the process when the
 * kernel refuses: going on with the wrong rights is worse.
 */
int	 identity_enter(const struct identity *id, struct err *err);
void	 identity_leave(const struct identity *id);

#endif
