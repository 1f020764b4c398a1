/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all backends of the tap share: lending, padding, checksums, capture */

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "pcap.h"
#include "tap/backend.h"
#include "test/unit/packet.h"
#include "wire/pcap.h"

static struct ether ether;
static const struct ether_l2 l2[] = { { 0 } };
static const struct ether_l4 l4[] = { { 0 } };

static int setup(void **state)
{
	(void)state;
	ether_init(&ether, &guest, l2, l4, true, true);
	resp_setup(&ether);
	pkt_rnd_state = 88172645463325252ULL;
	return 0;
}

/* Frames lent: as asked for, apart from one another, with nothing left over */
static void test_reserve(void **state)
{
	static const struct {
		unsigned want, n;
		size_t hdrlen, len;
	} rows[] = {
		{ 1, 1, 42, 0 },
		{ 3, 3, 54, 1 },
		{ 64, 64, FRAME_HDR_MAX, 1500 },
		{ 1000, BATCH_FRAMES, 42, 65507 },
	};
	struct batch *b;
	unsigned i, j, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (k = 0; k < 2; k++) {
			b = tap_reserve(&tap, rows[i].want, rows[i].hdrlen,
					rows[i].len);
			assert_non_null(b);
			assert_int_equal(b->n, rows[i].n);
			assert_int_equal(b->iovcnt, rows[i].n);
			for (j = 0; j < b->n; j++) {
				struct frame *f = &b->frame[j];

				assert_int_equal(f->hdrlen, rows[i].hdrlen);
				assert_int_equal(f->len,
						 rows[i].hdrlen + rows[i].len);
				assert_int_equal(f->csum_start, 0);
				assert_int_equal(f->gso, FRAME_GSO_NONE);
				assert_int_equal(f->gso_size, 0);
				assert_int_equal(f->iovcnt, 1);
				assert_ptr_equal(f->iov, &BATCH_IOV(b)[j]);
				assert_ptr_equal(f->iov->iov_base,
						 f->hdr + f->hdrlen);
				assert_int_equal(f->iov->iov_len, rows[i].len);
				if (j)
					assert_true(f->hdr >=
						    f[-1].hdr + f[-1].len);
				/* left over for the next round */
				f->csum_start = 9;
				f->gso = FRAME_GSO_UDP;
				f->gso_size = 9;
			}
			tap_submit(&tap, b, 0);
		}
	}
	assert_int_equal(tap_mem.n, 0);
	assert_int_equal(tap.stats.tx_frames, 0);

	assert_null(tap_reserve(&tap, 0, 42, 0));
	tap_mem.blocked = true;
	assert_null(tap_reserve(&tap, 1, 42, 0));
	assert_int_equal(tap.stats.tx_blocked, 2);
}

/* Prefix, header, payload of neighbours do not touch, padding has room */
static void test_layout(void **state)
{
	static uint8_t base[BATCH_FRAMES * 2100] __attribute__((aligned(8)));
	static struct batch b;
	size_t hdrlen, len, prefix;
	unsigned i;

	(void)state;
	for (prefix = 0; prefix < 12; prefix++) {
		for (hdrlen = 14; hdrlen < 114; hdrlen++) {
			for (len = 0; len < 1900; len += 1 + len / 8) {
				size_t most = hdrlen + len > 60 ? hdrlen + len
								: 60;
				size_t stride = tap_stride(prefix, hdrlen, len);

				tap_lay_out(&b, base, prefix, BATCH_FRAMES,
					    hdrlen, len);
				assert_true(b.frame[0].hdr >= base + prefix);
				assert_int_equal(
					(uintptr_t)b.frame[0].iov->iov_base %
						TAP_ALIGN,
					0);
				assert_int_equal(stride % TAP_ALIGN, 0);
				for (i = 1; i < BATCH_FRAMES; i++)
					assert_true(b.frame[i].hdr - prefix >=
						    b.frame[i - 1].hdr + most);
				assert_true(b.frame[i - 1].hdr + most <
					    base + i * stride + TAP_ALIGN);
			}
		}
	}
}

