# SPDX-License-Identifier: ISC
PROGS += brazierctl
brazierctl_DIR := supervisor/ctl
brazierctl_NEEDS := ipc configfile promql base
brazierctl_PKGS := libevent_core jansson libcurl
