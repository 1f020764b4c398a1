/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qrap: connect QEMU before 7.2, which cannot do so itself, to passt
 *
 * Usage: qrap FD COMMAND [ARGUMENTS]...
 *
 * Connects to the first of /tmp/passt_1.socket to /tmp/passt_64.socket that
 * accepts and does not hang up at once, as one that has a guest already does,
 * gives the connection to COMMAND as descriptor FD and executes it:
 *
 *	qrap 5 qemu-system-x86_64 ... -netdev socket,fd=5,id=net0
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATH "/tmp/passt_%u.socket"
#define SOCKET_MAX  64

/* Who is going to hang up has done so after this time, ms */
#define HANGUP_WAIT 200

/* Is the other end going to keep this connection? */
static bool stays(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };

	return poll(&p, 1, HANGUP_WAIT) <= 0 ||
	       !(p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Connect to the socket of number @n. Return: descriptor, -1 on failure */
static int connect_to(unsigned n)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKET_PATH, n);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)) && stays(fd))
		return fd;
	close(fd);
	return -1;
}

/* Descriptor number from an argument. Return: -1 if it is none */
static int parse_fd(const char *arg)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (errno || end == arg || *end || n < 3 || n > 1023)
		return -1;
	return (int)n;
}

int main(int argc, char **argv)
{
	int want, fd = -1;
	unsigned n;

	if (argc < 3) {
		fprintf(stderr, "Usage: qrap FD COMMAND [ARGUMENTS]...\n");
		return EXIT_FAILURE;
	}
	want = parse_fd(argv[1]);
	if (want < 0) {
		fprintf(stderr,
			"qrap: descriptor '%s': a number from 3 to "
			"1023 is expected\n",
			argv[1]);
		return EXIT_FAILURE;
	}
	for (n = 1; n <= SOCKET_MAX && fd < 0; n++)
		fd = connect_to(n);
	if (fd < 0) {
		fprintf(stderr,
			"qrap: no passt takes a guest on any of " SOCKET_PATH
			" to %u: start passt first\n",
			1U, n - 1);
		return EXIT_FAILURE;
	}
	if (fd != want) {
		if (dup2(fd, want) < 0) {
			perror("qrap: dup2");
			return EXIT_FAILURE;
		}
		close(fd);
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "qrap: cannot execute %s: %s\n", argv[2],
		strerror(errno));
	return EXIT_FAILURE;
}
