/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP over a link that loses, repeats, delays and reorders: no byte may change
 *
 * A small TCP of a guest, with a receive buffer read in fits and starts, talks
 * to a peer that reads and writes likewise. Both streams are checked byte by
 * byte, nothing may be sent beyond an edge the guest announced, and all must
 * come to a good end in bounded time. Over a link that loses nothing, no
 * timer may have been needed: that finds wake-ups that were lost.
 *
 * TCP_RANDOM_SEED=n runs one seed, TCP_RANDOM_RUNS=n that many.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/fake/tcp_env.h"

#define STREAM_MAX 400000
#define RUNS       60

/* Virtual time, ms, in which the worst run must be over */
#define TIME_MAX (3600 * 1000)

#define GUEST_RTO 250
#define GUEST_WS  7

/* Frames under way, in both directions */
#define LINK_MAX 4096
struct on_link {
	uint64_t at; /* when it arrives, 0: slot is free */
	uint64_t order;
	bool to_guest;
	struct env_rx rx;
	struct env_tx tx;
	uint8_t *data;
};

static struct on_link wire[LINK_MAX];
static uint8_t from_peer[STREAM_MAX], from_guest[STREAM_MAX], buf[STREAM_MAX];

/* One run: how bad the link is, how much is sent, and how far all is */
static struct run {
	unsigned seed;
	bool lossy;
	unsigned loss, dup, reorder, delay; /* per cent, ms */
	size_t to_guest, to_peer;           /* bytes of each stream */
	struct env_conn c;
	/* guest, receiving */
	bool have[STREAM_MAX + 1]; /* bytes, and FIN behind them */
	size_t rcv, read, rcvbuf;  /* next missing; read by the program */
	uint32_t edge;             /* largest ever announced */
	uint32_t wnd;              /* window announced last, bytes */
	unsigned owed;             /* segments not acknowledged yet */
	uint64_t owed_since, stall;
	/* guest, sending */
	size_t una, nxt, max;
	uint32_t snd_edge;
	uint64_t rto_at;
	unsigned dups, backoff, timeouts;
	bool sws, forced; /* sends no slivers; but now it does */
	uint32_t wnd_max; /* largest window of ours */
	bool over;        /* told by RST that it is over */
	/* peer */
	size_t peer_sent, peer_read;
	bool peer_fin, peer_eof;
	uint64_t peer_stall, unblock;
	uint64_t order;
} r;

static unsigned rnd(unsigned n)
{
	return n ? (unsigned)rand() % n : 0;
}

static bool chance(unsigned percent)
{
	return rnd(100) < percent;
}

/* Put a frame on the wire, or lose it, or put it there twice */
static void put(const struct on_link *f, const void *data, size_t len)
{
	unsigned i, copies = chance(r.dup) ? 2 : 1;

	if (chance(r.loss))
		return;
	for (i = 0; i < LINK_MAX && copies; i++) {
		if (wire[i].at)
			continue;
		wire[i] = *f;
		wire[i].at = env.loop.now + 1 + r.delay +
			     (chance(r.reorder) ? rnd(30) : 0);
		wire[i].order = r.order++;
		wire[i].data = malloc(len ? len : 1);
		assert_non_null(wire[i].data);
		memcpy(wire[i].data, data, len);
		copies--;
	}
	assert_int_equal(copies, 0);
}

static void guest_segment(uint8_t flags, size_t off, size_t len)
{
	struct on_link f = { 0 };
	size_t room = r.rcvbuf - (r.rcv < r.to_guest ? r.rcv : r.to_guest) +
		      r.read;

	r.wnd = (uint32_t)room >> GUEST_WS << GUEST_WS;
	f.tx = (struct env_tx){ .seq = r.c.isn + 1 + (uint32_t)off,
				.ack = r.c.risn + 1 + (uint32_t)r.rcv,
				.flags = flags | TH_ACK,
				.wnd = (uint16_t)(r.wnd >> GUEST_WS),
				.len = len };
	if ((int32_t)(f.tx.ack + r.wnd - r.edge) > 0)
		r.edge = f.tx.ack + r.wnd;
	r.owed = 0;
	put(&f, from_guest + off, len);
}

static void guest_acks(void)
{
	guest_segment(0, r.nxt, 0);
}

/* Does the window leave room for a segment worth sending? Not less than a full
 * one, the last, or half the largest window (RFC 9293 3.8.6.2.1)
 */
static bool worth(size_t left, size_t len)
{
	return !r.sws || r.forced || left >= len || left >= r.wnd_max / 2;
}

