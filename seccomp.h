/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System call filter: the theory stands in seccomp.c, the rules in seccomp.sh */
#ifndef SECCOMP_H
#define SECCOMP_H

#include <stdbool.h>

/**
 * seccomp_check() - Can this kernel filter system calls?
 *
 * Return: 0, -ENOSYS if it cannot, -EOPNOTSUPP if this build does not want to
 */
int seccomp_check(void);

/**
 * seccomp_install() - From now on, only the system calls of a mode
 * @pasta:	Those of pasta, not of passt
 *
 * For all threads there are. Needs PR_SET_NO_NEW_PRIVS. Whoever tries another
 * call is ended by SIGSYS, after a message unless built with SECCOMP=kill.
 *
 * Return: 0, also if this build has no filter, or -errno of seccomp(2)
 */
int seccomp_install(bool pasta);

#endif /* SECCOMP_H */
