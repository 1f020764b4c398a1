/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capture of tap frames to a file, classic pcap 2.4 */

#include "pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "lib/fdio.h"
#include "lib/iov.h"
#include "lib/log.h"
#include "wire/pcap.h"

/* #syscalls writev clock_gettime(0=CLOCK_REALTIME) close */

/* Buffers written at once */
#define PCAP_IOVS 64

int pcap_open(struct pcap *pcap, const char *path)
{
	const struct pcap_file_header head = {
		.magic = PCAP_MAGIC,
		.version_major = PCAP_VERSION_MAJOR,
		.version_minor = PCAP_VERSION_MINOR,
		.snaplen = PCAP_SNAPLEN,
		.linktype = PCAP_LINK_ETHERNET,
	};
	int rc;

	pcap->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			S_IRUSR | S_IWUSR);
	if (pcap->fd < 0) {
		rc = -errno;
		err("Cannot open capture file %s: %s", path, errstr(rc));
		return rc;
	}

	rc = write_all(pcap->fd, &head, sizeof(head));
	if (rc) {
		err("Cannot write to capture file %s: %s", path, errstr(rc));
		close(pcap->fd);
		pcap->fd = -1;
	}
	return rc;
}

/* Write all bytes of some buffers, which are used up; 0 or -errno */
static int pcap_writev(int fd, struct iovec *iov, int cnt)
{
	while (cnt) {
		ssize_t n = writev(fd, iov, cnt);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; cnt && (size_t)n >= iov->iov_len; iov++, cnt--)
			n -= (ssize_t)iov->iov_len;
		if (cnt) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Record header and frame, a few buffers at a time */
static int pcap_write_record(int fd, struct pcap_record_header *head,
			     struct iov_tail tail)
{
	struct iovec iov[PCAP_IOVS] = { { head, sizeof(*head) } };
	int cnt = 1, rc;

	for (;;) {
		for (; tail.len && cnt < PCAP_IOVS; cnt++) {
			size_t n = tail.iov->iov_len - tail.off;
			uint8_t *base = tail.iov->iov_base;

			n = n < tail.len ? n : tail.len;
			iov[cnt].iov_base = base + tail.off;
			iov[cnt].iov_len = n;
			iov_tail_drop(&tail, n);
		}

		rc = pcap_writev(fd, iov, cnt);
		if (rc || !tail.len)
			return rc;
		cnt = 0;
	}
}

void pcap_write(struct pcap *pcap, const struct iovec *iov, size_t iovcnt,
		size_t len)
{
	struct iov_tail tail = iov_tail_init(iov, iovcnt, 0);
	struct pcap_record_header head;
	struct timespec now;
	int rc;

	if (pcap->fd < 0)
		return;

	if (len > tail.len)
		len = tail.len;
	clock_gettime(CLOCK_REALTIME, &now);
	head.sec = (uint32_t)now.tv_sec;
	head.usec = (uint32_t)(now.tv_nsec / 1000);
	head.len = (uint32_t)len;
	head.caplen = len < PCAP_SNAPLEN ? (uint32_t)len : PCAP_SNAPLEN;
	iov_tail_trim(&tail, head.caplen);

	rc = pcap_write_record(pcap->fd, &head, tail);
	if (rc) {
		/* What follows half a record could not be read */
		err("Capture ends here, cannot write: %s", errstr(rc));
		close(pcap->fd);
		pcap->fd = -1;
	}
}