/* Send from @r.nxt what the window allows */
static void guest_sends(void)
{
	while (r.nxt <= r.to_peer) {
		size_t left = r.snd_edge - (r.c.isn + 1 + (uint32_t)r.nxt);
		size_t len = r.to_peer - r.nxt,
		       mss = env_flow() ? env_flow()->mss : 1000;

		if ((int32_t)left <= 0)
			break;
		len = len > mss ? mss : len;
		if (!worth(left, len))
			break;
		r.forced = false;
		len = len > left ? left : len;
		if (len > 1 && chance(20))
			len = 1 + rnd((unsigned)len);
		if (r.nxt + len == r.to_peer && len < left) {
			guest_segment(TH_FIN, r.nxt, len);
			len++;
		} else if (len) {
			guest_segment(0, r.nxt, len);
		} else {
			break;
		}
		r.nxt += len;
		if (r.nxt > r.max)
			r.max = r.nxt;
		if (!r.rto_at)
			r.rto_at = env.loop.now + GUEST_RTO;
	}
}

/* ACK and window of what came in for the guest */
static void guest_takes_ack(const struct env_rx *rx)
{
	size_t ack = rx->ack - (r.c.isn + 1);
	uint32_t edge = rx->ack + env_window(&r.c, rx);

	if (!(rx->flags & TH_ACK))
		return;
	assert_true(ack <= r.max);
	if (ack > r.una) {
		r.una = ack;
		if (r.nxt < ack)
			r.nxt = ack;
		r.dups = r.backoff = 0;
		r.rto_at = r.una < r.max ? env.loop.now + GUEST_RTO : 0;
	} else if (ack == r.una && !rx->len && edge == r.snd_edge &&
		   r.una < r.max && ++r.dups == 3) {
		r.nxt = r.una;
	}
	if ((int32_t)(edge - r.snd_edge) > 0)
		r.snd_edge = edge;
	if (edge - rx->ack > r.wnd_max)
		r.wnd_max = edge - rx->ack;
}

static void guest_takes(const struct env_rx *rx, const uint8_t *data)
{
	size_t off = rx->seq - (r.c.risn + 1), i;
	bool progress;

	if (rx->flags & TH_RST) {
		/* only if all was sent and acknowledged but for our FIN */
		if (r.rcv <= r.to_guest || r.max <= r.to_peer)
			fail_msg("seed %u: RST", r.seed);
		r.over = true;
		return;
	}
	if (rx->flags & TH_SYN)
		return;
	guest_takes_ack(rx);
	if (!rx->len && !(rx->flags & TH_FIN)) {
		/* a question of the module's */
		if (off + 1 == r.rcv || (int32_t)off < (int32_t)r.rcv)
			guest_acks();
		return;
	}
	if ((int32_t)(rx->seq + rx->len - r.edge) > 0)
		fail_msg("seed %u: beyond the window", r.seed);
	if (off + rx->len > r.to_guest)
		fail_msg("seed %u: beyond the end", r.seed);
	if (memcmp(data, from_peer + off, rx->len))
		fail_msg("seed %u: wrong bytes at %zu", r.seed, off);
	for (i = 0; i < rx->len; i++)
		r.have[off + i] = true;
	if (rx->flags & TH_FIN) {
		if (off + rx->len != r.to_guest)
			fail_msg("seed %u: FIN at %zu", r.seed, off + rx->len);
		r.have[r.to_guest] = true;
	}
	i = r.rcv;
	while (r.rcv <= r.to_guest && r.have[r.rcv])
		r.rcv++;
	progress = r.rcv > i;
	if (!r.owed++)
		r.owed_since = env.loop.now;
	if (!progress || r.owed > 1 || rx->flags & TH_FIN)
		guest_acks();
}

/* The guest's program and its timers */
static void guest_lives(void)
{
	size_t data = r.rcv < r.to_guest ? r.rcv : r.to_guest;

	if (env.loop.now >= r.stall && r.read < data) {
		size_t n = 1 + rnd((unsigned)(data - r.read));
		size_t room = r.rcvbuf - (data - r.read);

		r.read += n;
		/* tell of a window that is open again */
		if (r.wnd < 3000 && room + n >= 3000)
			guest_acks();
		if (chance(5))
			r.stall = env.loop.now + rnd(300);
	}
	if (r.owed && env.loop.now - r.owed_since >= 40)
		guest_acks();
	if (r.rto_at && env.loop.now >= r.rto_at) {
		r.timeouts++;
		r.forced = true;
		r.backoff = r.backoff < 6 ? r.backoff + 1 : 6;
		r.nxt = r.una;
		r.dups = 0;
		r.rto_at = env.loop.now + ((uint64_t)GUEST_RTO << r.backoff);
	}
	/* closed window, or as good as closed: ask */
	if (r.nxt <= r.to_peer)
		guest_sends();
	if (!r.rto_at && r.nxt <= r.to_peer)
		r.rto_at = env.loop.now + 5000;
	if (r.rto_at && r.nxt == r.una && r.max == r.una &&
	    env.loop.now + 10 >= r.rto_at)
		guest_segment(0, r.nxt - 1, 0);
}

