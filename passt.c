/* SPDX-License-Identifier: GPL-2.0-or-later */
/* passt and pasta: the program, from main() to the loop, and all its wiring
 *
 * Everything is put together here: struct passt owns the objects, the tables
 * below say which handler serves which event, packet or flow. Modules know
 * those below them, and are called from below through these tables only.
 *
 * The order of main() is given by who may do what when:
 *
 *  - descriptors and limits first, before anything is opened: those we are
 *    handed may have any number, and must not be taken for 0 to 2;
 *  - options, host state, files: as whoever started us;
 *  - listening sockets of the host, before privileges are given up, because a
 *    low port may need one;
 *  - pasta: the target namespace, tap device, addresses (pasta.c tells more);
 *  - empty root, other namespaces; then the fork into the background, whose
 *    parent leaves with 0 once the child says that all is ready: whoever
 *    waits for one of exit status, PID file, --ready-fd, finds them all;
 *  - the system call filter, and the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "arp.h"
#include "conf.h"
#include "daemon.h"
#include "dhcp.h"
#include "dhcpv6.h"
#include "ether.h"
#include "flow.h"
#include "fwd.h"
#include "guest.h"
#include "icmp.h"
#include "isolation.h"
#include "lib/busy.h"
#include "lib/fdio.h"
#include "lib/log.h"
#include "lib/moderate.h"
#include "loop.h"
#include "ndp.h"
#include "netns.h"
#include "pasta.h"
#include "pcap.h"
#include "sock.h"
#include "stats.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

/* Flows: at least, and at most; in between, as many as descriptors */
#define FLOWS_MIN 4096
#define FLOWS_MAX 131072

/* Port numbers of services answered here, IANA */
#define DHCP_SERVER_PORT   67
#define DHCPV6_SERVER_PORT 547

/* NDP messages: router solicitation to redirect (RFC 4861 4) */
#define NDP_TYPE_FIRST 133
#define NDP_TYPE_LAST  137

/* All there is; conf is const once it is derived */
static struct passt {
	struct conf conf;
	struct loop loop;
	struct sock_features features;
	struct tap tap;
	struct ether ether;
	struct flow_table flows;
	struct fwd fwd;
	struct tcp tcp;
	struct udp udp;
	struct icmp icmp;
	struct arp arp;
	struct ndp ndp;
	struct dhcp dhcp;
	struct dhcpv6 dhcpv6;
	struct netns netns;
	struct pasta pasta;
	struct pcap pcap;
	struct stats stats;
	struct moderate moderate;
	struct busy busy;
	struct wtimer calm; /* what busy() told is to be looked at again */
	struct daemon daemon;
	int signals; /* signalfd */
} passt;

/*
 * Wiring: events of descriptors
 */

static void tap_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct tap *tap = ctx;

	(void)ref;
	tap->ops->event(tap, events);
}

static void tap_listen_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct tap *tap = ctx;

	(void)ref;
	tap->ops->accept(tap, events);
}

/* Signals, one at a time
 *
 * #syscalls read
 */
static void signal_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct signalfd_siginfo si;
	struct passt *p = ctx;

	(void)ref;
	(void)events;
	if (read(p->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGUSR1)
		stats_dump(&p->stats);
	else if (si.ssi_signo == SIGCHLD)
		pasta_sigchld(&p->pasta);
	else if (p->conf.mode == MODE_PASTA)
		pasta_signal(&p->pasta, (int)si.ssi_signo,
			     si.ssi_code == SI_KERNEL);
	else
		loop_quit(&p->loop, EXIT_SUCCESS);
}

