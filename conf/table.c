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
	{ "debug", 'd', IN_BOTH, 0, NULL, set_debug,
	  "Be verbose, log to standard error" },
	{ "trace", 0, IN_BOTH, 0, NULL, set_trace,
	  "Be extra verbose: a line for each packet" },
	{ "stats", 0, IN_BOTH, 0, "DELAY", set_stats,
	  "Print counters every DELAY seconds, if they changed\n"
	  "Needs --foreground" },
	{ "stats-format", 0, IN_BOTH, 0, "text|json", set_stats_format,
	  "How counters are printed, also on SIGUSR1\n"
	  "Default: text" },
	{ "quiet", 'q', IN_BOTH, 0, NULL, set_quiet,
	  "Print warnings and errors only" },
	{ "foreground", 'f', IN_BOTH, AT(foreground), NULL, set_flag,
	  "Stay in the foreground" },
	{ "stderr", 'e', IN_BOTH, 0, NULL, set_deprecated, NULL },
	{ "log-file", 'l', IN_BOTH, AT(log.file), "PATH", set_string,
	  "Log to PATH instead of the system log" },
	{ "log-size", 0, IN_BOTH, 0, "BYTES", set_log_size,
	  "Room for the log file, default 1048576" },
	{ "runas", 0, IN_BOTH, AT(given.runas), "UID[:GID]|LOGIN[:GROUP]",
	  set_string,
	  "Change to this user and group\n"
	  "Default: nobody if started as root" },
	{ "conf-path", 'c', IN_BOTH, 0, "PATH", set_unsupported, NULL },
	{ "help", 'h', IN_BOTH, 0, NULL, set_help, "Print this text and exit" },
	{ "version", 0, IN_BOTH, 0, NULL, set_version,
	  "Print the version and exit" },
	{ "pcap", 'p', IN_BOTH, AT(pcap), "FILE", set_string,
	  "Capture the frames of the guest to FILE, pcap format" },
	{ "pid", 'P', IN_BOTH, AT(pid_file), "FILE", set_string,
	  "Write the process ID to FILE once all is set up" },
	{ "ready-fd", 0, IN_BOTH | EARLY, AT(ready_fd), "FD", set_fd,
	  "Write \"1\" and a newline to FD once all is set up" },
	{ "exit-fd", 0, IN_BOTH | EARLY, AT(exit_fd), "FD", set_fd,
	  "Quit when the other end of the pipe or socket FD is\n"
	  "closed" },
	{ "chroot-fallback", 0, IN_BOTH, AT(isolation.chroot_fallback), NULL,
	  set_flag, "Use chroot() if pivot_root() is not permitted" },

	/* Addresses */
	{ "mtu", 'm', IN_BOTH, 0, "MTU", set_mtu,
	  "Tell the guest this MTU, 0: tell none, default 65520" },
	{ "address", 'a', IN_BOTH, 0, "ADDR[/LEN]", set_address,
	  "Assign this address, once per IP version\n"
	  "Default: the address of the template interface" },
	{ "netmask", 'n', IN_BOTH, 0, "MASK", set_netmask,
	  "Assign this IPv4 mask, 255.255.255.0 or 24\n"
	  "Default: the one of the address on the host" },
	{ "mac-addr", 'M', IN_BOTH, AT(guest.our_mac), "MAC", set_mac,
	  "Our MAC address, default 9a:55:9a:55:9a:55" },
	{ "gateway", 'g', IN_BOTH, 0, "ADDR", set_gateway,
	  "Default gateway of the guest, once per IP version\n"
	  "Default: the one of the host" },
	{ "interface", 'i', IN_BOTH, 0, "NAME", set_template,
	  "Template: where addresses and routes are taken from\n"
	  "Default: the one the kernel would choose" },
	{ "outbound", 'o', IN_BOTH, 0, "ADDR", set_outbound,
	  "Bind outbound sockets to ADDR, once per IP version" },
	{ "outbound-if4", 0, IN_BOTH, AT(fwd.v4.outbound_if), "NAME",
	  set_ifname, "Bind outbound IPv4 sockets to this interface" },
	{ "outbound-if6", 0, IN_BOTH, AT(fwd.v6.outbound_if), "NAME",
	  set_ifname, "Bind outbound IPv6 sockets to this interface" },
	{ "ipv4-only", '4', IN_BOTH, 0, NULL, set_v4_only, "No IPv6" },
	{ "ipv6-only", '6', IN_BOTH, 0, NULL, set_v6_only, "No IPv4" },

	/* Names */
	{ "dns", 'D', IN_BOTH, 0, "ADDR", set_dns,
	  "Nameserver for the guest, may be repeated; none: none\n"
	  "Default: those of /etc/resolv.conf" },
	{ "dns-forward", 0, IN_BOTH, 0, "ADDR", set_dns_forward,
	  "Take queries sent to ADDR to the nameserver of the\n"
	  "host, once per IP version" },
	{ "dns-host", 0, IN_BOTH, 0, "ADDR", set_dns_host,
	  "Where those queries go, once per IP version\n"
	  "Default: first nameserver of /etc/resolv.conf" },
	{ "search", 'S', IN_BOTH, 0, "LIST", set_search,
	  "Search domains, separated by spaces; none: none\n"
	  "Default: those of /etc/resolv.conf" },
	{ "hostname", 'H', IN_BOTH, 0, "NAME", set_hostname,
	  "Hostname for the guest" },
	{ "fqdn", 0, IN_BOTH, 0, "NAME", set_fqdn,
	  "Fully qualified domain name for the guest" },

	/* Services */
	{ "no-tcp", 0, IN_BOTH, AT(no_tcp), NULL, set_flag, "No TCP" },
	{ "no-udp", 0, IN_BOTH, AT(no_udp), NULL, set_flag, "No UDP" },
	{ "no-icmp", 0, IN_BOTH, AT(no_icmp), NULL, set_flag,
	  "No ICMP and ICMPv6, implies --no-ndp" },
	{ "no-dhcp", 0, IN_BOTH, AT(no_dhcp), NULL, set_flag,
	  "No DHCP server" },
	{ "no-ndp", 0, IN_BOTH, AT(ndp.no_ndp), NULL, set_flag,
	  "No neighbour discovery (NDP) responses" },
	{ "no-dhcpv6", 0, IN_BOTH, AT(no_dhcpv6), NULL, set_flag,
	  "No DHCPv6 server" },
	{ "no-ra", 0, IN_BOTH, AT(ndp.no_ra), NULL, set_flag,
	  "No router advertisements" },

	/* Translation and forwarding */
	{ "map-host-loopback", 0, IN_BOTH, 0, "ADDR", set_map_host,
	  "ADDR means the host's loopback address to the guest,\n"
	  "once per IP version; none: nothing does\n"
	  "Default: the default gateway" },
	{ "no-map-gw", 0, IN_BOTH, AT(given.no_map_gw), NULL, set_flag,
	  "The gateway's address does not mean the host" },
	{ "map-guest-addr", 0, IN_BOTH, 0, "ADDR", set_map_guest,
	  "ADDR means the address the guest shares with the host,\n"
	  "once per IP version; none: nothing does (default)" },
	{ "freebind", 0, IN_BOTH, AT(fwd.freebind), NULL, set_flag,
	  "Bind to addresses that are not there (yet)" },
	{ "tcp-ports", 't', IN_BOTH, 0, "SPEC", set_ports,
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
	{ "udp-ports", 'u', IN_BOTH, 0, "SPEC", set_ports,
	  "Forward UDP ports to the guest, as for TCP" },

	/* passt */
	{ "socket", 's', IN_PASST, 0, "PATH", set_socket,
	  "UNIX domain socket the guest connects to\n"
	  "Default: first free one of /tmp/passt_N.socket" },
	{ "socket-path", 's', IN_PASST, 0, "PATH", set_socket, NULL },
	{ "fd", 'F', IN_PASST | EARLY, AT(stream.fd), "FD", set_fd,
	  "Use FD as connected socket, implies --one-off" },
	{ "one-off", '1', IN_PASST, AT(stream.one_off), NULL, set_flag,
	  "Quit once the guest has disconnected" },
	{ "vhost-user", 0, IN_BOTH | EARLY, 0, NULL, set_vhost_user, NULL },
	{ "print-capabilities", 0, IN_PASST, 0, NULL, set_capabilities,
	  "Print what a vhost-user back-end must, and exit" },
	{ "repair-path", 0, IN_PASST, 0, "PATH", set_repair, NULL },
	{ "migrate-exit", 0, IN_PASST, 0, NULL, set_unsupported, NULL },
	{ "migrate-no-linger", 0, IN_PASST, 0, NULL, set_unsupported, NULL },
	{ "no-dhcp-dns", 0, IN_PASST, AT(dhcp.no_dns), NULL, set_flag,
	  "Do not hand out nameservers" },
	{ "no-dhcp-search", 0, IN_PASST, AT(dhcp.no_search), NULL, set_flag,
	  "Do not hand out the search list" },

	/* pasta */
	{ "ns-ifname", 'I', IN_PASTA, AT(pasta.ifname), "NAME", set_ifname,
	  "Name of the interface in the namespace\n"
	  "Default: name of the template interface, or tap0" },
	{ "tcp-ns", 'T', IN_PASTA, 0, "SPEC", set_ports,
	  "Forward TCP ports from the namespace's loopback to the\n"
	  "host's, as for --tcp-ports but without addresses" },
	{ "udp-ns", 'U', IN_PASTA, 0, "SPEC", set_ports,
	  "Forward UDP ports from the namespace's loopback to the\n"
	  "host's" },
	{ "host-lo-to-ns-lo", 0, IN_PASTA, AT(fwd.host_lo_to_ns_lo), NULL,
	  set_flag, "From the host's loopback to the namespace's loopback" },
	{ "userns", 0, IN_PASTA, AT(pasta.userns), "PATH", set_string,
	  "User namespace to join" },
	{ "netns", 0, IN_PASTA, AT(pasta.netns), "PATH|NAME", set_string,
	  "Network namespace to join" },
	{ "netns-only", 0, IN_PASTA, AT(pasta.netns_only), NULL, set_flag,
	  "Neither join nor create a user namespace" },
	{ "no-netns-quit", 0, IN_PASTA, AT(pasta.no_netns_quit), NULL, set_flag,
	  "Keep running when the namespace goes away" },
	{ "no-pidns", 0, IN_PASTA, AT(pasta.no_pidns), NULL, set_flag,
	  "Leave the command in our PID namespace" },
	{ "config-net", 0, IN_PASTA, AT(pasta.config_net), NULL, set_flag,
	  "Configure addresses, routes and link in the namespace" },
	{ "no-copy-routes", 0, IN_PASTA, AT(pasta.no_copy_routes), NULL,
	  set_flag, "Default route only with --config-net (deprecated)" },
	{ "no-copy-addrs", 0, IN_PASTA, AT(pasta.no_copy_addrs), NULL, set_flag,
	  "One address only with --config-net (deprecated)" },
	{ "ns-mac-addr", 0, IN_PASTA, AT(pasta.ns_mac), "MAC", set_mac,
	  "MAC address of the interface in the namespace" },
	{ "dhcp-dns", 0, IN_PASTA, AT(dhcp.no_dns), NULL, set_clear,
	  "Hand out nameservers with DHCP, DHCPv6, NDP" },
	{ "dhcp-search", 0, IN_PASTA, AT(dhcp.no_search), NULL, set_clear,
	  "Hand out the search list with DHCP, DHCPv6, NDP" },
	{ "no-splice", 0, IN_PASTA, AT(fwd.no_splice), NULL, set_flag,
	  "Do not bypass the interface for loopback traffic" },
	{ "splice-only", 0, IN_PASTA, AT(fwd.splice_only), NULL, set_flag,
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