static bool peer_lives(void)
{
	bool busy = false;
	ssize_t n;

	if (env.loop.now < r.peer_stall)
		return true;
	if (chance(3)) {
		r.peer_stall = env.loop.now + rnd(300);
		return true;
	}
	n = r.to_guest - r.peer_sent
		    ? send(r.c.fd, from_peer + r.peer_sent,
			   1 + rnd((unsigned)(r.to_guest - r.peer_sent)),
			   MSG_DONTWAIT | MSG_NOSIGNAL)
		    : 0;
	if (n > 0) {
		r.peer_sent += (size_t)n;
		busy = true;
	}
	if (r.peer_sent == r.to_guest && !r.peer_fin) {
		shutdown(r.c.fd, SHUT_WR);
		r.peer_fin = busy = true;
	}
	n = recv(r.c.fd, buf, 1 + rnd(100000), MSG_DONTWAIT);
	if (n > 0) {
		if (r.peer_read + (size_t)n > r.to_peer ||
		    memcmp(buf, from_guest + r.peer_read, (size_t)n))
			fail_msg("seed %u: peer got wrong bytes", r.seed);
		r.peer_read += (size_t)n;
		busy = true;
	} else if (!n && !r.peer_eof) {
		assert_int_equal(r.peer_read, r.to_peer);
		r.peer_eof = busy = true;
	} else if (n < 0 && errno != EAGAIN) {
		fail_msg("seed %u: peer: %s", r.seed, strerror(errno));
	}
	return busy;
}

/* What arrives now, the earliest first. Return: how many */
static unsigned deliver(void)
{
	unsigned i, n = 0;

	for (;;) {
		struct on_link *f = NULL;
		struct env_tx tx[TAP_RX_MAX];
		uint8_t *data[TAP_RX_MAX];
		unsigned ntx = 0;

		for (i = 0; i < LINK_MAX; i++)
			if (wire[i].at && wire[i].at <= env.loop.now &&
			    (!f || wire[i].order < f->order))
				f = &wire[i];
		if (!f)
			return n;
		n++;
		f->at = 0;
		if (f->to_guest) {
			struct on_link got = *f; /* the slot is free now */

			guest_takes(&got.rx, got.data);
			free(got.data);
			continue;
		}
		/* more that is due goes along, in one batch */
		for (tx[0] = f->tx, data[ntx++] = f->data; f && ntx < 20;) {
			f = NULL;
			for (i = 0; i < LINK_MAX; i++)
				if (wire[i].at && wire[i].at <= env.loop.now &&
				    !wire[i].to_guest &&
				    (!f || wire[i].order < f->order))
					f = &wire[i];
			if (!f || chance(20))
				break;
			f->at = 0;
			tx[ntx] = f->tx;
			data[ntx++] = f->data;
		}
		for (i = 0; i < ntx; i++)
			tx[i].data = data[i];
		env_send(&r.c, tx, ntx);
		for (i = 0; i < ntx; i++)
			free(data[i]);
	}
}

/* Frames of the module onto the wire */
static unsigned collect(void)
{
	struct on_link f = { .to_guest = true };
	unsigned n;

	for (n = 0; env_get(&f.rx); n++)
		put(&f, f.rx.data, f.rx.len);
	return n;
}

static bool finished(void)
{
	return r.peer_eof && r.rcv > r.to_guest &&
	       (r.una > r.to_peer || r.over) && !env.flows.used;
}

