# SPDX-License-Identifier: ISC
PROGS += brazierd
brazierd_DIR := supervisor
brazierd_NEEDS := ipc sandbox metrics base
brazierd_PKGS := libevent_core
