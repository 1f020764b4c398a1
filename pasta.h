/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pasta: create or join the target namespace, run the command, see its end */
#ifndef PASTA_H
#define PASTA_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "netns.h"

struct guest;

/* Filled by conf */
struct pasta_opts {
	char **argv;	    /* command to run, NULL: shell; with @spawn */
	bool spawn;	    /* command or shell in a new namespace */
	pid_t pid;	    /* positional PID, 0: none */
	const char *netns;  /* --netns as given, NULL: none */
	const char *userns; /* --userns */
	bool netns_only;    /* --netns-only */
	bool no_netns_quit; /* --no-netns-quit */
	bool no_pidns;	    /* --no-pidns */
	bool config_net;    /* --config-net */
	bool no_copy_routes, no_copy_addrs;
	char ifname[IFNAMSIZ]; /* --ns-ifname */
	uint8_t ns_mac[6];     /* --ns-mac-addr, zero: the kernel's choice */
	const char *hostname;  /* --hostname */
	unsigned ifi4, ifi6;   /* template interfaces on the host, 0: none */
	unsigned mtu;
};

/**
 * struct pasta - Target of this instance
 * @child:	PID of the command run by us, 0: none
 * @pidfd:	Of the target process, -1: none or not supported
 * @watch:	inotify descriptor on the directory of a namespace path, or -1
 * @go:		Writing to it lets the command run
 */
struct pasta {
	const struct pasta_opts *opts;
	struct loop *loop;
	struct netns *netns;
	pid_t child;
	int pidfd;
	int watch;
	int go;
	struct wtimer poll;
	int status;
};

/**
 * pasta_open() - Open or create the namespaces
 * @p:		Pasta: @opts, @loop, @netns filled by the caller
 *
 * With a command: forks it into new user, network, mount, UTS, IPC and PID
 * namespaces, where it waits for pasta_go(). Fills @p->netns->fd.
 *
 * Return: 0, or -errno after a message
 */
int pasta_open(struct pasta *p);

/**
 * pasta_configure() - lo up; with --config-net: addresses, routes, MTU, link up
 * @p:		Pasta
 * @guest:	Addresses assigned
 * @ifname:	Tap device in the namespace
 *
 * Return: 0, or -errno after a message
 */
int pasta_configure(struct pasta *p, const struct guest *guest,
		    const char *ifname);

/**
 * pasta_watch() - Notice the end of the target
 * @p:		Pasta
 *
 * Return: 0, or -errno
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
 * pasta_sigchld() - A child ended: quit with its status if it is the command
 * @p:		Pasta
 */
void pasta_sigchld(struct pasta *p);

#endif /* PASTA_H */
