/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Join a tap device and passt's stream socket, as QEMU does for a guest: real
 * programs in a network namespace can then use passt.
 *
 * Usage: bridge IFNAME SOCKET-PATH
 *
 * Makes the tap in the current network namespace, connects, prints "ready" and
 * copies frames until the socket is closed. Frames on the socket have their
 * length in front, 32 bits big-endian. Blocking writes both ways: the two
 * directions are two processes, so neither can keep the other from draining.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAME_MAX = 65535 + 14 + 4, BUF_SIZE = 1 << 20 };

/* die() - Say what failed, with the reason in errno, and exit */
static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* tap_open() - Make a tap device of the given name. Return: descriptor */
static int tap_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("TUNSETIFF");

	return fd;
}

/* stream_open() - Connect to a UNIX stream socket. Return: descriptor */
static int stream_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");

	memcpy(addr.sun_path, path, strnlen(path, sizeof(addr.sun_path) - 1));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(path);

	return fd;
}

/* send_all() - Write all bytes, however many calls it takes */
static void send_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t done = send(fd, data, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			exit(0);
		data += done;
		n -= (size_t)done;
	}
}

/* tap_to_stream() - Copy frames of the tap to the socket, for ever */
static void tap_to_stream(int tap, int stream)
{
	static char buf[sizeof(uint32_t) + FRAME_MAX];

	for (;;) {
		ssize_t n = read(tap, buf + sizeof(uint32_t), FRAME_MAX);
		uint32_t len = htonl((uint32_t)n);

		if (n < 0 && (errno == EINTR || errno == EIO))
			continue; /* EIO: the link is down */
		if (n <= 0)
			die("tap");
		memcpy(buf, &len, sizeof(len));
		send_all(stream, buf, sizeof(len) + (size_t)n);
	}
}

/* stream_to_tap() - Copy frames of the socket to the tap, to its end */
static void stream_to_tap(int stream, int tap)
{
	static char buf[BUF_SIZE];
	size_t have = 0;

	for (;;) {
		ssize_t n = recv(stream, buf + have, sizeof(buf) - have, 0);
		size_t at = 0;
		uint32_t len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		have += (size_t)n;

		while (have - at >= sizeof(len)) {
			memcpy(&len, buf + at, sizeof(len));
			len = ntohl(len);
			if (len > FRAME_MAX) {
				fprintf(stderr, "frame of %u bytes\n", len);
				exit(1);
			}
			if (have - at < sizeof(len) + len)
				break;
			/* EIO: the link is down; such a frame is lost */
			if (write(tap, buf + at + sizeof(len), len) < 0 &&
			    errno != EIO)
				perror("write to tap");
			at += sizeof(len) + len;
		}
		have -= at;
		memmove(buf, buf + at, have);
	}
}

int main(int argc, char **argv)
{
	int tap, stream;
	pid_t child;

	if (argc != 3) {
		fprintf(stderr, "usage: %s IFNAME SOCKET-PATH\n", argv[0]);
		return 2;
	}

	tap = tap_open(argv[1]);
	stream = stream_open(argv[2]);

	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		tap_to_stream(tap, stream);
	}

	puts("ready");
	fflush(stdout);
	stream_to_tap(stream, tap);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	return 0;
}