/* Whoever holds the other end of --exit-fd let go of it, or died */
static void exit_event(void *ctx, union epoll_ref ref, uint32_t events)
{
	struct passt *p = ctx;

	(void)ref;
	(void)events;
	loop_del(&p->loop, p->conf.exit_fd);
	info("The other end of --exit-fd was closed, so are we");
	if (p->conf.mode == MODE_PASTA)
		pasta_signal(&p->pasta, SIGTERM, false);
	else
		loop_quit(&p->loop, EXIT_SUCCESS);
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_NONE] = { "none", NULL, NULL },
	[EPOLL_SIGNAL] = { "signal", signal_event, &passt },
	[EPOLL_EXIT] = { "exit", exit_event, &passt },
	[EPOLL_STATS] = { "stats", stats_event, &passt.stats },
	[EPOLL_TAP] = { "tap", tap_event, &passt.tap },
	[EPOLL_TAP_LISTEN] = { "tap listener", tap_listen_event, &passt.tap },
	[EPOLL_NETNS] = { "namespace", pasta_netns_event, &passt.pasta },
	[EPOLL_TCP_LISTEN] = { "TCP listener", tcp_listen_event, &passt.tcp },
	[EPOLL_TCP] = { "TCP", tcp_sock_event, &passt.tcp },
	[EPOLL_TCP_SPLICE] = { "TCP splice", tcp_splice_event, &passt.tcp },
	[EPOLL_UDP_LISTEN] = { "UDP listener", udp_listen_event, &passt.udp },
	[EPOLL_UDP] = { "UDP", udp_sock_event, &passt.udp },
	[EPOLL_UDP_SPLICE] = { "UDP splice", udp_splice_event, &passt.udp },
	[EPOLL_PING] = { "ping", icmp_sock_event, &passt.icmp },
};

/*
 * Wiring: timers and the end of each turn
 */

static void timer_due(void *ctx, struct wtimer *t)
{
	struct passt *p = ctx;

	if (t == &p->ndp.timer)
		ndp_timer(&p->ndp);
	else if (t == &p->calm)
		return; /* at the end of the turn */
	else if (!fwd_scan_timer(&p->fwd, t) && !pasta_timer(&p->pasta, t))
		flow_timer(&p->flows, t);
}

/* Let frames of a stream gather before the next turn; spliced flows have none */
static void pause_for_more(struct passt *p)
{
	const struct tap_stats *s = &p->tap.stats;
	const struct moderate_count c = {
		.in = s->rx_frames,
		.out = s->tx_frames,
		.bytes = s->rx_bytes + s->tx_bytes,
		.other = p->loop.count[EPOLL_TCP_SPLICE] +
			 p->loop.count[EPOLL_UDP_SPLICE],
	};

	p->loop.pause = moderate(&p->moderate, p->loop.us, &c);
}

/* Leave the CPU to who feeds us while one flow keeps us busy */
static void give_way(struct passt *p)
{
	bool on = false;

	if (!busy(&p->busy, p->loop.us, p->loop.others, p->tap.company, &on))
		return;
	loop_batch(&p->loop, on);
	/* in the middle of a millisecond */
	if (on)
		loop_arm(&p->loop, &p->calm, BUSY_SPAN_US / 1000 + 1);
}

static void turn_end(void *ctx)
{
	struct passt *p = ctx;

	stats_turn(&p->stats);

	if (flow_run_deferred(&p->flows))
		p->loop.busy = true;
	tap_flush(&p->tap);
	pause_for_more(p);
	give_way(p);
	fwd_scan_turn(&p->fwd);
	if (p->fwd.netns)
		netns_refill(&p->netns);
}

static const struct loop_hooks hooks = {
	.timer = timer_due,
	.turn = turn_end,
	.ctx = &passt,
};

/*
 * Wiring: flows
 */

static const struct flow_ops flow_ops[FLOW_TYPES] = {
	[FLOW_TCP] = { "TCP", tcp_flow_timer, tcp_flow_resume, tcp_flow_evict,
		       &passt.tcp },
	[FLOW_TCP_SPLICE] = { "TCP splice", tcp_splice_flow_timer,
			      tcp_splice_flow_resume, NULL, &passt.tcp },
	[FLOW_UDP] = { "UDP", udp_flow_timer, udp_flow_resume, udp_flow_evict,
		       &passt.udp },
	[FLOW_PING] = { "ping", icmp_flow_timer, NULL, icmp_flow_evict,
			&passt.icmp },
};

/*
 * Wiring: packets
 */

