/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink conversation: requests, acknowledgements, dumps (netlink(7))
 *
 * Answers are matched by sequence number: what belongs to an earlier request,
 * or does not come from the kernel, is passed over. A dump is collected whole
 * before anybody looks at it: it may be asked for again if the kernel says
 * that it changed meanwhile, and whoever walks through it may use the socket.
 *
 * Dumps lie in memory mapped for them and given back, but for a piece that is kept
 * for the next one, of dozens: this is for set-up, before isolation. Nothing else
 * here needs memory of its own.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "nl/msg.h"

#define NL_TIMEOUT_S  5 /* for one answer */
#define NL_DUMP_TRIES 8 /* until a dump was not disturbed */
#define NL_DUMP_MIN   ((size_t)NL_RX_MAX * 4)
#define NL_DUMP_MAX   ((size_t)1 << 30) /* ten million routes */

/* Older C libraries do not have it */
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static _Alignas(NLMSG_ALIGNTO) char rx[NL_RX_MAX];

/* Memory of a dump that is over, NL_DUMP_MIN bytes, NULL: there is none */
static char *spare;

int nl_open(struct nl_sock *nl)
{
	return nl_open_family(nl, NETLINK_ROUTE);
}

int nl_open_family(struct nl_sock *nl, int family)
{
	struct sockaddr_nl snl = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_sec = NL_TIMEOUT_S };
	int one = 1, rc;

	nl->seq = 0;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	if (nl->fd < 0)
		return -errno;

	/* Acknowledgements need not repeat the request: more of them fit */
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(nl->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
	    bind(nl->fd, (struct sockaddr *)&snl, sizeof(snl))) {
		rc = -errno;
		nl_close(nl);
		return rc;
	}

	return 0;
}

