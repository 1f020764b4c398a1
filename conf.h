/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command line and host state to the options of every module */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>

#include "dhcp.h"
#include "fwd.h"
#include "guest.h"
#include "isolation.h"
#include "lib/log.h"
#include "ndp.h"
#include "pasta.h"
#include "tap.h"

enum conf_mode { MODE_PASST, MODE_PASTA };

/**
 * struct conf - All options, const once conf_derive() is done
 *
 * Included by passt.c alone: modules are handed their part of it.
 */
struct conf {
	enum conf_mode mode;
	struct log_opts log;
	struct tap_stream_opts stream;
	struct pasta_opts pasta;
	struct isolation_opts isolation;
	struct fwd_opts fwd;
	struct ndp_opts ndp;
	struct dhcp_opts dhcp;
	struct guest guest;
	bool no_tcp, no_udp, no_icmp, no_dhcp, no_dhcpv6;
	bool foreground;
	const char *pcap, *pid_file;
	unsigned stats; /* seconds between tables, 0: none */
	/* as given, until conf_derive() */
	unsigned mtu;
	bool mtu_set;
};

/**
 * conf_early() - What isolation_initial() must know: mode, --fd
 * @conf:	Zeroed and filled with defaults
 * @argc, @argv: Of main()
 *
 * Exits with a message if argv[0] names no mode.
 */
void conf_early(struct conf *conf, int argc, char **argv);

/**
 * conf_parse() - Parse the command line
 * @conf:	From conf_early()
 * @argc, @argv: Of main(); strings are borrowed for ever
 *
 * Prints help or version and exits with 0; wrong input: one line and exit 1.
 */
void conf_parse(struct conf *conf, int argc, char **argv);

/**
 * conf_derive() - Fill from the host what the command line left open
 * @conf:	Parsed
 *
 * Template interfaces, addresses, gateway, nameservers, translations. Exits
 * with a message if that contradicts the command line.
 */
void conf_derive(struct conf *conf);

/**
 * conf_print() - The summary at start, information level
 * @conf:	Complete
 */
void conf_print(const struct conf *conf);

#endif /* CONF_H */