static const struct ether_l2 l2_table[] = {
	{ "ARP", ETHERTYPE_ARP, arp_input, &passt.arp },
	{ NULL, 0, NULL, NULL },
};

/* In the order they are tried; switched off by @off */
static const struct l4_row {
	const bool *off;
	struct ether_l4 row;
} l4_rows[] = {
	{ &passt.conf.no_dhcp,
	  { .name = "DHCP",
	    .af = AF_INET,
	    .proto = IPPROTO_UDP,
	    .dport = DHCP_SERVER_PORT,
	    .any_src = true,
	    .input = dhcp_tap_input,
	    .ctx = &passt.dhcp } },
	{ &passt.conf.no_dhcpv6,
	  { .name = "DHCPv6",
	    .af = AF_INET6,
	    .proto = IPPROTO_UDP,
	    .dport = DHCPV6_SERVER_PORT,
	    .input = dhcpv6_tap_input,
	    .ctx = &passt.dhcpv6 } },
	{ &passt.conf.ndp.no_ndp,
	  { .name = "NDP",
	    .af = AF_INET6,
	    .proto = IPPROTO_ICMPV6,
	    .type_min = NDP_TYPE_FIRST,
	    .type_max = NDP_TYPE_LAST,
	    .any_src = true,
	    .input = ndp_tap_input,
	    .ctx = &passt.ndp } },
	{ &passt.conf.no_tcp,
	  { .name = "TCP",
	    .proto = IPPROTO_TCP,
	    .input = tcp_tap_input,
	    .ctx = &passt.tcp } },
	{ &passt.conf.no_udp,
	  { .name = "UDP",
	    .proto = IPPROTO_UDP,
	    .input = udp_tap_input,
	    .ctx = &passt.udp } },
	{ &passt.conf.no_icmp,
	  { .name = "ICMP",
	    .af = AF_INET,
	    .proto = IPPROTO_ICMP,
	    .input = icmp_tap_input,
	    .ctx = &passt.icmp } },
	{ &passt.conf.no_icmp,
	  { .name = "ICMPv6",
	    .af = AF_INET6,
	    .proto = IPPROTO_ICMPV6,
	    .input = icmp_tap_input,
	    .ctx = &passt.icmp } },
};

#define L4_ROWS (sizeof(l4_rows) / sizeof(l4_rows[0]))

/* Rows that are on, ended by one without name */
static struct ether_l4 l4_table[L4_ROWS + 1];

static unsigned tap_frames(void *ctx, const struct tap_rx *rx, unsigned n)
{
	struct passt *p = ctx;

	return ether_input(&p->ether, rx, n);
}

static void tap_ready(void *ctx)
{
	struct passt *p = ctx;

	tcp_tap_ready(&p->tcp);
	udp_tap_ready(&p->udp);
}

static void tap_link(void *ctx, bool up)
{
	struct passt *p = ctx;

	if (!up) {
		guest_forget(&p->conf.guest);
		return;
	}
	arp_announce(&p->arp);
	ndp_link_up(&p->ndp);
}

static const struct tap_upcalls tap_upcalls = {
	.input = tap_frames,
	.ready = tap_ready,
	.link = tap_link,
	.ctx = &passt,
};

/*
 * Set-up
 */

/* A signalfd wakes up the process that adds it to an epoll set, not the one
 * that waits: to be called by the one that does, after any fork
 */
static void signals_watch(struct passt *p)
{
	union epoll_ref ref = { .type = EPOLL_SIGNAL };

	if (loop_add(&p->loop, p->signals, EPOLLIN, ref))
		die("Cannot watch signals: %s", errstr(errno));
}

/* A signal taken by signalfd arrives even if it is ignored, as nohup(1) makes
 * SIGHUP, and shells SIGINT for what runs behind them: do not take it then
 */
static void signal_take(sigset_t *set, int sig)
{
	struct sigaction act;

	if (sigaction(sig, NULL, &act) || act.sa_handler != SIG_IGN)
		sigaddset(set, sig);
}