static void setup(unsigned seed)
{
	static const unsigned mtus[] = { 1500, 1500, 65520, 9000, 1280 };
	static const struct {
		unsigned loss, dup, reorder;
	} links[] = { { 0, 0, 0 }, { 5, 0, 0 }, { 0, 10, 20 }, { 10, 5, 10 } };
	bool v6, host;

	srand(seed);
	memset(&r, 0, sizeof(r));
	tcp_env_reset(NULL);
	env.tcp.mtu = mtus[rnd(5)];
	env.features.peek_off = env.features.peek_off && !chance(30);
	env.features.meminfo = env.features.meminfo && !chance(30);
	if (chance(30)) {
		env.tap.facts.gso_tcp = 65160;
		tap_mem.offload = true;
	}
	env.tap.facts.batch = 1 + rnd(8);
	v6 = chance(50);
	host = chance(40);
	if (host)
		env_open_host(&r.c, v6 ? HOST6 : HOST4, env.tcp.mtu - 60,
			      GUEST_WS, 8);
	else
		env_open(&r.c, v6 ? PEER6 : PEER4, env.tcp.mtu - 60, GUEST_WS,
			 8);
	r.seed = seed;
	r.loss = links[seed % 4].loss;
	r.dup = links[seed % 4].dup;
	r.reorder = links[seed % 4].reorder;
	r.lossy = seed % 4;
	r.delay = chance(50) ? 0 : rnd(10);
	r.sws = chance(70);
	r.to_guest = chance(10) ? 0 : rnd(STREAM_MAX);
	r.to_peer = chance(10) ? 0 : rnd(STREAM_MAX);
	r.rcvbuf = 4000 + rnd(200000);
	r.edge = r.c.rcv + (8U << GUEST_WS);
	r.snd_edge = r.c.snd;
	r.wnd = 0;
	if (chance(30))
		sock_set_int(env_flow()->fd, SOL_SOCKET, SO_SNDBUF,
			     (int)(10000 + rnd(200000)));
	if (chance(30))
		sock_set_int(r.c.fd, SOL_SOCKET, SO_RCVBUF,
			     (int)(2000 + rnd(100000)));
	guest_acks();
	guest_segment(0, r.nxt - 1, 0); /* what is our window? */
}

static void one_run(unsigned seed)
{
	struct pollfd p = { 0, POLLIN, 0 };
	uint64_t start;
	unsigned i, turns = 0, limit = 300000;

	setup(seed);
	start = env.loop.now;
	while (!finished()) {
		unsigned moved = 0;

		if (env.loop.now - start > TIME_MAX || turns++ > limit)
			fail_msg("seed %u: stuck after %u ms: to guest %zu of "
				 "%zu, to peer %zu (%zu) of %zu",
				 seed, (unsigned)(env.loop.now - start), r.rcv,
				 r.to_guest, r.una, r.peer_read, r.to_peer);
		moved += deliver();
		moved += peer_lives();
		moved += (unsigned)env_turn() + env.loop.busy;
		guest_lives();
		moved += collect();
		if (tap_mem.blocked && env.loop.now >= r.unblock) {
			tap_mem.blocked = false;
			tcp_tap_ready(&env.tcp);
		} else if (!tap_mem.blocked && chance(3)) {
			tap_mem.blocked = true;
			r.unblock = env.loop.now + rnd(50);
		}
		env.loop.now += 1 + rnd(2);
		if (moved)
			continue;
		/* the kernel's clock goes on as well */
		p.fd = env.loop.epfd;
		poll(&p, 1, 1);
		env.loop.now += r.lossy ? 20 : 0;
	}
	for (i = 0; i < LINK_MAX; i++)
		if (wire[i].at) {
			free(wire[i].data);
			wire[i].at = 0;
		}
	if (!r.lossy) {
		/* nothing was lost: no timer may have been needed */
		if (env.tcp.stats.retransmit || env.tcp.stats.fast_retransmit ||
		    (r.timeouts && !env.tcp.stats.partial_send))
			fail_msg("seed %u: %u retransmissions, %u of the guest",
				 seed, (unsigned)env.tcp.stats.retransmit,
				 r.timeouts);
		if (env.loop.now - start > 60000)
			fail_msg("seed %u: took %u ms", seed,
				 (unsigned)(env.loop.now - start));
	}
	close(r.c.fd);
}

static void test_random(void **state)
{
	const char *one = getenv("TCP_RANDOM_SEED");
	const char *runs = getenv("TCP_RANDOM_RUNS");
	unsigned seed, n = runs ? (unsigned)atoi(runs) : RUNS;
	size_t i;

	(void)state;
	for (i = 0; i < STREAM_MAX; i++) {
		from_peer[i] = (uint8_t)(i * 7 + i / 251);
		from_guest[i] = (uint8_t)(i * 5 + i / 241 + 1);
	}
	if (one) {
		one_run((unsigned)atoi(one));
		return;
	}
	for (seed = 1; seed <= n; seed++)
		one_run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random, tcp_env_reset),
	};

	return cmocka_run_group_tests(tests, tcp_env_start, NULL);
}
