/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qrap: connect QEMU before 7.2, which cannot do so itself, to passt
 *
 *	qrap FD COMMAND [ARGUMENTS]...
 *	qrap QEMU-ARGUMENTS...
 *
 * The first form makes a connection to passt descriptor FD and executes COMMAND.
 * The second one stands in for QEMU, and so does a link to this program whose
 * name begins with "qemu": it looks for the real QEMU and sees to it that its
 * arguments have a network device at the connection. They are read no further
 * than that takes:
 *
 *	-netdev socket,fd=7,id=n	has one: the connection becomes descriptor 7
 *	-netdev user,id=n		becomes socket,fd=5,id=n; so do -net and -nic
 *	neither of them			-netdev and -device are appended, behind all
 *					others, so that QEMU puts the device into a
 *					slot that is free on a bus that is there
 *	-version, -device help, ...	nothing is connected, nobody will send
 *
 * Which of /tmp/passt_1.socket to /tmp/passt_64.socket to take is found out by
 * asking. A passt that has its guest accepts as well, and hangs up, perhaps not
 * at once; another program might sit there in silence. So we send what a guest
 * would, an ARP request and a neighbour solicitation, either of which any passt
 * answers unless told not to, and take the first connection with an answer. The
 * answer is left in the socket: QEMU begins with a whole frame. A passt that is
 * just starting, or has just lost its guest, is given some time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "wire/arp.h"
#include "wire/ndp.h"
#include "wire/stream.h"

#define SOCKET_PATH "/tmp/passt_%u.socket"
#define SOCKET_MAX  64

#define ANSWER_WAIT 1000 /* for an answer to what we ask, ms */
#define START_WAIT  3000 /* for a passt to start or to become free, ms */
#define PAUSE       50   /* between looks, ms */

#define FD_MIN 3 /* of descriptors handed over */
#define FD_MAX 1023
#define FD_OWN 5 /* the first that is free from here on, if nobody says */

#define NETDEV_ID "qrap"
#define EXTRA_MAX 4   /* arguments appended */
#define PROP_MAX  128 /* value of a property with its NUL */
#define TEXT_MAX  512 /* argument or path made by us, with its NUL */

/* Made up for the questions: a guest that nobody is. The IPv4 addresses are
 * those no host may have (RFC 7600 4.8, RFC 7050 8.2), the MAC address is a local
 * one, made of one for documentation (RFC 7042 2.1.1).
 */
#define PROBE_MAC                                  \
	{                                          \
		0x02, 0x00, 0x5e, 0x00, 0x53, 0x01 \
	}
#define PROBE_SPA            \
	{                    \
		192, 0, 0, 8 \
	}
#define PROBE_TPA              \
	{                      \
		192, 0, 0, 170 \
	}
#define PROBE_SRC /* fe80::5eff:fe00:5301 */                          \
	{                                                             \
		0xfe, 0x80, [10] = 0x5e, 0xff, 0xfe, 0x00, 0x53, 0x01 \
	}
#define PROBE_TARGET                 \
	{                            \
		0xfe, 0x80, [15] = 1 \
	}
#define PROBE_DST /* solicited node of it, RFC 4291 2.7.1 */ \
	{                                                    \
		0xff, 0x02, [11] = 1, 0xff, 0x00, 0x00, 0x01 \
	}
#define PROBE_DST_MAC                              \
	{                                          \
		0x33, 0x33, 0xff, 0x00, 0x00, 0x01 \
	}                 /* RFC 2464 7 */
#define PROBE_CSUM 0x1998 /* over all that, checked by a test */

#define BROADCAST                                  \
	{                                          \
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff \
	}

/* What we ask: two frames, their lengths before them */
struct probe {
	struct stream_hdr arp_len;
	struct ether_header arp_eth;
	struct arp_packet arp;
	struct stream_hdr ns_len;
	struct ether_header ns_eth;
	struct ip6_hdr ip6;
	struct nd_neighbor_solicit ns;
	struct ndp_opt_lladdr slla;
} __attribute__((packed));