/* Events that end us, those of the command, and SIGUSR1, which waits since
 * isolation_initial(); before anything is forked
 */
static void signals_init(struct passt *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	signal_take(&set, SIGINT);
	signal_take(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (p->signals < 0)
		die("Cannot watch signals: %s", errstr(errno));
}

/* What --exit-fd names, to be called while somebody hears of errors. What is
 * written to it does not matter, hence no EPOLLIN
 */
static void exit_watch(struct passt *p)
{
	union epoll_ref ref = { .type = EPOLL_EXIT };
	int rc;

	if (p->conf.exit_fd < 0)
		return;
	rc = loop_add(&p->loop, p->conf.exit_fd, EPOLLRDHUP, ref);
	if (rc)
		die("Cannot watch descriptor of --exit-fd: %s%s", errstr(rc),
		    rc == -EPERM ? ": it is neither pipe nor socket" : "");
}

/* Table of flows, as many as there can be descriptors */
static void flows_init(struct passt *p)
{
	struct siphash_key key;
	struct rlimit lim = { .rlim_cur = FLOWS_MIN };
	uint32_t max;
	int rc;

	getrlimit(RLIMIT_NOFILE, &lim);
	max = lim.rlim_cur > FLOWS_MAX ? FLOWS_MAX : (uint32_t)lim.rlim_cur;
	if (max < FLOWS_MIN)
		max = FLOWS_MIN;
	if (getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key))
		die("Cannot get random numbers: %s", errstr(errno));
	rc = flow_init(&p->flows, max, &key, flow_ops, &p->loop.wheel);
	if (rc)
		die("Cannot map table of %u flows: %s", max, errstr(rc));
}

/* Rows of the L4 table that are on */
static void l4_init(void)
{
	size_t i, n = 0;

	for (i = 0; i < L4_ROWS; i++)
		if (!*l4_rows[i].off)
			l4_table[n++] = l4_rows[i].row;
}

/* Protocols: every one is handed its collaborators */
static void protocols_init(struct passt *p)
{
	struct guest *guest = &p->conf.guest;
	bool pasta = p->conf.mode == MODE_PASTA;
	unsigned mtu = guest->offer.mtu;
	int rc;

	l4_init();
	ether_init(&p->ether, guest, l2_table, l4_table, guest->v4.on,
		   guest->v6.on);
	p->arp = (struct arp){ .tap = &p->tap, .guest = guest };
	p->conf.ndp.no_dhcpv6 = p->conf.no_dhcpv6;
	p->ndp = (struct ndp){ .tap = &p->tap,
			       .loop = &p->loop,
			       .guest = guest,
			       .opts = &p->conf.ndp };
	p->dhcp = (struct dhcp){ .tap = &p->tap,
				 .guest = guest,
				 .opts = &p->conf.dhcp };
	p->dhcpv6 = (struct dhcpv6){ .tap = &p->tap,
				     .guest = guest,
				     .opts = &p->conf.dhcp };
	dhcpv6_init(&p->dhcpv6);
	p->icmp = (struct icmp){ .tap = &p->tap,
				 .loop = &p->loop,
				 .flows = &p->flows,
				 .fwd = &p->fwd };
	p->icmp.gid = p->conf.isolation.gid == (gid_t)-1
			      ? getegid()
			      : p->conf.isolation.gid;
	p->tcp = (struct tcp){ .tap = &p->tap,
			       .loop = &p->loop,
			       .flows = &p->flows,
			       .fwd = &p->fwd,
			       .netns = pasta ? &p->netns : NULL,
			       .features = &p->features,
			       .mtu = mtu };
	p->udp = (struct udp){ .tap = &p->tap,
			       .loop = &p->loop,
			       .flows = &p->flows,
			       .fwd = &p->fwd,
			       .netns = pasta ? &p->netns : NULL,
			       .features = &p->features };
	rc = tcp_init(&p->tcp);
	if (!rc)
		rc = udp_init(&p->udp);
	if (rc)
		die("Cannot set up TCP and UDP: %s", errstr(rc));
}

