/* SPDX-License-Identifier: ISC */
/* Names of roles. */
#include "common/base/role.h"

static const char *const names[ROLE_COUNT] = {
#define X(id, name, what) [ROLE_##id] = name,
	ROLES(X)
#undef X
};

const char *
role_name(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? names[role] : "?";
}

enum role
role_by_name(struct str name)
{
	unsigned r;

	for (r = 0; r < ROLE_COUNT; r++)
		if (str_eq_c(name, names[r]))
			break;
	return (enum role)r;
}