#define PROBE_ARP_LEN (sizeof(struct ether_header) + sizeof(struct arp_packet))
#define PROBE_NS_LEN                          \
	(sizeof(struct nd_neighbor_solicit) + \
	 sizeof(struct ndp_opt_lladdr)) /* behind the headers */

/* Why a socket was not taken */
enum refusal {
	TAKEN, /* it was */
	ABSENT,
	STALE,
	BUSY,
	SILENT,
	FAILED, /* errno tells */
};

static const char *const refusals[] = {
	[STALE] = "nobody listens any more",
	[BUSY] = "has a guest already",
	[SILENT] = "does not answer as passt does",
};

/* QEMU for each machine as uname(2) calls it, and its virtio network device */
static const struct qemu {
	const char *machine, *name, *device;
} qemus[] = {
	{ "x86_64", "qemu-system-x86_64", "virtio-net-pci" },
	{ "i686", "qemu-system-i386", "virtio-net-pci" },
	{ "aarch64", "qemu-system-aarch64", "virtio-net-pci" },
	{ "armv7l", "qemu-system-arm", "virtio-net-pci" },
	{ "ppc64le", "qemu-system-ppc64", "virtio-net-pci" },
	{ "ppc64", "qemu-system-ppc64", "virtio-net-pci" },
	{ "riscv64", "qemu-system-riscv64", "virtio-net-pci" },
	{ "loongarch64", "qemu-system-loongarch64", "virtio-net-pci" },
	{ "s390x", "qemu-system-s390x", "virtio-net-ccw" },
};
#define NQEMUS (sizeof(qemus) / sizeof(qemus[0]))

/* Names that distributions give to the one for this machine */
static const char *const kvms[] = { "qemu-kvm", "/usr/libexec/qemu-kvm",
				    "kvm" };
#define NKVMS (sizeof(kvms) / sizeof(kvms[0]))

/* One line on standard error, and the end */
static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list ap;

	fputs("qrap: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* Milliseconds of a clock that is not set */
static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

/* Send both questions, in one piece */
static bool ask(int fd)
{
	const struct probe p = {
		.arp_len.len = htonl(PROBE_ARP_LEN),
		.arp_eth = { .ether_dhost = BROADCAST,
			     .ether_shost = PROBE_MAC,
			     .ether_type = htons(ETHERTYPE_ARP) },
		.arp = { .hw = htons(ARP_HW_ETHER),
			 .proto = htons(ARP_PROTO_IPV4),
			 .hlen = ARP_HLEN_ETHER,
			 .plen = ARP_PLEN_IPV4,
			 .op = htons(ARP_OP_REQUEST),
			 .sha = PROBE_MAC,
			 .spa = PROBE_SPA,
			 .tpa = PROBE_TPA },
		.ns_len.len = htonl(sizeof(struct ether_header) +
				    sizeof(struct ip6_hdr) + PROBE_NS_LEN),
		.ns_eth = { .ether_dhost = PROBE_DST_MAC,
			    .ether_shost = PROBE_MAC,
			    .ether_type = htons(ETHERTYPE_IPV6) },
		.ip6 = { .ip6_flow = htonl(6U << 28), /* version */
			 .ip6_plen = htons(PROBE_NS_LEN),
			 .ip6_nxt = IPPROTO_ICMPV6,
			 .ip6_hlim = NDP_HOP_LIMIT,
			 .ip6_src.s6_addr = PROBE_SRC,
			 .ip6_dst.s6_addr = PROBE_DST },
		.ns = { .nd_ns_type = ND_NEIGHBOR_SOLICIT,
			.nd_ns_cksum = htons(PROBE_CSUM),
			.nd_ns_target.s6_addr = PROBE_TARGET },
		.slla = { .type = ND_OPT_SOURCE_LINKADDR,
			  .len = sizeof(struct ndp_opt_lladdr) / NDP_OPT_UNIT,
			  .mac = PROBE_MAC },
	};

	return send(fd, &p, sizeof(p), MSG_NOSIGNAL) == (ssize_t)sizeof(p);
}

/* Is there an answer at the other end of a connection, and who refuses it? */
static enum refusal answers(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	if (!ask(fd))
		return BUSY; /* has hung up already */
	if (poll(&p, 1, ANSWER_WAIT) <= 0)
		return SILENT;
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? TAKEN : BUSY;
}

/* Connect to the socket of number @n and ask. On TAKEN, @fd is set */
static enum refusal try_socket(unsigned n, int *fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	enum refusal r;

	/* Non-blocking: with a full queue connect(2) would wait for ever */
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		die("socket: %s", strerror(errno));
	snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKET_PATH, n);
	if (!connect(*fd, (struct sockaddr *)&addr, sizeof(addr)))
		r = answers(*fd);
	else if (errno == ENOENT)
		r = ABSENT;
	else if (errno == ECONNREFUSED)
		r = STALE;
	else if (errno == EAGAIN)
		r = BUSY;
	else
		r = FAILED;
	if (r == TAKEN) {
		fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) & ~O_NONBLOCK);
	} else {
		int err = errno;

		close(*fd);
		errno = err;
	}
	return r;
}

