/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns of the loop: events, timers, hooks, and how long it sleeps */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define MANY 40 /* descriptors: more than one epoll_wait() takes */

/* What happened, in order */
enum what { EVENT, TIMER, TURN };
static struct {
	enum what what;
	union epoll_ref ref;
	uint32_t events;
	const struct wtimer *timer;
	uint64_t now;
} hist[200];
static unsigned nhist;

static struct loop loop;
static int close_next = -1;           /* descriptor a handler closes */
static unsigned rearm, busy, quit_at; /* what hooks do */
static bool spin;
static int token; /* context handed through */

static void record(enum what what)
{
	assert_true(nhist < 200);
	memset(&hist[nhist], 0, sizeof(hist[0]));
	hist[nhist].now = loop.now;
	hist[nhist++].what = what;
}

static void event(void *ctx, union epoll_ref ref, uint32_t events)
{
	assert_ptr_equal(ctx, &token);
	record(EVENT);
	hist[nhist - 1].ref = ref;
	hist[nhist - 1].events = events;
	if (close_next >= 0) {
		close(close_next);
		close_next = -1;
	}
}

static void timer(void *ctx, struct wtimer *t)
{
	assert_ptr_equal(ctx, &token);
	assert_false(wtimer_armed(t));
	if (spin) {
		wheel_arm(&loop.wheel, t, 0);
		return;
	}
	record(TIMER);
	hist[nhist - 1].timer = t;
	if (rearm && rearm--)
		loop_arm(&loop, t, 8);
}

static void turn(void *ctx)
{
	assert_ptr_equal(ctx, &token);
	record(TURN);
	if (busy && busy--)
		loop.busy = true;
	if (quit_at && !--quit_at)
		loop_quit(&loop, 42);
}

static const struct loop_handler handlers[EPOLL_TYPES] = {
	[EPOLL_TAP] = { "tap", event, &token },
	[EPOLL_TCP] = { "tcp", event, &token },
};
static const struct loop_hooks hooks = { timer, turn, &token };

static int setup(void **state)
{
	(void)state;
	nhist = rearm = busy = quit_at = 0;
	return loop_init(&loop, handlers, &hooks);
}

static int teardown(void **state)
{
	(void)state;
	return close(loop.epfd);
}

static uint64_t ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int watched(uint8_t type, uint32_t id, uint32_t events)
{
	union epoll_ref ref = { .type = type, .id = id, .side = 1 };
	int fd = eventfd(0, EFD_NONBLOCK);

	assert_true(fd >= 0);
	assert_int_equal(loop_add(&loop, fd, events, ref), 0);
	return fd;
}

