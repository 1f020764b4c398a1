/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capture files */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pcap.h"
#include "wire/pcap.h"

#define BUFS 200

static char path[] = "/tmp/test_pcap.XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "old", 3), 3);
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	return 0;
}

/* The whole file */
static size_t slurp(uint8_t *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, buf, size);

	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

static void test_file(void **state)
{
	static const uint32_t head[] = { 0xa1b2c3d4, 0, 0, 0, 65535, 1 };
	static uint8_t file[4096], frame[1000];
	struct pcap_record_header rec;
	const uint16_t version[] = { 2, 4 };
	struct iovec iov[BUFS];
	struct pcap pcap;
	uint32_t want[6];
	struct stat st;
	size_t i;
	(void)state;

	memcpy(want, head, sizeof(want));
	memcpy(&want[1], version, sizeof(version));
	unlink(path);
	assert_int_equal(pcap_open(&pcap, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(slurp(file, sizeof(file)), sizeof(want));
	assert_memory_equal(file, want, sizeof(want));

	/* In many buffers; more is there than the frame has */
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	for (i = 0; i < BUFS; i++)
		iov[i] = (struct iovec){ frame + i * 5, 5 };
	pcap_write(&pcap, iov, BUFS, 998);
	pcap_write(&pcap, iov, 1, 5);
	close(pcap.fd);

	assert_int_equal(slurp(file, sizeof(file)), 24 + 16 + 998 + 16 + 5);
	memcpy(&rec, file + 24, sizeof(rec));
	assert_int_equal(rec.len, 998);
	assert_int_equal(rec.caplen, 998);
	assert_true(rec.usec < 1000000);
	assert_in_range(rec.sec, time(NULL) - 60, time(NULL) + 1);
	assert_memory_equal(file + 40, frame, 998);
	memcpy(&rec, file + 40 + 998, sizeof(rec));
	assert_int_equal(rec.caplen, 5);
	assert_memory_equal(file + 56 + 998, frame, 5);
}

static void test_truncates(void **state)
{
	uint8_t file[100];
	struct pcap pcap;
	(void)state;

	assert_int_equal(pcap_open(&pcap, path), 0);
	assert_int_equal(slurp(file, sizeof(file)), 24);
	close(pcap.fd);
}

/* A frame longer than the format allows is cut, its length told */
static void test_snaplen(void **state)
{
	static uint8_t file[70000], frame[65549];
	struct iovec iov = { frame, sizeof(frame) };
	struct pcap_record_header rec;
	struct pcap pcap;
	(void)state;

	assert_int_equal(pcap_open(&pcap, path), 0);
	pcap_write(&pcap, &iov, 1, sizeof(frame));
	close(pcap.fd);
	assert_int_equal(slurp(file, sizeof(file)), 24 + 16 + 65535);
	memcpy(&rec, file + 24, sizeof(rec));
	assert_int_equal(rec.len, sizeof(frame));
	assert_int_equal(rec.caplen, 65535);
}

static void test_errors(void **state)
{
	uint8_t frame[60] = { 0 };
	struct iovec iov = { frame, sizeof(frame) };
	struct pcap pcap;
	(void)state;

	assert_int_equal(pcap_open(&pcap, "/nowhere/at/all"), -ENOENT);
	assert_int_equal(pcap.fd, -1);
	pcap_write(&pcap, &iov, 1, sizeof(frame)); /* no-op */
	assert_int_equal(pcap_open(&pcap, "/dev/full"), -ENOSPC);
	assert_int_equal(pcap.fd, -1);

	/* When the disk fills up later, that is the end of the capture */
	pcap.fd = open("/dev/full", O_WRONLY);
	assert_true(pcap.fd >= 0);
	pcap_write(&pcap, &iov, 1, sizeof(frame));
	assert_int_equal(pcap.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncates, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_snaplen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	return cmocka_run_group_tests_name("pcap", tests, NULL, NULL);
}