void nl_close(struct nl_sock *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

void nl_msg_init(struct nl_msg *msg, uint16_t type, uint16_t flags,
		 const void *body, size_t len)
{
	memset(msg, 0, sizeof(*msg));
	msg->hdr.nlmsg_type = type;
	msg->hdr.nlmsg_flags = NLM_F_REQUEST | flags;
	msg->hdr.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	memcpy(msg->body, body, len);
}

/* Where the next attribute goes, from the start of the body */
static size_t nl_msg_end(const struct nl_msg *msg)
{
	return NLMSG_ALIGN((size_t)msg->hdr.nlmsg_len) - NLMSG_HDRLEN;
}

void nl_msg_put(struct nl_msg *msg, uint16_t type, const void *data, size_t len)
{
	struct rtattr rta = { .rta_type = type };
	size_t off = nl_msg_end(msg);

	if (len > sizeof(msg->body) ||
	    off + RTA_SPACE(len) > sizeof(msg->body)) {
		msg->overflow = true;
		return;
	}

	rta.rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(msg->body + off, &rta, sizeof(rta));
	if (len)
		memcpy(msg->body + off + RTA_LENGTH(0), data, len);
	msg->hdr.nlmsg_len = (uint32_t)NLMSG_LENGTH(off + RTA_LENGTH(len));
}

void nl_msg_put_u32(struct nl_msg *msg, uint16_t type, uint32_t val)
{
	nl_msg_put(msg, type, &val, sizeof(val));
}

void nl_msg_put_addr(struct nl_msg *msg, uint16_t type,
		     const union inany_addr *addr)
{
	const struct in_addr *v4 = inany_v4(addr);

	if (v4)
		nl_msg_put(msg, type, v4, sizeof(*v4));
	else
		nl_msg_put(msg, type, &addr->a6, sizeof(addr->a6));
}

size_t nl_msg_nest(struct nl_msg *msg, uint16_t type)
{
	size_t mark = nl_msg_end(msg);

	nl_msg_put(msg, type | NLA_F_NESTED, NULL, 0);
	return mark;
}

void nl_msg_nest_end(struct nl_msg *msg, size_t mark)
{
	struct rtattr *rta = (struct rtattr *)(void *)(msg->body + mark);

	if (!msg->overflow)
		rta->rta_len = (unsigned short)(msg->hdr.nlmsg_len -
						NLMSG_LENGTH(mark));
}

/* Hand bytes to the kernel; a netlink send is whole or fails */
static int nl_send(struct nl_sock *nl, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = sendmsg(nl->fd, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

int nl_send_msg(struct nl_sock *nl, struct nl_msg *msg)
{
	if (msg->overflow)
		return -EMSGSIZE;
	msg->hdr.nlmsg_seq = ++nl->seq;
	return nl_send(nl, msg, msg->hdr.nlmsg_len);
}

ssize_t nl_recv(struct nl_sock *nl, void *buf, size_t size)
{
	struct sockaddr_nl from;
	struct iovec iov = { buf, size };
	ssize_t n;

	for (;;) {
		struct msghdr mh = { .msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_iov = &iov,
				     .msg_iovlen = 1 };

		n = recvmsg(nl->fd, &mh, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!n)
			return -EBADMSG;
		/* Other processes may write to us, too: only 0 is the kernel */
		if (mh.msg_namelen == sizeof(from) &&
		    from.nl_family == AF_NETLINK && from.nl_pid)
			continue;
		return mh.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
	}
}

int nl_walk(void *buf, size_t len, size_t *off, struct nlmsghdr **h)
{
	struct nlmsghdr *hdr;

	if (*off >= len)
		return 0;
	if (len - *off < sizeof(*hdr))
		return -EBADMSG;

	hdr = (struct nlmsghdr *)(void *)((char *)buf + *off);
	if (hdr->nlmsg_len < sizeof(*hdr) || hdr->nlmsg_len > len - *off)
		return -EBADMSG;

	*off += NLMSG_ALIGN((size_t)hdr->nlmsg_len);
	*h = hdr;
	return 1;
}

const void *nl_body(const struct nlmsghdr *h, size_t len)
{
	return h->nlmsg_len < NLMSG_LENGTH(len) ? NULL : NLMSG_DATA(h);
}

int nl_result(const struct nlmsghdr *h)
{
	const void *p = nl_body(h, sizeof(int));
	int err = 0;

	if (p)
		memcpy(&err, p, sizeof(err));
	else if (h->nlmsg_type == NLMSG_ERROR)
		return -EBADMSG;
	return err > 0 || err < -4095 ? -EBADMSG : err;
}

/* Wait for the answer to the last request: an object, or a result
 *
 * Return: 0 and in @reply the object, NULL if it was a result only; or -errno
 */
static int nl_answer(struct nl_sock *nl, struct nlmsghdr **reply)
{
	for (;;) {
		struct nlmsghdr *h;
		size_t off = 0;
		ssize_t n;
		int rc;

		n = nl_recv(nl, rx, sizeof(rx));
		if (n < 0)
			return (int)n;

		while ((rc = nl_walk(rx, (size_t)n, &off, &h)) > 0) {
			if (h->nlmsg_seq != nl->seq)
				continue;
			*reply = NULL;
			if (h->nlmsg_type == NLMSG_ERROR)
				return nl_result(h);
			if (h->nlmsg_type < NLMSG_MIN_TYPE)
				continue;
			*reply = h;
			return 0;
		}
		if (rc < 0)
			return rc;
	}
}

int nl_request(struct nl_sock *nl, struct nl_msg *msg)
{
	struct nlmsghdr *reply;
	int rc;

	msg->hdr.nlmsg_flags |= NLM_F_ACK;
	rc = nl_send_msg(nl, msg);
	if (rc)
		return rc;

	/* An echo of what was done may come first */
	do
		rc = nl_answer(nl, &reply);
	while (!rc && reply);
	return rc;
}

int nl_get(struct nl_sock *nl, struct nl_msg *msg,
	   const struct nlmsghdr **reply)
{
	struct nlmsghdr *h;
	int rc;

	rc = nl_send_msg(nl, msg);
	if (!rc)
		rc = nl_answer(nl, &h);
	if (rc)
		return rc;
	if (!h)
		return -ENODATA;
	*reply = h;
	return 0;
}

/* Make sure that a datagram fits behind what is there */
static int nl_dump_room(struct nl_dump *dump)
{
	size_t cap = dump->cap ? dump->cap * 2 : NL_DUMP_MIN;
	void *p;

	if (!dump->base && spare) {
		dump->base = spare;
		dump->cap = NL_DUMP_MIN;
		spare = NULL;
	}
	if (dump->cap - dump->len >= NL_RX_MAX)
		return 0;
	if (cap > NL_DUMP_MAX)
		return -E2BIG;

	if (dump->base)
		p = mremap(dump->base, dump->cap, cap, MREMAP_MAYMOVE);
	else
		p = mmap(NULL, cap, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;

	dump->base = p;
	dump->cap = cap;
	return 0;
}

/* Keep of a datagram just read behind dump->len what belongs to the dump
 *
 * Return: 1 if this was the end, 0 if there is more, -errno
 */
static int nl_dump_take(struct nl_dump *dump, size_t len, uint32_t seq,
			bool *disturbed)
{
	char *chunk = dump->base + dump->len;
	struct nlmsghdr *h;
	size_t off = 0, size;
	int rc;

	while ((rc = nl_walk(chunk, len, &off, &h)) > 0) {
		if (h->nlmsg_seq != seq)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			*disturbed = true;

		if (h->nlmsg_type == NLMSG_DONE ||
		    h->nlmsg_type == NLMSG_ERROR) {
			rc = nl_result(h);
			return rc ? rc : 1;
		}
		if (h->nlmsg_type < NLMSG_MIN_TYPE) {
			*disturbed |= h->nlmsg_type == NLMSG_OVERRUN;
			continue;
		}

		/* Close gaps left by others: moves down or not at all */
		size = h->nlmsg_len;
		memmove(dump->base + dump->len, h, size);
		dump->len += NLMSG_ALIGN(size);
	}

	return rc;
}

/* One try: 0, -EAGAIN if it is complete but was disturbed, other -errno */
static int nl_dump_once(struct nl_sock *nl, struct nl_msg *msg,
			struct nl_dump *dump)
{
	bool disturbed = false;
	ssize_t n;
	int rc;

	dump->len = 0;
	rc = nl_send_msg(nl, msg);

	while (!rc) {
		rc = nl_dump_room(dump);
		if (rc)
			break;
		n = nl_recv(nl, dump->base + dump->len, NL_RX_MAX);
		if (n == -ENOBUFS) {
			disturbed = true;
			continue;
		}
		rc = n < 0 ? (int)n
			   : nl_dump_take(dump, (size_t)n, nl->seq, &disturbed);
	}

	return rc < 0 ? rc : disturbed ? -EAGAIN : 0;
}

int nl_dump(struct nl_sock *nl, struct nl_msg *msg, struct nl_dump *dump)
{
	int rc = 0, i;

	msg->hdr.nlmsg_flags |= NLM_F_DUMP;
	for (i = 0; i < NL_DUMP_TRIES; i++) {
		rc = nl_dump_once(nl, msg, dump);
		if (rc != -EAGAIN)
			return rc;
	}

	/* Always in motion here: the last answer is as good as any other */
	return 0;
}

void nl_dump_free(struct nl_dump *dump)
{
	if (dump->base && dump->cap == NL_DUMP_MIN && !spare)
		spare = dump->base;
	else if (dump->base)
		munmap(dump->base, dump->cap);
	memset(dump, 0, sizeof(*dump));
}

struct nlmsghdr *nl_dump_next(const struct nl_dump *dump, size_t *off)
{
	struct nlmsghdr *h;

	return nl_walk(dump->base, dump->len, off, &h) > 0 ? h : NULL;
}

bool nl_batch_add(struct nl_batch *batch, const struct nl_msg *msg)
{
	size_t len = msg->hdr.nlmsg_len;

	if (batch->n == NL_BATCH_MAX ||
	    batch->len + NLMSG_ALIGN(len) > sizeof(batch->buf))
		return false;

	memset(batch->buf + batch->len, 0, NLMSG_ALIGN(len));
	memcpy(batch->buf + batch->len, msg, len);
	batch->len += NLMSG_ALIGN(len);
	batch->n++;
	return true;
}

/* Read results until each request of a batch, numbered from @first, has one */
static int nl_batch_results(struct nl_sock *nl, struct nl_batch *batch,
			    uint32_t first, unsigned left)
{
	while (left) {
		struct nlmsghdr *h;
		size_t off = 0;
		ssize_t n;
		int rc;

		n = nl_recv(nl, rx, sizeof(rx));
		if (n < 0)
			return (int)n;

		while ((rc = nl_walk(rx, (size_t)n, &off, &h)) > 0) {
			uint32_t i = h->nlmsg_seq - first;

			if (h->nlmsg_type != NLMSG_ERROR || i >= batch->n ||
			    batch->rc[i] != 1)
				continue;
			batch->rc[i] = nl_result(h);
			left--;
		}
		if (rc < 0)
			return rc;
	}

	return 0;
}

void nl_batch_run(struct nl_sock *nl, struct nl_batch *batch)
{
	uint32_t first = nl->seq + 1;
	unsigned i = 0, left = 0;
	struct nlmsghdr *h;
	size_t off = 0;
	int rc;

	/* 1 stands for: no result yet */
	while (nl_walk(batch->buf, batch->len, &off, &h) > 0) {
		h->nlmsg_seq = ++nl->seq;
		h->nlmsg_flags |= NLM_F_ACK;
		batch->rc[i++] = 1;
		left++;
	}
	if (!left)
		return;

	rc = nl_send(nl, batch->buf, batch->len);
	if (!rc)
		rc = nl_batch_results(nl, batch, first, left);
	for (i = 0; i < batch->n; i++) {
		if (batch->rc[i] == 1)
			batch->rc[i] = rc;
	}
}

int nl_attrs(const struct rtattr **tb, unsigned max, const void *p, size_t len)
{
	const char *at = p;

	memset(tb, 0, (max + 1) * sizeof(tb[0]));
	while (len) {
		const struct rtattr *rta = (const void *)at;
		unsigned type;
		size_t step;

		if (len < sizeof(*rta) || rta->rta_len < sizeof(*rta) ||
		    rta->rta_len > len)
			return -EBADMSG;

		type = rta->rta_type & NLA_TYPE_MASK;
		if (type <= max)
			tb[type] = rta;
		step = RTA_ALIGN((size_t)rta->rta_len);
		if (step > len)
			step = len;
		at += step;
		len -= step;
	}

	return 0;
}

int nl_msg_attrs(const struct rtattr **tb, unsigned max,
		 const struct nlmsghdr *h, size_t body)
{
	size_t off = NLMSG_SPACE(body);

	if (h->nlmsg_len < off)
		return nl_attrs(tb, max, NULL, 0);
	return nl_attrs(tb, max, (const char *)h + off, h->nlmsg_len - off);
}

uint32_t nl_attr_u32(const struct rtattr *rta, uint32_t def)
{
	uint32_t val;

	if (!rta || RTA_PAYLOAD(rta) < sizeof(val))
		return def;
	memcpy(&val, RTA_DATA(rta), sizeof(val));
	return val;
}

bool nl_attr_addr(const struct rtattr *rta, sa_family_t af,
		  union inany_addr *addr)
{
	size_t len = af == AF_INET ? sizeof(struct in_addr)
				   : sizeof(struct in6_addr);

	if (!rta || RTA_PAYLOAD(rta) != len)
		return false;
	inany_from_af(addr, af, RTA_DATA(rta));
	return true;
}