static void kick(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void test_event(void **state)
{
	union epoll_ref ref = { .type = EPOLL_TAP, .id = 9 };
	int fd = watched(EPOLL_TCP, 0xdeadbeef, EPOLLIN);

	(void)state;
	assert_int_equal(loop_turn(&loop, 0), 0);
	assert_int_equal(nhist, 1);
	assert_int_equal(hist[0].what, TURN);

	kick(fd);
	assert_int_equal(loop_turn(&loop, -1), 1);
	assert_int_equal(nhist, 3);
	assert_int_equal(hist[1].what, EVENT);
	assert_int_equal(hist[1].ref.type, EPOLL_TCP);
	assert_int_equal(hist[1].ref.side, 1);
	assert_int_equal(hist[1].ref.id, 0xdeadbeef);
	assert_int_equal(hist[1].events, EPOLLIN);
	assert_int_equal(hist[2].what, TURN);

	/* level-triggered: again; then other events, another reference */
	assert_int_equal(loop_turn(&loop, -1), 1);
	assert_int_equal(loop_mod(&loop, fd, EPOLLOUT, ref), 0);
	nhist = 0;
	assert_int_equal(loop_turn(&loop, -1), 1);
	assert_int_equal(hist[0].ref.type, EPOLL_TAP);
	assert_int_equal(hist[0].ref.id, 9);
	assert_int_equal(hist[0].events, EPOLLOUT);

	loop_del(&loop, fd);
	assert_int_equal(loop_turn(&loop, 0), 0);
	assert_int_equal(loop_mod(&loop, fd, EPOLLIN, ref), -ENOENT);
	close(fd);
	assert_int_equal(loop_add(&loop, fd, EPOLLIN, ref), -EBADF);
	loop_del(&loop, fd);
}

/* Types without handler, and those there are not */
static void test_unknown_type(void **state)
{
	int a = watched(EPOLL_NONE, 1, EPOLLIN);
	int b = watched(EPOLL_TYPES, 2, EPOLLIN);
	int c = watched(255, 3, EPOLLIN);

	(void)state;
	kick(a);
	kick(b);
	kick(c);
	assert_int_equal(loop_turn(&loop, 0), 3);
	assert_int_equal(nhist, 1);
	close(a);
	close(b);
	close(c);
}

/* More than fit one turn: none is forgotten */
static void test_many(void **state)
{
	unsigned seen[MANY] = { 0 }, i, turns;
	int fd[MANY];

	(void)state;
	for (i = 0; i < MANY; i++) {
		fd[i] = watched(EPOLL_TCP, i, EPOLLIN | EPOLLET);
		kick(fd[i]);
	}
	for (turns = 0; loop_turn(&loop, 0) > 0; turns++)
		assert_true(turns < MANY);
	for (i = 0; i < nhist; i++)
		if (hist[i].what == EVENT)
			seen[hist[i].ref.id]++;
	for (i = 0; i < MANY; i++) {
		assert_int_equal(seen[i], 1);
		close(fd[i]);
	}
}

/* Closing ends the watch */
static void test_close(void **state)
{
	int a = watched(EPOLL_TCP, 1, EPOLLIN);
	int b = watched(EPOLL_TCP, 2, EPOLLIN);

	(void)state;
	kick(a);
	kick(b);
	close_next = b;
	assert_int_equal(loop_turn(&loop, 0), 2);
	assert_int_equal(loop_turn(&loop, 0), 1);
	close(a);
	assert_int_equal(loop_turn(&loop, 0), 0);
}

/* Sleeps until the timer is due, not shorter, and calls it before the hook */
static void test_timer(void **state)
{
	uint64_t start = loop.now, began = ms();
	struct wtimer a = { 0 }, b = { 0 };
	unsigned i;

	(void)state;
	loop_arm(&loop, &b, 60);
	loop_arm(&loop, &a, 20);
	for (i = 0; wtimer_armed(&b); i++)
		assert_true(loop_turn(&loop, -1) >= 0 && i < 20);
	assert_true(ms() - began >= 59);
	for (i = 0; i < nhist && hist[i].what != TIMER; i++)
		;
	assert_ptr_equal(hist[i].timer, &a);
	assert_true(hist[i].now >= start + 20);
	assert_int_equal(hist[i + 1].what, TURN);
	assert_int_equal(hist[nhist - 1].what, TURN);
	assert_ptr_equal(hist[nhist - 2].timer, &b);
	assert_true(hist[nhist - 2].now >= start + 60);
}

/* A timer may be armed by its own handler; one cancelled does not come */
static void test_rearm(void **state)
{
	struct wtimer a = { 0 }, b = { 0 };
	unsigned i, n = 0;

	(void)state;
	rearm = 3;
	loop_arm(&loop, &a, 0);
	loop_arm(&loop, &b, 4);
	wheel_cancel(&loop.wheel, &b);
	for (i = 0; wtimer_armed(&a); i++)
		assert_true(loop_turn(&loop, -1) >= 0 && i < 50);
	for (i = 0; i < nhist; i++) {
		assert_ptr_not_equal(hist[i].timer, &b);
		n += hist[i].what == TIMER;
	}
	assert_int_equal(n, 4);
}

/* Deadlines in the past, set again and again, do not keep events out */
static void test_overdue(void **state)
{
	struct wtimer a = { 0 };
	int fd = watched(EPOLL_TCP, 1, EPOLLIN);

	(void)state;
	spin = true;
	wheel_arm(&loop.wheel, &a, 0);
	assert_int_equal(loop_turn(&loop, -1), 0);
	kick(fd);
	assert_int_equal(loop_turn(&loop, -1), 1);
	spin = false;
	assert_true(wtimer_armed(&a));
	assert_int_equal(loop_turn(&loop, -1), 1);
	assert_false(wtimer_armed(&a));
	close(fd);
}

/* The timeout of the caller is shorter than that of the timer */
static void test_timeout(void **state)
{
	struct wtimer a = { 0 };
	uint64_t began = ms();

	(void)state;
	loop_arm(&loop, &a, 3600 * 1000);
	assert_int_equal(loop_turn(&loop, 10), 0);
	assert_in_range(ms() - began, 9, 60000);
	wheel_cancel(&loop.wheel, &a);
}

/* Does not sleep for work that waits, once for each time it is said */
static void test_busy(void **state)
{
	struct wtimer a = { 0 };
	uint64_t began;

	(void)state;
	busy = 3;
	loop_arm(&loop, &a, 3600 * 1000);
	assert_int_equal(loop_turn(&loop, 0), 0);
	assert_int_equal(loop_turn(&loop, 60000), 0);
	assert_int_equal(loop_turn(&loop, 60000), 0);
	assert_true(loop.busy);
	began = ms();
	assert_int_equal(loop_turn(&loop, 60000), 0);
	assert_false(loop.busy);
	assert_true(ms() - began < 30000);
	assert_int_equal(nhist, 4);
	wheel_cancel(&loop.wheel, &a);
}

static uint64_t us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Does nothing for a while, once, even if there is something to do; but not if
 * that is work that waits
 */
static void test_pause(void **state)
{
	int fd = watched(EPOLL_TCP, 1, EPOLLIN);
	uint64_t began = us();

	(void)state;
	kick(fd);
	loop.pause = 20000;
	assert_int_equal(loop_turn(&loop, -1), 1);
	assert_in_range(us() - began, 20000, 60000000);
	assert_in_range(us() - loop.us, 0, 60000000);
	assert_int_equal(loop.pause, 0);
	assert_int_equal(nhist, 2);

	loop.pause = 900000;
	loop.busy = true;
	began = us();
	assert_int_equal(loop_turn(&loop, -1), 1);
	assert_in_range(us() - began, 0, 899999);
	close(fd);
}

static void test_quit(void **state)
{
	(void)state;
	quit_at = 3;
	busy = 10;
	loop.busy = true;
	assert_int_equal(loop_run(&loop), 42);
	assert_int_equal(nhist, 3); /* the turn is brought to its end */
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal is a turn without events */
static void test_interrupted(void **state)
{
	struct itimerval it = { .it_value.tv_usec = 5000,
				.it_interval.tv_usec = 5000 };
	struct sigaction sa = { .sa_handler = on_alarm };

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &it, NULL), 0);
	assert_int_equal(loop_turn(&loop, 60000), 0);
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, NULL);
	assert_int_equal(nhist, 1);
	assert_true(loop.now > 0);
}

