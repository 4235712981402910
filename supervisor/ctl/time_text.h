/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CTL_TIME_TEXT_H
#define BRAZIER_SUPERVISOR_CTL_TIME_TEXT_H

#include "common/base/err.h"

/*
 * Seconds since the epoch from "1435781451.781" or RFC3339
 * ("2026-03-01T09:30:05Z", "…05.5+02:00").
 */
int	 time_text_parse(const char *text, double *seconds_out, struct err *err);

#endif