/* Find a passt that wants a guest, or say why there is none, and end.
 * Return: connection
 */
static int find_passt(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE * 1000000L };
	long end = now_ms() + START_WAIT;
	enum refusal r;
	bool last;
	unsigned n;
	int fd;

	do {
		last = now_ms() >= end;
		for (n = 1; n <= SOCKET_MAX; n++) {
			r = try_socket(n, &fd);
			if (r == TAKEN)
				return fd;
			if (last && r != ABSENT)
				fprintf(stderr, "qrap: " SOCKET_PATH ": %s\n",
					n,
					r == FAILED ? strerror(errno)
						    : refusals[r]);
		}
		if (!last)
			nanosleep(&pause, NULL);
	} while (!last);
	die("no passt takes a guest on any of " SOCKET_PATH " to " SOCKET_PATH
	    ": start passt first",
	    1U, SOCKET_MAX);
}

/* Make the connection descriptor @want */
static void move(int fd, int want)
{
	if (fd == want)
		return;
	if (dup2(fd, want) < 0)
		die("descriptor %d: %s", want, strerror(errno));
	close(fd);
}

/* Is it digits only, and then @fd, which is -1 if it cannot be one? */
static bool number(const char *arg, int *fd)
{
	long n;

	if (!*arg || strspn(arg, "0123456789") != strlen(arg))
		return false;
	n = strlen(arg) > 4 ? 0 : strtol(arg, NULL, 10);
	*fd = n < FD_MIN || n > FD_MAX ? -1 : (int)n;
	return true;
}

/**
 * prop() - Look up a property in what is behind -netdev, -net or -nic
 * @text:	"user,id=n" or, as libvirt writes it, {"type":"user","id":"n"}
 * @key:	"type" is implied for the first word
 * @val:	Filled, PROP_MAX bytes
 *
 * Return: whether it is there, and fits
 */
static bool prop(const char *text, const char *key, char *val)
{
	bool json = *text == '{', implied = !strcmp(key, "type");
	size_t klen = strlen(key), n;
	const char *p = text;

	if (json) {
		char quoted[PROP_MAX];

		snprintf(quoted, sizeof(quoted), "\"%s\"", key);
		p = strstr(text, quoted);
		if (!p)
			return false;
		p += strlen(quoted);
		p += strspn(p, " \t\n:\"");
	} else if (!implied || strcspn(p, "=") < strcspn(p, ",")) {
		while (strncmp(p, key, klen) != 0 || p[klen] != '=') {
			p += strcspn(p, ",");
			if (!*p)
				return false;
			p++;
		}
		p += klen + 1;
	}
	n = strcspn(p, json ? "\",} " : ",");
	if (n >= PROP_MAX)
		return false;
	memcpy(val, p, n);
	val[n] = '\0';
	return true;
}

/* Name of a QEMU option, which may begin with two dashes. NULL: it is none */
static const char *option(const char *arg)
{
	if (*arg != '-' || !arg[1])
		return NULL;
	return arg + (arg[1] == '-' ? 2 : 1);
}

static bool is_one_of(const char *name, const char *const *list)
{
	while (*list && strcmp(name, *list) != 0)
		list++;
	return *list;
}

/* Is the option one that describes a network backend? */
static bool is_net(const char *opt)
{
	static const char *const net[] = { "netdev", "net", "nic", NULL };

	return opt && is_one_of(opt, net);
}