/* Statistics: of everybody who counts */
static void stats_init(struct passt *p)
{
	p->stats = (struct stats){ .interval = (uint64_t)p->conf.stats * 1000,
				   .json = p->conf.stats_json,
				   .name = p->conf.mode == MODE_PASTA ? "pasta"
								      : "passt",
				   .start = p->loop.now,
				   .loop = &p->loop,
				   .fwd = &p->fwd,
				   .tap = &p->tap,
				   .ether = &p->ether,
				   .flows = &p->flows,
				   .tcp = &p->tcp,
				   .udp = &p->udp,
				   .icmp = &p->icmp,
				   .arp = &p->arp,
				   .ndp = &p->ndp,
				   .dhcp = &p->dhcp,
				   .dhcpv6 = &p->dhcpv6 };
}

/* Files that have to be opened before the root directory is empty. The service
 * manager waits for what stays in foreground; what pasta runs can speak for itself
 */
static void files_open(struct passt *p)
{
	const struct conf *c = &p->conf;

	daemon_open(&p->daemon, c->pid_file, c->ready_fd,
		    c->foreground && !c->pasta.spawn, c->foreground);
	if (c->pcap && !pcap_open(&p->pcap, c->pcap))
		p->tap.pcap = &p->pcap;
}

/* Namespace, its tap device and configuration */
static void pasta_setup(struct passt *p)
{
	char ifname[IFNAMSIZ] = { 0 };
	struct pasta *pasta = &p->pasta;
	bool vnet_hdr;
	int fd;

	if (pasta_target(pasta) ||
	    isolation_user(&p->conf.isolation, pasta->userns) ||
	    pasta_open(pasta))
		exit(EXIT_FAILURE);
	if (!p->conf.fwd.splice_only) {
		fd = pasta_tap(pasta, ifname, &vnet_hdr);
		if (fd < 0 || tap_tun_init(&p->tap, fd, vnet_hdr))
			exit(EXIT_FAILURE);
	}
	if (pasta_configure(pasta, &p->conf.guest, ifname) ||
	    fwd_listen(&p->fwd, PIF_SPLICE))
		exit(EXIT_FAILURE);
	/* Without it there are the other ports */
	fwd_scan_init(&p->fwd);
}

/* Socket of the guest */
static void passt_setup(struct passt *p)
{
	if (tap_stream_init(&p->tap, &p->conf.stream) ||
	    isolation_user(&p->conf.isolation, ISOLATION_USERNS_OWN))
		exit(EXIT_FAILURE);
}

/* Leave: ports first, for a successor may be waiting for them. The tap device
 * goes with us, unless its namespace has gone before: nobody is waiting then.
 */
static void leave(struct passt *p)
{
	fwd_close(&p->fwd);
	if (p->conf.mode == MODE_PASTA && p->pasta.gone && p->tap.fd >= 0)
		close_later(p->tap.fd);
}

/* What the kernel can, by the names of PASST_KERNEL_WITHOUT, as far as it is known
 * in this mode
 */
static void kernel_print(const struct passt *p)
{
	const struct sock_features *f = &p->features;
	const struct {
		const char *name;
		bool there;
	} rows[] = {
		{ "ipv6", f->ipv6 },
		{ "peek_off", f->peek_off },
		{ "meminfo", f->meminfo },
		{ "udp_gso", f->udp_gso },
		{ "vnet_hdr", p->tap.facts.gso_tcp },
		{ "uso", p->tap.facts.gso_udp },
	};
	size_t n = sizeof(rows) / sizeof(rows[0]), i;
	char text[2][64] = { "", "" }, *t;

	/* The last two are of tap devices */
	if (p->conf.mode != MODE_PASTA || p->conf.fwd.splice_only)
		n -= 2;
	for (i = 0; i < n; i++) {
		t = text[rows[i].there];
		snprintf(t + strlen(t), sizeof(text[0]) - strlen(t), " %s",
			 rows[i].name);
	}
	info("Kernel has:%s; lacks:%s", text[true],
	     *text[false] ? text[false] : " nothing");
}