static void test_broken(void **state)
{
	int epfd = loop.epfd, fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	loop.epfd = fd[0];
	assert_int_equal(loop_turn(&loop, 0), -EINVAL);
	assert_int_equal(loop_run(&loop), 1);
	loop.epfd = epfd;
	close(fd[0]);
	close(fd[1]);
}

/* Whose events they are: of one after the other; the link is everybody's */
static void test_others(void **state)
{
	int link = watched(EPOLL_TAP, 0, EPOLLIN | EPOLLET), a, b;
	unsigned i;

	(void)state;
	a = watched(EPOLL_TCP, 5, EPOLLIN | EPOLLET);
	b = watched(EPOLL_TCP, 9, EPOLLIN | EPOLLET);
	for (i = 0; i < 3; i++) {
		kick(a);
		kick(link);
		assert_int_equal(loop_turn(&loop, 0), 2);
	}
	assert_int_equal(loop.others, 1);
	kick(b);
	loop_turn(&loop, 0);
	assert_int_equal(loop.others, 2);
	kick(a);
	loop_turn(&loop, 0);
	assert_int_equal(loop.others, 3);
	close(a);
	close(b);
	close(link);
}

/* The policy of this thread, as the kernel has it */
static int policy(void)
{
	return (int)syscall(SYS_sched_getscheduler, 0);
}

static void test_batch(void **state)
{
	struct sched_param param = { 0 };

	(void)state;
	assert_int_equal(policy(), SCHED_OTHER);
	loop_batch(&loop, false);
	assert_int_equal(policy(), SCHED_OTHER);
	loop_batch(&loop, true);
	assert_int_equal(policy(), SCHED_BATCH);
	loop_batch(&loop, true);
	assert_int_equal(policy(), SCHED_BATCH);
	loop_batch(&loop, false);
	assert_int_equal(policy(), SCHED_OTHER);

	/* Chosen by who started us: left alone */
	assert_int_equal(syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &param),
			 0);
	close(loop.epfd);
	assert_int_equal(loop_init(&loop, handlers, &hooks), 0);
	loop_batch(&loop, true);
	assert_int_equal(policy(), SCHED_IDLE);
	loop_batch(&loop, false);
	assert_int_equal(policy(), SCHED_IDLE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_event),
		TEST(test_unknown_type),
		TEST(test_many),
		TEST(test_close),
		TEST(test_timer),
		TEST(test_rearm),
		TEST(test_timeout),
		TEST(test_busy),
		TEST(test_pause),
		TEST(test_quit),
		TEST(test_interrupted),
		TEST(test_broken),
		TEST(test_overdue),
		TEST(test_others),
		/* the last one: this process stays idle */
		TEST(test_batch),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