/* Does QEMU run no machine with these arguments, but tells about itself? Callers
 * like libvirt ask it for what it can do, by "-machine none" among others.
 */
static bool only_tells(char *const *argv)
{
	static const char *const tell[] = { "h", "help", "version", NULL };
	static const char *const machine[] = { "M", "machine", NULL };
	char type[PROP_MAX];
	const char *opt;
	size_t len;

	for (; *argv; argv++) {
		opt = option(*argv);
		len = strlen(*argv);
		if (opt && is_one_of(opt, tell))
			return true;
		if (!opt && (!strcmp(*argv, "help") || !strcmp(*argv, "?") ||
			     (len > 5 && !strcmp(*argv + len - 5, ",help"))))
			return true;
		if (opt && argv[1] && is_one_of(opt, machine) &&
		    prop(argv[1], "type", type) && !strcmp(type, "none"))
			return true;
	}
	return false;
}

/* Write the backend that replaces QEMU's own. What describes the device in -nic
 * is kept, the rest means nothing to a socket.
 */
static void replace(char *buf, const char *opt, const char *old, int fd)
{
	static const char *const keys[] = { "id", "model", "mac", "addr",
					    "vectors" };
	size_t nkeys = strcmp(opt, "nic") ? 1 : sizeof(keys) / sizeof(keys[0]);
	char val[PROP_MAX];
	size_t i, n;

	n = (size_t)snprintf(buf, TEXT_MAX, "socket,fd=%d", fd);
	for (i = 0; i < nkeys; i++)
		if (prop(old, keys[i], val) && n < TEXT_MAX)
			n += (size_t)snprintf(buf + n, TEXT_MAX - n, ",%s=%s",
					      keys[i], val);
	if (n >= TEXT_MAX)
		die("too long: -%s %s", opt, old);
	if (strstr(old, "fwd"))
		fprintf(stderr,
			"qrap: -%s %s: ports are forwarded by passt, see its "
			"options -t and -u\n",
			opt, old);
}

/* Virtio network device for a machine, as -machine may say */
static const char *device(const struct qemu *q, char *const *argv)
{
	char type[PROP_MAX];
	const char *opt;

	for (; *argv && argv[1]; argv++) {
		opt = option(*argv);
		if (opt && (!strcmp(opt, "M") || !strcmp(opt, "machine")) &&
		    prop(argv[1], "type", type) && !strcmp(type, "microvm"))
			return "virtio-net-device"; /* it has no PCI bus */
	}
	return q->device;
}

/**
 * connect_args() - Connect QEMU's arguments to passt
 * @argv:	Arguments, NULL-terminated, one of them may be replaced, and
 *		EXTRA_MAX appended
 * @argc:	Their number
 * @q:		QEMU they are for
 */
static void connect_args(char **argv, int argc, const struct qemu *q)
{
	static char backend[TEXT_MAX], dev[TEXT_MAX];
	char val[PROP_MAX], **user = NULL;
	int fd, want, i;

	for (i = 1; i < argc - 1; i++) {
		if (!is_net(option(argv[i])) || !prop(argv[i + 1], "type", val))
			continue;
		if (!strcmp(val, "user") && !user)
			user = &argv[i];
		if (strcmp(val, "socket") != 0 ||
		    !prop(argv[i + 1], "fd", val) || !number(val, &want) ||
		    want < 0 || fcntl(want, F_GETFD) >= 0)
			continue; /* what is open, is somebody else's */
		move(find_passt(), want);
		return;
	}

	fd = find_passt();
	want = fcntl(fd, F_DUPFD, FD_OWN);
	if (want < 0)
		die("descriptor: %s", strerror(errno));
	close(fd);
	if (user) {
		replace(backend, option(user[0]), user[1], want);
		user[1] = backend;
		return;
	}
	snprintf(backend, sizeof(backend), "socket,fd=%d,id=" NETDEV_ID, want);
	snprintf(dev, sizeof(dev), "%s,netdev=" NETDEV_ID, device(q, argv));
	argv[argc++] = "-netdev";
	argv[argc++] = backend;
	argv[argc++] = "-device";
	argv[argc++] = dev;
	argv[argc] = NULL;
}