/* A UDP datagram, its checksum left to the tap. Return: bytes of the frame */
static size_t send_udp(bool v4, size_t n, size_t room)
{
	union inany_addr s = addr(v4 ? DST4 : DST6);
	union inany_addr d = addr(v4 ? SRC4 : SRC6);
	struct l3_spec l3 = { .src = &s, .dst = &d, .proto = IPPROTO_UDP };
	size_t off = frame_l3_len(v4), i;
	struct batch *b = tap_reserve(&tap, 1, off + 8, room);
	struct frame *f = &b->frame[0];
	uint8_t *p = f->iov->iov_base;
	uint8_t *uh = tap_push_l3(&tap, f, &l3, 8 + n);

	assert_ptr_equal(uh, f->hdr + off);
	frame_push_udp(uh, &l3, 53, 40000, n);
	memset(p, 0xee, room); /* what must not be seen */
	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(i + 1);
	f->len = off + 8 + n;
	f->csum_start = (uint16_t)off;
	f->csum_off = 6;
	tap_submit(&tap, b, 1);
	return off + 8 + n;
}

/* Runts are padded with zeroes, which are not part of the checksum; also if
 * the backend leaves checksums to its peer
 */
static void test_padding(void **state)
{
	unsigned v4, offload;
	size_t n, room, i, l4len;

	(void)state;
	for (offload = 0; offload < 2; offload++) {
		tap_mem.offload = offload;
		for (v4 = 0; v4 < 2; v4++) {
			for (n = 0; n < 40; n++) {
				for (room = n; room < n + 30; room += 29) {
					size_t len = send_udp(v4, n, room);
					size_t want = len < 60 ? 60 : len;

					assert_int_equal(tap_mem.len[0], want);
					for (i = len; i < want; i++)
						assert_int_equal(
							tap_mem.frame[0][i], 0);
					if (!offload || len < 60)
						resp_l4(&l4len);
					tap_mem_reset();
				}
			}
		}
	}
	tap_mem.offload = false;
	assert_int_equal(tap.stats.tx_frames, 2 * 2 * 40 * 2);
}

/* Addresses on the link: ours, or as told, to the guest */
static void test_push(void **state)
{
	static const uint8_t other[] = { 2, 1, 1, 1, 1, 1 };
	union inany_addr s = addr(DST4), d = addr(SRC4);
	struct l3_spec l3 = { .src = &s, .dst = &d };
	struct batch *b = tap_reserve(&tap, 1, 34, 0);

	(void)state;
	tap_push_l3(&tap, b->frame, &l3, 0);
	assert_memory_equal(b->frame[0].hdr, guest_mac, 6);
	assert_memory_equal(b->frame[0].hdr + 6, guest.our_mac, 6);
	l3.src_mac = other;
	tap_push_l3(&tap, b->frame, &l3, 0);
	assert_memory_equal(b->frame[0].hdr + 6, other, 6);
	tap_submit(&tap, b, 0);
}

/* Small datagrams built elsewhere: where the checksum goes, and over what */
static void test_send_l4(void **state)
{
	static const struct {
		uint8_t proto;
		int off;
	} rows[] = {
		{ IPPROTO_UDP, 6 },
		{ IPPROTO_TCP, 16 },
		{ IPPROTO_ICMP, 2 },
		{ IPPROTO_ICMPV6, 2 },
	};
	static uint8_t dgram[65536];
	unsigned i, v4;
	size_t n, len;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (n = 20; n < 80; n++) {
			union inany_addr s, d;
			struct l3_spec l3 = { .src = &s,
					      .dst = &d,
					      .proto = rows[i].proto };
			size_t k;

			v4 = i == 2 || (i < 2 && n % 2);
			s = addr(v4 ? DST4 : DST6);
			d = addr(v4 ? SRC4 : SRC6);
			for (k = 0; k < n; k++)
				dgram[k] = (uint8_t)pkt_rnd(256);
			memset(dgram + rows[i].off, 0, 2);
			assert_int_equal(
				tap_send_l4(&tap, &l3, dgram, n, rows[i].off),
				0);
			resp_l4(&len);
			assert_int_equal(len, n);
			tap_mem_reset();
		}
	}
}

