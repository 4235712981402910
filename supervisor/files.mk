# SPDX-License-Identifier: ISC
PROGS += brazierd
brazierd_DIR := supervisor
brazierd_NEEDS := base