/* Can this file be executed, and is it not ourselves under another name? */
static bool runs(const char *path)
{
	struct stat self, st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK) &&
	       (stat("/proc/self/exe", &self) || self.st_dev != st.st_dev ||
		self.st_ino != st.st_ino);
}

/* Look for a program as execvp(3) does. Return: path in @buf, NULL if none */
static char *look_up(const char *name, char *buf)
{
	const char *dirs = getenv("PATH"), *next;

	if (strchr(name, '/')) {
		snprintf(buf, TEXT_MAX, "%s", name);
		return runs(buf) ? buf : NULL;
	}
	if (!dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	for (; dirs; dirs = next) {
		int len = (int)strcspn(dirs, ":");

		next = dirs[len] ? dirs + len + 1 : NULL;
		if (snprintf(buf, TEXT_MAX, "%.*s%s%s", len, dirs,
			     len ? "/" : "./", name) < TEXT_MAX &&
		    runs(buf))
			return buf;
	}
	return NULL;
}

/* Row of a QEMU by its file name; NULL: none of them */
static const struct qemu *by_name(const char *name)
{
	size_t i;

	for (i = 0; i < NQEMUS; i++)
		if (!strcmp(qemus[i].name, name))
			return &qemus[i];
	return NULL;
}

/**
 * find_qemu() - Find the QEMU to be run, or say that there is none, and end
 * @name:	Name we were called by
 * @path:	Set to where it is, TEXT_MAX bytes
 *
 * Return: row of it
 */
static const struct qemu *find_qemu(const char *name, char *path)
{
	const struct qemu *named = by_name(name), *q = named;
	struct utsname uts;
	size_t i;

	uname(&uts);
	for (i = 0; i < NQEMUS && !q; i++)
		if (!strcmp(qemus[i].machine, uts.machine))
			q = &qemus[i];
	if (!q)
		die("no QEMU known for %s: give it as in qrap FD COMMAND",
		    uts.machine);
	if (!strncmp(name, "qemu", 4) && look_up(name, path))
		return q;
	/* The name of one architecture does not stand for another */
	for (i = 0; i < NKVMS && !named; i++)
		if (look_up(kvms[i], path))
			return q;
	if (!look_up(q->name, path))
		die("no QEMU found: neither qemu-kvm, /usr/libexec/qemu-kvm, "
		    "kvm nor %s, in PATH",
		    q->name);
	return q;
}

/* Form with a descriptor */
static void __attribute__((noreturn)) run_command(int want, char **argv)
{
	move(find_passt(), want);
	execvp(argv[0], argv);
	die("cannot execute %s: %s", argv[0], strerror(errno));
}

/* Form in the place of QEMU */
static void __attribute__((noreturn))
run_qemu(const char *name, int argc, char **argv)
{
	char *args[argc + EXTRA_MAX + 1], path[TEXT_MAX];
	const struct qemu *q = find_qemu(name, path);

	memcpy(args, argv, ((size_t)argc + 1) * sizeof(*argv));
	args[0] = path;
	if (!only_tells(argv + 1))
		connect_args(args, argc, q);
	execv(path, args);
	die("cannot execute %s: %s", path, strerror(errno));
}

static void usage(FILE *to)
{
	fputs("Usage: qrap FD COMMAND [ARGUMENTS]...\n"
	      "       qrap QEMU-ARGUMENTS...\n"
	      "\n"
	      "Connect QEMU to the first passt without a guest on any of\n"
	      "/tmp/passt_1.socket to /tmp/passt_64.socket, see qrap(1).\n",
	      to);
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "qrap";
	int fd;

	if (!strncmp(name, "qemu", 4))
		run_qemu(name, argc, argv);
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("qrap " VERSION);
		return EXIT_SUCCESS;
	}
	if (argc < 2 || (number(argv[1], &fd) && argc < 3)) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	if (!number(argv[1], &fd))
		run_qemu(name, argc, argv);
	if (fd < 0)
		die("descriptor '%s': a number from %d to %d is expected",
		    argv[1], FD_MIN, FD_MAX);
	run_command(fd, argv + 2);
}
