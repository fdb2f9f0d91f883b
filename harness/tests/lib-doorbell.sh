# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-vtd.sh by declarations of runs with a doorbell, which is rung at
# each moment of an update: when lu_doorbell asks for it, and when a phase begins.
# The vectors are those of lu_doorbell.c.
leaves 'enable 1 -> 2$' 'a bridge is enabled for the function below, and by its port driver'
root_port rp0
doorbell 30 rp0
at shutdown 'doorbell 19'
at purgatory 'doorbell 20'
at early_boot 'doorbell 21'
at early_boot 'doorbell 28'
at enumeration 'doorbell 22'
at user_space 'doorbell 23'
at after 'doorbell 26'
program liveupdate/lu_doorbell
