/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets: options arrive in the kernel, binds and errors are what they say */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WAIT_MS 5000

static int get_int(int fd, int level, int opt)
{
	socklen_t len = sizeof(int);
	int val = -1;

	assert_int_equal(getsockopt(fd, level, opt, &val, &len), 0);
	return val;
}

static in_port_t port_of(int fd)
{
	union sockaddr_any sa;
	union inany_addr addr;
	socklen_t len = sizeof(sa);
	in_port_t port;

	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	assert_int_equal(inany_from_sockaddr(&addr, &port, &sa), 0);
	return port;
}

static void test_probe(void **state)
{
	struct sock_features f;

	(void)state;
	unsetenv("PASST_KERNEL_WITHOUT");
	sock_probe(&f);
	assert_true(f.rmem_max > 0 && f.wmem_max > 0);
	assert_true(f.meminfo && f.udp_gso && f.ipv6);

	setenv("PASST_KERNEL_WITHOUT", "udp_gso,ipv6,meminfo", 1);
	sock_probe(&f);
	assert_false(f.udp_gso || f.ipv6 || f.meminfo);

	setenv("PASST_KERNEL_WITHOUT", "uso,peek_off,vnet_hdr,", 1);
	sock_probe(&f);
	assert_false(f.peek_off);
	assert_true(f.udp_gso && f.ipv6 && f.meminfo);

	setenv("PASST_KERNEL_WITHOUT", "udp_gso_, meminfo,,udp", 1);
	sock_probe(&f);
	assert_true(f.udp_gso && f.meminfo);
	unsetenv("PASST_KERNEL_WITHOUT");
}

/* What sock_open() is asked for, and an option that tells whether it did */
static void test_options(void **state)
{
	static const struct {
		struct sock_spec spec;
		int level, opt, want;
	} c[] = {
		{ { .af = AF_INET, .reuse = true },
		  SOL_SOCKET,
		  SO_REUSEADDR,
		  1 },
		{ { .af = AF_INET }, SOL_SOCKET, SO_REUSEADDR, 0 },
		{ { .af = AF_INET, .pktinfo = true }, SOL_IP, IP_PKTINFO, 1 },
		{ { .af = AF_INET, .recverr = true }, SOL_IP, IP_RECVERR, 1 },
		{ { .af = AF_INET, .recvttl = true }, SOL_IP, IP_RECVTTL, 1 },
		{ { .af = AF_INET, .freebind = true }, SOL_IP, IP_FREEBIND, 1 },
		{ { .af = AF_INET6, .pktinfo = true },
		  SOL_IPV6,
		  IPV6_RECVPKTINFO,
		  1 },
		{ { .af = AF_INET6, .recverr = true },
		  SOL_IPV6,
		  IPV6_RECVERR,
		  1 },
		{ { .af = AF_INET6, .recverr = true }, SOL_IP, IP_RECVERR, 0 },
		{ { .af = AF_INET6, .recverr = true, .dual = true },
		  SOL_IP,
		  IP_RECVERR,
		  1 },
		{ { .af = AF_INET6, .recvttl = true },
		  SOL_IPV6,
		  IPV6_RECVHOPLIMIT,
		  1 },
		{ { .af = AF_INET6, .recvttl = true, .dual = true },
		  SOL_IP,
		  IP_RECVTTL,
		  1 },
		{ { .af = AF_INET6, .bind = &inany_any6 },
		  SOL_IPV6,
		  IPV6_V6ONLY,
		  1 },
		{ { .af = AF_INET6, .bind = &inany_any6, .dual = true },
		  SOL_IPV6,
		  IPV6_V6ONLY,
		  0 },
	};
	struct sock_spec s;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(*c); i++) {
		s = c[i].spec;
		s.type = SOCK_DGRAM;
		fd = sock_open(&s);
		assert_true(fd >= 0);
		if (get_int(fd, c[i].level, c[i].opt) != c[i].want)
			fail_msg("case %zu", i);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
}

static void test_bind(void **state)
{
	struct sock_spec s = { .af = AF_INET,
			       .type = SOCK_STREAM,
			       .bind = &inany_loopback4,
			       .port = 4000 };
	union inany_addr a;
	int fd, other;

	(void)state;
	fd = sock_open(&s);
	assert_true(fd >= 0);
	assert_int_equal(port_of(fd), 4000);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(sock_open(&s), -EADDRINUSE);
	/* Unspecified of either notation, and of both families */
	s.port = 4001;
	s.bind = &inany_any6;
	other = sock_open(&s);
	assert_true(other >= 0);
	close(other);
	s.af = AF_INET6;
	s.bind = &inany_any4;
	s.dual = true;
	other = sock_open(&s);
	assert_true(other >= 0);
	close(other);
	close(fd);

	assert_int_equal(inany_pton("192.0.2.77", &a), 0);
	s = (struct sock_spec){
		.af = AF_INET, .type = SOCK_STREAM, .bind = &a, .port = 4000
	};
	assert_int_equal(sock_open(&s), -EADDRNOTAVAIL);
	s.freebind = true;
	fd = sock_open(&s);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(inany_pton("2001:db8::77", &a), 0);
	s.af = AF_INET6;
	fd = sock_open(&s);
	assert_true(fd >= 0);
	close(fd);
	s.ifname = "nosuchif";
	assert_int_equal(sock_open(&s), -ENODEV);
	/* No port to connect from is taken yet */
	s = (struct sock_spec){ .af = AF_INET,
				.type = SOCK_STREAM,
				.bind = &inany_loopback4 };
	fd = sock_open(&s);
	assert_true(fd >= 0);
	assert_int_equal(port_of(fd), 0);
	close(fd);
}

/* Connect both families over a listener for both; refusal; reset */
static void test_connect(void **state)
{
	struct sock_spec ls = { .af = AF_INET6,
				.type = SOCK_STREAM,
				.bind = &inany_any6,
				.port = 4000,
				.dual = true,
				.ifname = "lo" };
	const union inany_addr *to[] = { &inany_loopback4, &inany_loopback6 };
	struct sock_spec s = { .type = SOCK_STREAM };
	int l = sock_open(&ls), fd, peer, rc;
	struct pollfd pfd;
	unsigned i;
	char b;

	(void)state;
	assert_true(l >= 0);
	assert_int_equal(listen(l, 1), 0);
	for (i = 0; i < 2; i++) {
		s.af = inany_af(to[i]);
		fd = sock_open(&s);
		rc = sock_connect(fd, to[i], 4000, 0);
		assert_true(!rc || rc == -EINPROGRESS);
		pfd = (struct pollfd){ .fd = l, .events = POLLIN };
		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		peer = accept(l, NULL, NULL);
		assert_true(peer >= 0);
		assert_int_equal(sock_error(fd), 0);
		sock_close_rst(peer);
		pfd.fd = fd;
		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		assert_int_equal(sock_error(fd), ECONNRESET);
		assert_int_equal(sock_error(fd), 0);
		assert_int_equal(read(fd, &b, 1), 0);
		close(fd);

		fd = sock_open(&s);
		rc = sock_connect(fd, to[i], 4001, 0);
		if (rc == -EINPROGRESS) {
			pfd.fd = fd;
			assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
			rc = -sock_error(fd);
		}
		assert_int_equal(rc, -ECONNREFUSED);
		close(fd);
	}
	close(l);
	assert_int_equal(sock_error(-1), EBADF);
}

/* Own namespace with its loopback up */
static int set_up(void **state)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
