/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_WEB_SETTINGS_H
#define BRAZIER_WORKERS_WEB_SETTINGS_H

#include "workers/web/web.h"

/* Fills web->set and web->server_conf from flags; -1: a bad CORS regex. */
int	 web_settings_read(struct web *web, struct err *err);

#endif
