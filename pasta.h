/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta: create or join the target namespace, run the command, see its end */
#ifndef PASTA_H
#define PASTA_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "netns.h"
#include "nl.h"

struct guest;

/* Filled by conf */
struct pasta_opts {
	char **argv;        /* command to run, NULL: shell; with @spawn */
	bool spawn;         /* command or shell in a new namespace */
	pid_t pid;          /* positional PID, 0: none */
	const char *netns;  /* --netns as given, NULL: none */
	const char *userns; /* --userns */
	bool netns_only;    /* --netns-only, or --netns without --userns */
	bool no_userns;     /* --netns-only: not even if it takes one */
	bool no_netns_quit; /* --no-netns-quit */
	bool no_pidns;      /* --no-pidns */
	bool config_net;    /* --config-net */
	bool no_copy_routes, no_copy_addrs;
	bool mask4; /* --netmask: no addresses as the template has them */
	char ifname[IFNAMSIZ]; /* --ns-ifname */
	uint8_t ns_mac[6];     /* --ns-mac-addr, zero: the kernel's choice */
	const char *hostname;  /* --hostname */
	unsigned ifi4, ifi6;   /* template interfaces on the host, 0: none */
	unsigned mtu;
};

/**
 * struct pasta - Target of this instance
 * @opts, @loop, @netns: Collaborators, set by the caller before pasta_target()
 * @userns:	User namespace for isolation_user(): descriptor, owned by that,
 *		or one of ISOLATION_USERNS_*
 * @child:	PID of the command's init process, or with --no-pidns of the
 *		command; 0: none
 * @pidfd:	Of the target process, -1: none or not supported
 * @procdir:	/proc/PID of the target process, -1: none, or done with
 * @mounts:	mountinfo of the namespace we were started in, or -1
 * @dir:	Directory of the namespace path, or -1; not of /proc/PID/ns
 * @name:	Name of the namespace in it
 * @go:		Writing to it lets the command run
 * @nl:		Netlink socket in the namespace, from pasta_tap() to
 *		pasta_configure()
 * @poll:	Next look at a target nothing tells us about; end of the time a
 *		command has to follow SIGTERM
 * @ending:	We were asked to end, the command with us
 * @gone:	The target, or the command, has gone before us
 * @tty:	Descriptor of the terminal whose foreground we started in, or -1
 * @pgrp:	Our process group
 * @ns_dev, @ns_ino: Which the network namespace is; 0: unknown
 */
struct pasta {
	const struct pasta_opts *opts;
	struct loop *loop;
	struct netns *netns;
	int userns;
	pid_t child;
	int pidfd, procdir;
	int mounts, dir;
	char name[NAME_MAX + 1];
	int go;
	struct nl_sock nl;
	struct wtimer poll;
	bool ending, gone;
	int tty;
	pid_t pgrp;
	dev_t ns_dev;
	ino_t ns_ino;
};

/**
 * pasta_target() - Find the target, open what leads to it
 * @p:		Pasta: @opts, @loop, @netns filled by the caller
 *
 * Opens, for a process or a path, descriptors of both namespaces and of what
 * tells of their end. To be called before isolation_user(), which is to be
 * given @p->userns.
 *
 * Return: 0, or -errno after a message
 */
int pasta_target(struct pasta *p);

/**
 * pasta_open() - Have the target namespace: make it, or enter the one found
 * @p:		Pasta, from pasta_target(), isolation_user() done
 *
 * With a command: forks it into new network, mount, UTS, IPC and PID
 * namespaces, where it waits for pasta_go(). Checks that one that was there can
 * be entered. From here on netns_call() works.
 *
 * Return: 0, or -errno after a message
 */
int pasta_open(struct pasta *p);

/**
 * pasta_tap() - Create the tap device in the namespace, one that with
 *		 --config-net takes no address from router advertisements
 * @p:		Pasta, from pasta_open()
 * @ifname:	Filled with the name, IFNAMSIZ bytes
 * @vnet_hdr:	Filled, see tap_tun_open()
 *
 * Return: descriptor for tap_tun_init(), or -errno after a message
 */
int pasta_tap(struct pasta *p, char *ifname, bool *vnet_hdr);

/**
 * pasta_configure() - lo up; with --config-net: addresses, routes, MTU, link up
 * @p:		Pasta, from pasta_open()
 * @guest:	Addresses assigned
 * @ifname:	Tap device in the namespace, empty: none
 *
 * Return: 0, or -errno after a message
 */
int pasta_configure(struct pasta *p, const struct guest *guest,
		    const char *ifname);

/**
 * pasta_watch() - Notice the end of the target
 * @p:		Pasta, from pasta_open()
 *
 * Before the system call filter: all that tells of the target is asked for.
 *
 * Return: 0, or -errno after a message
 */
int pasta_watch(struct pasta *p);

/**
 * pasta_go() - Everything is ready: let the command run
 * @p:		Pasta
 */
void pasta_go(struct pasta *p);

/* Handler of the loop: EPOLL_NETNS */
void pasta_netns_event(void *ctx, union epoll_ref ref, uint32_t events);

/**
 * pasta_timer() - A timer of the wheel is due
 * @p:		Pasta
 * @t:		Timer
 *
 * Return: true if it was ours
 */
bool pasta_timer(struct pasta *p, struct wtimer *t);

/**
 * pasta_sigchld() - A child ended: quit with its status if it is the command
 * @p:		Pasta
 */
void pasta_sigchld(struct pasta *p);

/**
 * pasta_signal() - A signal that usually ends a process arrived
 * @p:		Pasta
 * @sig:	SIGTERM, SIGQUIT, SIGINT, SIGHUP
 * @from_tty:	The terminal sent it (si_code SI_KERNEL): the command has got it
 *
 * Without a command, quits with 0. With one, a key at the terminal is the
 * command's business; anything else ends the command, then us, with 0.
 */
void pasta_signal(struct pasta *p, int sig, bool from_tty);

#endif /* PASTA_H */
