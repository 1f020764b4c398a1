/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers shared by the pieces of the load generator */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 socket address and the length the kernel wants with it */
struct load_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/** load_die() - Print what failed with errno, and end with status 1 */
void load_die(const char *what);

/** load_now() - Return: CLOCK_MONOTONIC in nanoseconds */
uint64_t load_now(void);

/**
 * load_addr_parse() - Numeric address and port to a socket address
 * @host:	IPv4 or IPv6 literal
 * @port:	Decimal port
 *
 * Return: the address; ends the program if it is malformed
 */
struct load_addr load_addr_parse(const char *host, const char *port);

/**
 * load_bound() - Make a socket bound to a port of every address (dual stack)
 * @type:	SOCK_STREAM (which also listens) or SOCK_DGRAM
 * @port:	Decimal port
 *
 * Return: file descriptor; ends the program on failure
 */
int load_bound(int type, const char *port);

/** load_timeout() - Let blocking calls on @fd give up after @ms milliseconds */
void load_timeout(int fd, long ms);

/** load_ready() - Tell the harness, on standard output, that we listen */
void load_ready(void);

/*
 * The modes: each takes the arguments after its name, as load.c checked their
 * number, prints one JSON object and returns the exit status
 */
int load_udp_echo(char **argv);
int load_udp_rr(char **argv);
int load_udp_sink(char **argv);
int load_udp_flood(char **argv);
int load_udp_source(char **argv);
int load_udp_pull(char **argv);
int load_tcp_echo(char **argv);
int load_tcp_echo_n(char **argv);
int load_tcp_rr(char **argv);
int load_tcp_rr_n(char **argv);
int load_tcp_crowd(char **argv);
int load_tcp_crr(char **argv);
int load_tcp_blast(char **argv);
int load_tcp_stall(char **argv);
int load_many_serve(char **argv);
int load_many_hold(char **argv);

#endif /* PERF_LOAD_H */
