# SPDX-License-Identifier: ISC
PROGS += brazierctl
brazierctl_DIR := supervisor/ctl
brazierctl_NEEDS := ipc config promql base
brazierctl_PKGS := libevent_core jansson libcurl