static void test_send_l4_odd(void **state)
{
	union inany_addr s = addr(DST4), d = addr(SRC4);
	struct l3_spec l3 = { .src = &s, .dst = &d, .proto = IPPROTO_UDP };
	static uint8_t dgram[65536];
	uint16_t sum;

	(void)state;
	/* what sums up to zero is said as all ones in UDP only */
	sum = (uint16_t)~frame_pseudo(&l3, 8);
	memcpy(dgram, &sum, 2);
	assert_int_equal(tap_send_l4(&tap, &l3, dgram, 8, 6), 0);
	assert_int_equal(tap_mem.frame[0][L4_OFF4 + 6], 0xff);
	assert_int_equal(tap_mem.frame[0][L4_OFF4 + 7], 0xff);
	/* none to fill */
	tap_mem_reset();
	assert_int_equal(tap_send_l4(&tap, &l3, dgram, 8, -1), 0);
	assert_memory_equal(tap_mem.frame[0] + L4_OFF4, dgram, 8);
	tap_mem_reset();

	/* more than the MTU: fragments of 1480 bytes, the last of 395 */
	guest.offer.mtu = 1500;
	assert_int_equal(tap_send_l4(&tap, &l3, dgram, 65515, 6), 0);
	assert_int_equal(tap_mem.n, 45);
	assert_int_equal(tap_mem.len[0], 14 + 1500);
	assert_int_equal(tap_mem.len[44], 14 + 20 + 395);
	assert_int_equal(tap_mem.frame[0][20] << 8 | tap_mem.frame[0][21],
			 IP_MF);
	assert_int_equal(tap_mem.frame[44][20] << 8 | tap_mem.frame[44][21],
			 44 * 1480 / 8);
	assert_int_equal(tap_send_l4(&tap, &l3, dgram, 65516, 6), -EMSGSIZE);
	tap_mem_reset();
	assert_int_equal(tap_send_l4(&tap, &l3, dgram, 8, 6), 0);
	tap_mem.blocked = true;
	assert_int_equal(tap_send_l4(&tap, &l3, dgram, 8, 6), -EAGAIN);
	assert_int_equal(tap_send_l2(&tap, dgram, 42), -EAGAIN);
	assert_int_equal(tap_mem.n, 1);
}

static void test_send_l2(void **state)
{
	uint8_t frame[100];
	size_t n, i;

	(void)state;
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i + 1);
	for (n = 14; n <= sizeof(frame); n++) {
		assert_int_equal(tap_send_l2(&tap, frame, n), 0);
		assert_int_equal(tap_mem.len[0], n < 60 ? 60 : n);
		assert_memory_equal(tap_mem.frame[0], frame, n);
		for (i = n; i < 60; i++)
			assert_int_equal(tap_mem.frame[0][i], 0);
		tap_mem_reset();
	}
}

/* Next record of a capture. Return: bytes of its frame, 0 at the end */
static size_t record(int fd, uint8_t *frame, size_t max)
{
	struct pcap_record_header head;
	ssize_t n = read(fd, &head, sizeof(head));

	if (!n)
		return 0;
	assert_int_equal(n, sizeof(head));
	assert_int_equal(head.caplen, head.len);
	assert_true(head.len <= max);
	assert_int_equal(read(fd, frame, head.len), head.len);
	return head.len;
}

/* Both directions, padding and all */
static void test_capture(void **state)
{
	char path[] = "/tmp/test_tap_XXXXXX";
	uint8_t frame[2000] = { 0 };
	struct pcap pcap;
	size_t n;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pcap_open(&pcap, path), 0);
	tap.pcap = &pcap;
	for (n = 0; n < 1400; n += 1 + n / 2)
		send_udp(n & 1, n, n);
	tap_send_l2(&tap, frame, 42);
	tap_mem_inject(&tap, tap_mem.frame[0], 20);
	close(pcap.fd);

	assert_int_equal(lseek(fd, sizeof(struct pcap_file_header), SEEK_SET),
			 sizeof(struct pcap_file_header));
	for (n = 0; n < tap_mem.n; n++) {
		size_t len = record(fd, frame, sizeof(frame));

		assert_int_equal(len, tap_mem.len[n]);
		/* the checksum of larger ones is completed behind */
		if (len == ETH_MIN_LEN)
			assert_memory_equal(frame, tap_mem.frame[n], len);
		else
			assert_memory_equal(frame + 62, tap_mem.frame[n] + 62,
					    len - 62);
	}
	assert_int_equal(record(fd, frame, sizeof(frame)), 20);
	assert_int_equal(record(fd, frame, sizeof(frame)), 0);
	close(fd);
	unlink(path);
	assert_int_equal(tap.stats.rx_frames, 1);
}

