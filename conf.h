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

/* Rules at most in one direction: none can come from fewer options */
#define CONF_PORTS_MAX FWD_RULES_MAX

/**
 * struct conf_ports - A port option, kept until the families are known
 * @letter:	't', 'u', 'T', 'U'
 * @spec:	Its value
 */
struct conf_ports {
	char letter;
	const char *spec;
};

/**
 * struct conf_given - The command line as far as no module has a place for it
 * @v4_only, @v6_only: -4, -6
 * @ifname:	--interface, NULL: none
 * @runas:	--runas, NULL: none
 * @len4, @mask4: Prefix lengths of --address and --netmask, -1: none
 * @gw4, @gw6:	--gateway was given
 * @no_map_gw:	The gateway is no default for --map-host-loopback
 * @dns, @no_dns: --dns with an address, --dns none
 * @search:	--search in any form
 * @log_size:	--log-size was given
 * @mtu:	--mtu, bytes; -1: none
 * @nports:	Port options in the order given
 */
struct conf_given {
	bool v4_only, v6_only;
	const char *ifname;
	const char *runas;
	int len4, mask4;
	bool gw4, gw6;
	bool no_map_gw;
	bool dns, no_dns, search;
	bool log_size;
	long mtu;
	unsigned nports;
	struct conf_ports ports[CONF_PORTS_MAX];
};

/**
 * struct conf_why - Where what the guest gets of a family comes from, as text
 * @ifname:	Template interface, NULL: none
 * @addr:	Address
 * @gw:		Gateway
 */
struct conf_why {
	const char *ifname, *addr, *gw;
};

/**
 * struct conf - All options, const once conf_derive() is done
 * @name:	Base name of argv[0]
 * @ready_fd:	--ready-fd: "1\n" goes there when all is set up, -1: none
 * @exit_fd:	--exit-fd: we quit when its other end is closed, -1: none
 * @ipv6:	The kernel has IPv6
 * @local4, @local6: Link-local configuration: the host has no such network
 * @if4, @if6:	Names of the template interfaces, empty: none
 * @why4, @why6, @why_dns: For conf_print()
 * @given:	Of conf's own use
 *
 * Included by passt.c alone: modules are handed their part of it.
 */
struct conf {
	enum conf_mode mode;
	const char *name;
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
	bool stats_json;
	int ready_fd, exit_fd;
	bool ipv6;
	bool local4, local6;
	char if4[IFNAMSIZ], if6[IFNAMSIZ];
	struct conf_why why4, why6;
	const char *why_dns;
	struct conf_given given;
};

/**
 * conf_early() - What isolation_initial() must know: mode, --fd
 * @conf:	Zeroed and filled with defaults
 * @argc, @argv: Of main()
 *
 * @conf->stream.fd, @conf->ready_fd and @conf->exit_fd are final after this: the
 * caller may move the descriptors, and must keep them open.
 *
 * Exits with a message if argv[0] names no mode or one of them is no descriptor.
 */
void conf_early(struct conf *conf, int argc, char **argv);

/**
 * conf_parse() - Parse the command line
 * @conf:	From conf_early()
 * @argc, @argv: Of main(); strings are borrowed for ever, @argv is not changed
 *
 * Prints help or version and exits with 0; wrong input: one line and exit 1.
 * Sets the log level, but opens neither log nor any other file.
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
 * @fwd:	Forwarding: what listens for its rules
 *
 * What was chosen, and why.
 */
void conf_print(const struct conf *conf, const struct fwd *fwd);

#endif /* CONF_H */
