/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The option table: one row per option, its walkers by name and by letter
 *
 * Everything that is known of an option stands in its row: the command line
 * and the usage text are made of it, and the manual page is checked against
 * it. Rows without help text are accepted and not advertised.
 */

#include "conf/opt.h"

#include <string.h>

#define AT(member) offsetof(struct conf, member)

const struct conf_opt conf_opts[] = {
	/* Running */
	{ "debug", 'd', IN_BOTH, NULL, set_debug, 0,
	  "Be verbose, log to standard error" },
	{ "trace", 0, IN_BOTH, NULL, set_trace, 0,
	  "Be extra verbose: a line for each packet" },
	{ "stats", 0, IN_BOTH, "DELAY", set_stats, 0,
	  "Print counters every DELAY seconds, if they changed\n"
	  "Needs --foreground" },
	{ "stats-format", 0, IN_BOTH, "text|json", set_stats_format, 0,
	  "How counters are printed, also on SIGUSR1\n"
	  "Default: text" },
	{ "quiet", 'q', IN_BOTH, NULL, set_quiet, 0,
	  "Print warnings and errors only" },
	{ "foreground", 'f', IN_BOTH, NULL, set_flag, AT(foreground),
	  "Stay in the foreground" },
	{ "stderr", 'e', IN_BOTH, NULL, set_deprecated, 0, NULL },
	{ "log-file", 'l', IN_BOTH, "PATH", set_string, AT(log.file),
	  "Log to PATH instead of the system log" },
	{ "log-size", 0, IN_BOTH, "BYTES", set_log_size, 0,
	  "Room for the log file, default 1048576" },
	{ "runas", 0, IN_BOTH, "UID[:GID]|LOGIN[:GROUP]", set_string,
	  AT(given.runas),
	  "Change to this user and group\n"
	  "Default: nobody if started as root" },
	{ "conf-path", 'c', IN_BOTH, "PATH", set_unsupported, 0, NULL },
	{ "help", 'h', IN_BOTH, NULL, set_help, 0, "Print this text and exit" },
	{ "version", 0, IN_BOTH, NULL, set_version, 0,
	  "Print the version and exit" },
	{ "pcap", 'p', IN_BOTH, "FILE", set_string, AT(pcap),
	  "Capture the frames of the guest to FILE, pcap format" },
	{ "pid", 'P', IN_BOTH, "FILE", set_string, AT(pid_file),
	  "Write the process ID to FILE once all is set up" },
	{ "ready-fd", 0, IN_BOTH | EARLY, "FD", set_fd, AT(ready_fd),
	  "Write \"1\" and a newline to FD once all is set up" },
	{ "exit-fd", 0, IN_BOTH | EARLY, "FD", set_fd, AT(exit_fd),
	  "Quit when the other end of the pipe or socket FD is\n"
	  "closed" },
	{ "chroot-fallback", 0, IN_BOTH, NULL, set_flag,
	  AT(isolation.chroot_fallback),
	  "Use chroot() if pivot_root() is not permitted" },

	/* Addresses */
	{ "mtu", 'm', IN_BOTH, "MTU", set_mtu, 0,
	  "Tell the guest this MTU, 0: tell none, default 65520" },
	{ "address", 'a', IN_BOTH, "ADDR[/LEN]", set_address, 0,
	  "Assign this address, once per IP version\n"
	  "Default: the address of the template interface" },
	{ "netmask", 'n', IN_BOTH, "MASK", set_netmask, 0,
	  "Assign this IPv4 mask, 255.255.255.0 or 24\n"
	  "Default: the one of the address on the host" },
	{ "mac-addr", 'M', IN_BOTH, "MAC", set_mac, AT(guest.our_mac),
	  "Our MAC address, default 9a:55:9a:55:9a:55" },
	{ "gateway", 'g', IN_BOTH, "ADDR", set_gateway, 0,
	  "Default gateway of the guest, once per IP version\n"
	  "Default: the one of the host" },
	{ "interface", 'i', IN_BOTH, "NAME", set_template, 0,
	  "Template: where addresses and routes are taken from\n"
	  "Default: the one the kernel would choose" },
	{ "outbound", 'o', IN_BOTH, "ADDR", set_outbound, 0,
	  "Bind outbound sockets to ADDR, once per IP version" },
	{ "outbound-if4", 0, IN_BOTH, "NAME", set_ifname,
	  AT(fwd.v4.outbound_if),
	  "Bind outbound IPv4 sockets to this interface" },
	{ "outbound-if6", 0, IN_BOTH, "NAME", set_ifname,
	  AT(fwd.v6.outbound_if),
	  "Bind outbound IPv6 sockets to this interface" },
	{ "ipv4-only", '4', IN_BOTH, NULL, set_v4_only, 0, "No IPv6" },
	{ "ipv6-only", '6', IN_BOTH, NULL, set_v6_only, 0, "No IPv4" },

	/* Names */
	{ "dns", 'D', IN_BOTH, "ADDR", set_dns, 0,
	  "Nameserver for the guest, may be repeated; none: none\n"
	  "Default: those of /etc/resolv.conf" },
	{ "dns-forward", 0, IN_BOTH, "ADDR", set_dns_forward, 0,
	  "Take queries sent to ADDR to the nameserver of the\n"
	  "host, once per IP version" },
	{ "dns-host", 0, IN_BOTH, "ADDR", set_dns_host, 0,
	  "Where those queries go, once per IP version\n"
	  "Default: first nameserver of /etc/resolv.conf" },
	{ "search", 'S', IN_BOTH, "LIST", set_search, 0,
	  "Search domains, separated by spaces; none: none\n"
	  "Default: those of /etc/resolv.conf" },
	{ "hostname", 'H', IN_BOTH, "NAME", set_hostname, 0,
	  "Hostname for the guest" },
	{ "fqdn", 0, IN_BOTH, "NAME", set_fqdn, 0,
	  "Fully qualified domain name for the guest" },

	/* Services */
	{ "no-tcp", 0, IN_BOTH, NULL, set_flag, AT(no_tcp), "No TCP" },
	{ "no-udp", 0, IN_BOTH, NULL, set_flag, AT(no_udp), "No UDP" },
	{ "no-icmp", 0, IN_BOTH, NULL, set_flag, AT(no_icmp),
	  "No ICMP and ICMPv6, implies --no-ndp" },
	{ "no-dhcp", 0, IN_BOTH, NULL, set_flag, AT(no_dhcp),
	  "No DHCP server" },
	{ "no-ndp", 0, IN_BOTH, NULL, set_flag, AT(ndp.no_ndp),
	  "No neighbour discovery (NDP) responses" },
	{ "no-dhcpv6", 0, IN_BOTH, NULL, set_flag, AT(no_dhcpv6),
	  "No DHCPv6 server" },
	{ "no-ra", 0, IN_BOTH, NULL, set_flag, AT(ndp.no_ra),
	  "No router advertisements" },

	/* Translation and forwarding */
	{ "map-host-loopback", 0, IN_BOTH, "ADDR", set_map_host, 0,
	  "ADDR means the host's loopback address to the guest,\n"
	  "once per IP version; none: nothing does\n"
	  "Default: the default gateway" },
	{ "no-map-gw", 0, IN_BOTH, NULL, set_flag, AT(given.no_map_gw),
	  "The gateway's address does not mean the host" },
	{ "map-guest-addr", 0, IN_BOTH, "ADDR", set_map_guest, 0,
	  "ADDR means the address the guest shares with the host,\n"
	  "once per IP version; none: nothing does (default)" },
	{ "freebind", 0, IN_BOTH, NULL, set_flag, AT(fwd.freebind),
	  "Bind to addresses that are not there (yet)" },
	{ "tcp-ports", 't', IN_BOTH, "SPEC", set_ports, 0,
	  "Forward TCP ports to the guest, may be repeated\n"
	  "  none           no ports (default of passt)\n"
	  "  all            unbound, allowed, not ephemeral\n"
	  "  auto           pasta (its default): as all, while\n"
	  "                 somebody listens on the other side\n"
	  "  22             port 22 to port 22\n"
	  "  22:23          port 22 to port 23\n"
	  "  22-25,80       ports 22 to 25, and 80\n"
	  "  22-25:32-35    ports 22 to 25 to ports 32 to 35\n"
	  "  ~25            everything as of all, but 25\n"
	  "  20-30,~25      ports 20 to 30, but 25\n"
	  "  22-25,auto     these ports, while somebody listens\n"
	  "  192.0.2.1/22   bound to this address\n"
	  "  %eth0/22       bound to this interface\n"
	  "  192.0.2.1%eth0/22,80:8080" },
	{ "udp-ports", 'u', IN_BOTH, "SPEC", set_ports, 0,
	  "Forward UDP ports to the guest, as for TCP" },

	/* passt */
	{ "socket", 's', IN_PASST, "PATH", set_socket, 0,
	  "UNIX domain socket the guest connects to\n"
	  "Default: first free one of /tmp/passt_N.socket" },
	{ "socket-path", 's', IN_PASST, "PATH", set_socket, 0, NULL },
	{ "fd", 'F', IN_PASST | EARLY, "FD", set_fd, AT(stream.fd),
	  "Use FD as connected socket, implies --one-off" },
	{ "one-off", '1', IN_PASST, NULL, set_flag, AT(stream.one_off),
	  "Quit once the guest has disconnected" },
	{ "vhost-user", 0, IN_BOTH | EARLY, NULL, set_vhost_user, 0, NULL },
	{ "print-capabilities", 0, IN_PASST, NULL, set_capabilities, 0,
	  "Print what a vhost-user back-end must, and exit" },
	{ "repair-path", 0, IN_PASST, "PATH", set_repair, 0, NULL },
	{ "migrate-exit", 0, IN_PASST, NULL, set_unsupported, 0, NULL },
	{ "migrate-no-linger", 0, IN_PASST, NULL, set_unsupported, 0, NULL },
	{ "no-dhcp-dns", 0, IN_PASST, NULL, set_flag, AT(dhcp.no_dns),
	  "Do not hand out nameservers" },
	{ "no-dhcp-search", 0, IN_PASST, NULL, set_flag, AT(dhcp.no_search),
	  "Do not hand out the search list" },

	/* pasta */
	{ "ns-ifname", 'I', IN_PASTA, "NAME", set_ifname, AT(pasta.ifname),
	  "Name of the interface in the namespace\n"
	  "Default: name of the template interface, or tap0" },
	{ "tcp-ns", 'T', IN_PASTA, "SPEC", set_ports, 0,
	  "Forward TCP ports from the namespace's loopback to the\n"
	  "host's, as for --tcp-ports but without addresses" },
	{ "udp-ns", 'U', IN_PASTA, "SPEC", set_ports, 0,
	  "Forward UDP ports from the namespace's loopback to the\n"
	  "host's" },
	{ "host-lo-to-ns-lo", 0, IN_PASTA, NULL, set_flag,
	  AT(fwd.host_lo_to_ns_lo),
	  "From the host's loopback to the namespace's loopback" },
	{ "userns", 0, IN_PASTA, "PATH", set_string, AT(pasta.userns),
	  "User namespace to join" },
	{ "netns", 0, IN_PASTA, "PATH|NAME", set_string, AT(pasta.netns),
	  "Network namespace to join" },
	{ "netns-only", 0, IN_PASTA, NULL, set_flag, AT(pasta.netns_only),
	  "Neither join nor create a user namespace" },
	{ "no-netns-quit", 0, IN_PASTA, NULL, set_flag, AT(pasta.no_netns_quit),
	  "Keep running when the namespace goes away" },
	{ "no-pidns", 0, IN_PASTA, NULL, set_flag, AT(pasta.no_pidns),
	  "Leave the command in our PID namespace" },
	{ "config-net", 0, IN_PASTA, NULL, set_flag, AT(pasta.config_net),
	  "Configure addresses, routes and link in the namespace" },
	{ "no-copy-routes", 0, IN_PASTA, NULL, set_flag,
	  AT(pasta.no_copy_routes),
	  "Default route only with --config-net (deprecated)" },
	{ "no-copy-addrs", 0, IN_PASTA, NULL, set_flag, AT(pasta.no_copy_addrs),
	  "One address only with --config-net (deprecated)" },
	{ "ns-mac-addr", 0, IN_PASTA, "MAC", set_mac, AT(pasta.ns_mac),
	  "MAC address of the interface in the namespace" },
	{ "dhcp-dns", 0, IN_PASTA, NULL, set_clear, AT(dhcp.no_dns),
	  "Hand out nameservers with DHCP, DHCPv6, NDP" },
	{ "dhcp-search", 0, IN_PASTA, NULL, set_clear, AT(dhcp.no_search),
	  "Hand out the search list with DHCP, DHCPv6, NDP" },
	{ "no-splice", 0, IN_PASTA, NULL, set_flag, AT(fwd.no_splice),
	  "Do not bypass the interface for loopback traffic" },
	{ "splice-only", 0, IN_PASTA, NULL, set_flag, AT(fwd.splice_only),
	  "No interface, only loopback traffic" },
	{ 0 },
};

const struct conf_opt *conf_opt_short(char letter)
{
	const struct conf_opt *o;

	for (o = conf_opts; o->name; o++) {
		if (o->letter && o->letter == letter)
			return o;
	}
	return NULL;
}

const struct conf_opt *conf_opt_long(const char *name, size_t len,
				     bool *ambiguous)
{
	const struct conf_opt *o, *found = NULL;

	*ambiguous = false;
	for (o = conf_opts; o->name; o++) {
		if (strncmp(o->name, name, len))
			continue;
		if (!o->name[len]) {
			*ambiguous = false;
			return o;
		}
		if (!found)
			found = o;
		else if (!o->letter || o->letter != found->letter)
			*ambiguous = true;
	}
	return *ambiguous ? NULL : found;
}