/* What --trace says of a frame, whatever is in it; cut short, and in pieces */
static void test_trace(void **state)
{
#define V4 "\x45\0\0\x28\0\0"
#define A4 "\0\0\300\0\2\x0f\306\063\144\1"
	static const struct {
		const char *eth, *l3;
		size_t l3len;
		const char *text;
	} rows[] = {
		{ "\x08\0", V4 "\0\0\x40\x06" A4 "\0\x50\1\xbb", 24,
		  "38 bytes, TCP 192.0.2.15 port 80 -> 198.51.100.1 port 443" },
		{ "\x08\0", V4 "\0\0\x40\x11" A4 "\0\x35\0", 23,
		  "37 bytes, UDP 192.0.2.15 -> 198.51.100.1" },
		{ "\x08\0", V4 "\0\1\x40\x11" A4 "\0\x35\0\x35", 24,
		  "38 bytes, UDP 192.0.2.15 -> 198.51.100.1" },
		{ "\x08\0", V4 "\0\0\x40\x01" A4 "\x08\0\0\0", 24,
		  "38 bytes, ICMP 192.0.2.15 -> 198.51.100.1" },
		{ "\x08\0", V4 "\0\0\x40\x84" A4 "\0\0\0\0", 24,
		  "38 bytes, IP protocol 132 192.0.2.15 -> 198.51.100.1" },
		{ "\x08\0", V4, 6, "20 bytes, EtherType 0x0800" },
		{ "\x08\0", "\x4f\0\0\x28\0\0\0\0\x40\x06" A4, 20,
		  "34 bytes, TCP 192.0.2.15 -> 198.51.100.1" },
		{ "\x86\xdd",
		  "\x60\0\0\0\0\0\x3a\xff"
		  "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2"
		  "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1",
		  40, "54 bytes, ICMPv6 fe80::2 -> ff02::1" },
		{ "\x86\xdd",
		  "\x60\0\0\0\0\0\x11\xff"
		  "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2"
		  "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
		  "\2\x22\2\x23",
		  44, "58 bytes, UDP fe80::2 port 546 -> ff02::1 port 547" },
		{ "\x86\xdd", "\x60", 1, "15 bytes, EtherType 0x86dd" },
		{ "\x08\x06", "\0\1", 2, "16 bytes, ARP" },
		{ "\x88\xcc", "", 0, "14 bytes, EtherType 0x88cc" },
	};
	uint8_t frame[80] = { 0 };
	int real = dup(STDERR_FILENO), file = memfd_create("trace", 0);
	char said[256], *end;
	struct iovec iov[2];
	size_t len, cut;
	unsigned i;
	ssize_t n;

	(void)state;
	assert_true(file >= 0);
	log_level(LOG_TRACE);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(frame + 12, rows[i].eth, 2);
		memcpy(frame + 14, rows[i].l3, rows[i].l3len);
		len = 14 + rows[i].l3len;
		for (cut = 0; cut <= len; cut++) {
			iov[0] = (struct iovec){ frame, cut };
			iov[1] = (struct iovec){ frame + cut, len - cut };
			assert_int_equal(ftruncate(file, 0), 0);
			assert_int_equal(lseek(file, 0, SEEK_SET), 0);
			dup2(file, STDERR_FILENO);
			tap_trace("Way", iov, 2, len);
			dup2(real, STDERR_FILENO);
			n = pread(file, said, sizeof(said) - 1, 0);
			assert_true(n > 0);
			said[n] = 0;
			end = strstr(said, ": Way: ");
			assert_non_null(end);
			end[strlen(end) - 1] = 0; /* newline */
			assert_string_equal(end + 7, rows[i].text);
		}
	}
	dup2(file, STDERR_FILENO);
	for (len = 0; len < 14; len++)
		tap_trace("Way", &(struct iovec){ frame, len }, 1, len);
	dup2(real, STDERR_FILENO);
	n = pread(file, said, sizeof(said) - 1, 0);
	assert_true(n > 0);
	said[n] = 0;
	assert_non_null(strstr(said, "0 bytes, too short"));
	log_level(LOG_INFO);
	close(real);
	close(file);
}

/* A backend need not have all operations */
static void test_flush(void **state)
{
	(void)state;
	tap_flush(&tap);
	assert_int_equal(tap.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reserve, setup),
		cmocka_unit_test_setup(test_layout, setup),
		cmocka_unit_test_setup(test_padding, setup),
		cmocka_unit_test_setup(test_push, setup),
		cmocka_unit_test_setup(test_send_l4, setup),
		cmocka_unit_test_setup(test_send_l4_odd, setup),
		cmocka_unit_test_setup(test_send_l2, setup),
		cmocka_unit_test_setup(test_capture, setup),
		cmocka_unit_test_setup(test_trace, setup),
		cmocka_unit_test_setup(test_flush, setup),
	};

	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