/* From a command line to the loop. Return: exit status */
static int run(struct passt *p)
{
	bool pasta = p->conf.mode == MODE_PASTA;
	pid_t pid;
	int rc;

	files_open(p);
	flows_init(p);
	if (fwd_init(&p->fwd, &p->conf.fwd, &p->conf.guest,
		     pasta ? &p->netns : NULL, &p->loop))
		die("Cannot map table of listeners: %s", errstr(ENOMEM));
	protocols_init(p);
	stats_init(p);
	exit_watch(p);
	if (fwd_listen(&p->fwd, PIF_HOST))
		return EXIT_FAILURE;
	if (pasta)
		pasta_setup(p);
	else
		passt_setup(p);
	/* Not before: a caller shows all we said if we fail */
	conf_print(&p->conf, &p->fwd);
	kernel_print(p);

	if (isolation_prefork(&p->conf.isolation))
		return EXIT_FAILURE;
	if (!p->conf.foreground)
		daemon_fork(&p->daemon);
	if (pasta && netns_start(&p->netns))
		return EXIT_FAILURE;
	p->conf.isolation.host_ports = p->fwd.scan;
	isolation_postfork(&p->conf.isolation);
	signals_watch(p);
	if (pasta && pasta_watch(&p->pasta))
		return EXIT_FAILURE;
	fwd_scan_start(&p->fwd);
	pid = getpid();
	if (pasta && close_later_init())
		debug("Leaving may take a while");
	if (!p->conf.foreground)
		daemon_detach(&p->daemon);
	/* Pauses are shorter than what the kernel would round them by */
	prctl(PR_SET_TIMERSLACK, MODERATE_SLACK_NS, 0, 0, 0);
	isolation_filter(&p->conf.isolation);
	/* Nothing of ours can fail any more */
	if (daemon_ready(&p->daemon, pid))
		return EXIT_FAILURE;
	if (pasta) {
		pasta_go(&p->pasta);
		/* While the command, or whoever was told, gets going */
		netns_refill(&p->netns);
	}

	rc = loop_run(&p->loop);
	leave(p);
	return rc;
}

/* Descriptors we were handed go out of the way of the standard ones, and what
 * goes to those does not get to the guest. All others are closed.
 */
static void fds_init(struct passt *p)
{
	int *const given[] = { &p->conf.stream.fd, &p->conf.ready_fd,
			       &p->conf.exit_fd };
	const unsigned n = sizeof(given) / sizeof(given[0]);
	int keep[sizeof(given) / sizeof(given[0])];
	int stream = p->conf.stream.fd;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (*given[i] >= 0 && *given[i] <= STDERR_FILENO)
			*given[i] = fcntl(*given[i], F_DUPFD_CLOEXEC,
					  STDERR_FILENO + 1);
		keep[i] = *given[i];
	}
	if (stream != p->conf.stream.fd)
		close(stream);
	isolation_initial(keep, n);
}

int main(int argc, char **argv)
{
	struct passt *p = &passt;
	int rc;

	conf_early(&p->conf, argc, argv);
	fds_init(p);

	conf_parse(&p->conf, argc, argv);
	rc = loop_init(&p->loop, handlers, &hooks);
	if (rc)
		die("Cannot create epoll instance: %s", errstr(rc));
	sock_probe(&p->features);
	netns_init(&p->netns);
	rc = log_open(p->conf.name, &p->conf.log);
	if (rc)
		die("Cannot open log file %s: %s", p->conf.log.file,
		    errstr(rc));
	conf_derive(&p->conf);
	p->conf.isolation.foreground = p->conf.foreground;
	p->conf.isolation.pasta = p->conf.mode == MODE_PASTA;
	signals_init(p);

	tap_init(&p->tap,
		 p->conf.mode == MODE_PASTA ? &tap_tun_ops : &tap_stream_ops,
		 &p->loop, &p->conf.guest, &tap_upcalls);
	p->pasta = (struct pasta){ .opts = &p->conf.pasta,
				   .loop = &p->loop,
				   .netns = &p->netns };
	return run(p);
}
