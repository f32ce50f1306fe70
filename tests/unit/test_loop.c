/* test_loop.c - descriptors, timers and knocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"

/* ---- descriptors -------------------------------------------------------------------------- */

struct bench {
	struct loop		*loop;
	int			 ends[2];
	struct loop_fd		*watch, *other;
	struct loop_timer	*timer, *second;
	unsigned		 ready;		/* the last */
	int			 calls, fired;
};

static int
open_bench(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct err err = { 0 };

	if (b == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b->ends) != 0)
		return -1;
	b->loop = loop_new(&err);
	*state = b;
	return b->loop != NULL ? 0 : -1;
}

static int
close_bench(void **state)
{
	struct bench *b = *state;

	loop_free(b->loop);
	for (int i = 0; i < 2; i++)
		if (b->ends[i] >= 0)
			close(b->ends[i]);
	free(b);
	return 0;
}

static void
be_told(void *arg, unsigned ready)
{
	struct bench *b = arg;

	b->ready = ready;
	b->calls++;
}

static void
send_byte(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void
only_what_was_asked_for_is_told(void **state)
{
	struct bench *b = *state;
	char c;

	b->watch = loop_watch(b->loop, b->ends[0], LOOP_READ, be_told, b, NULL);
	assert_non_null(b->watch);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	send_byte(b->ends[1]);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(b->ready, LOOP_READ);
	assert_int_equal(loop_rewatch(b->watch, LOOP_READ | LOOP_WRITE), 0);
	loop_turn(b->loop, 1000);
	assert_int_equal(b->ready, LOOP_READ | LOOP_WRITE);
	assert_int_equal(read(b->ends[0], &c, 1), 1);
	loop_turn(b->loop, 1000);
	assert_int_equal(b->ready, LOOP_WRITE);
	assert_int_equal(b->calls, 3);
}

static void
a_hang_up_is_told_as_both(void **state)
{
	struct bench *b = *state;

	b->watch = loop_watch(b->loop, b->ends[0], LOOP_READ, be_told, b, NULL);
	close(b->ends[1]);
	b->ends[1] = -1;
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(b->ready, LOOP_READ | LOOP_WRITE);
}

static void
who_sleeps_hears_nothing_not_even_a_hang_up(void **state)
{
	struct bench *b = *state;

	b->watch = loop_watch(b->loop, b->ends[0], LOOP_READ, be_told, b, NULL);
	send_byte(b->ends[1]);
	assert_int_equal(loop_rewatch(b->watch, 0), 0);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	close(b->ends[1]);
	b->ends[1] = -1;
	assert_int_equal(loop_turn(b->loop, 0), 0);
	assert_int_equal(loop_rewatch(b->watch, LOOP_READ), 0);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(b->ready, LOOP_READ | LOOP_WRITE);
}

static void
a_watch_may_be_made_asleep(void **state)
{
	struct bench *b = *state;

	b->watch = loop_watch(b->loop, b->ends[0], 0, be_told, b, NULL);
	assert_non_null(b->watch);
	send_byte(b->ends[1]);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	assert_int_equal(loop_rewatch(b->watch, LOOP_READ), 0);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	loop_unwatch(b->watch);
	assert_int_equal(loop_turn(b->loop, 0), 0);
}

static void
what_cannot_be_watched_is_an_error(void **state)
{
	struct bench *b = *state;
	struct err err = { 0 };

	assert_null(loop_watch(b->loop, -1, LOOP_READ, be_told, b, &err));
	assert_int_equal(err.kind, ERR_AGAIN);
}

/* Whoever is called first ends both watches and both descriptors. */
static void
end_both(void *arg, unsigned ready)
{
	struct bench *b = arg;

	(void)ready;
	b->calls++;
	loop_unwatch(b->watch);
	loop_unwatch(b->other);
	loop_unwatch(b->watch);		/* again, while it is still remembered */
	close(b->ends[0]);
	close(b->ends[1]);
	b->ends[0] = b->ends[1] = -1;
}

static void
a_callback_may_end_itself_and_its_neighbour(void **state)
{
	struct bench *b = *state;

	send_byte(b->ends[0]);
	send_byte(b->ends[1]);
	b->watch = loop_watch(b->loop, b->ends[0], LOOP_READ, end_both, b, NULL);
	b->other = loop_watch(b->loop, b->ends[1], LOOP_READ, end_both, b, NULL);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(b->calls, 1);
	assert_int_equal(loop_turn(b->loop, 0), 0);
}

/* Whoever is called first sends the other to sleep. */
static void
lull_the_other(void *arg, unsigned ready)
{
	struct bench *b = arg;

	(void)ready;
	b->calls++;
	assert_int_equal(loop_rewatch(b->watch, 0), 0);
	assert_int_equal(loop_rewatch(b->other, 0), 0);
}

static void
who_was_sent_to_sleep_in_this_turn_is_not_called_any_more(void **state)
{
	struct bench *b = *state;

	assert_int_equal(shutdown(b->ends[0], SHUT_RDWR), 0);	/* both hang up */
	b->watch = loop_watch(b->loop, b->ends[0], LOOP_READ, lull_the_other, b, NULL);
	b->other = loop_watch(b->loop, b->ends[1], LOOP_READ, lull_the_other, b, NULL);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(b->calls, 1);
}

static void
turn_again(void *arg, unsigned ready)
{
	struct bench *b = arg;

	(void)ready;
	if (b->calls++ > 0)
		return;
	loop_unwatch(b->other);
	b->other = NULL;
	loop_turn(b->loop, 0);		/* the outer turn still knows the other one */
}

static void
a_turn_within_a_turn_frees_nothing_the_outer_one_needs(void **state)
{
	struct bench *b = *state;
	struct loop_fd *both[2];

	send_byte(b->ends[0]);
	send_byte(b->ends[1]);
	both[0] = b->watch = loop_watch(b->loop, b->ends[0], LOOP_READ, turn_again, b, NULL);
	both[1] = b->other = loop_watch(b->loop, b->ends[1], LOOP_READ, turn_again, b, NULL);
	assert_true(both[0] != NULL && both[1] != NULL);
	loop_turn(b->loop, 1000);
	assert_true(b->calls >= 2);
}

/* ---- timers ------------------------------------------------------------------------------- */

static void
count_fire(void *arg)
{
	struct bench *b = arg;

	b->fired++;
}

static void
a_timer_fires_once_when_its_time_has_come(void **state)
{
	struct bench *b = *state;

	clock_fake(0);
	b->timer = loop_timer_new(b->loop, count_fire, b, NULL);
	assert_false(loop_timer_is_set(b->timer));
	assert_true(loop_next_timer_ms(b->loop) == -1);
	loop_timer_set(b->timer, 5000);
	assert_true(loop_timer_is_set(b->timer));
	assert_true(loop_next_timer_ms(b->loop) == 5000);
	clock_fake_advance(4999);
	assert_int_equal(loop_turn(b->loop, -1), 0);	/* does not sleep until it is time: nobody would move the hands */
	clock_fake_advance(1);
	assert_int_equal(loop_turn(b->loop, -1), 1);
	assert_false(loop_timer_is_set(b->timer));
	clock_fake_advance(100000);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	assert_int_equal(b->fired, 1);
}

static void
setting_again_replaces_and_unsetting_forgets(void **state)
{
	struct bench *b = *state;

	clock_fake(0);
	b->timer = loop_timer_new(b->loop, count_fire, b, NULL);
	loop_timer_set(b->timer, 10);
	loop_timer_set(b->timer, 100);
	clock_fake_advance(50);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	loop_timer_set(b->timer, 10);
	clock_fake_advance(10);
	assert_int_equal(loop_turn(b->loop, 0), 1);
	loop_timer_set(b->timer, 10);
	loop_timer_unset(b->timer);
	loop_timer_unset(b->timer);
	clock_fake_advance(1000);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	loop_timer_set(b->timer, UINT64_MAX);		/* never, not at once */
	assert_int_equal(loop_turn(b->loop, 0), 0);
	assert_true(loop_next_timer_ms(b->loop) > 0);
	loop_timer_free(NULL);
}

struct told { struct loop_timer *timer; uint64_t at_ms, order; struct told **fired; size_t *nfired; };

static void
write_down(void *arg)
{
	struct told *t = arg;

	t->fired[(*t->nfired)++] = t;
}

static void
many_timers_fire_by_time_then_in_the_order_they_were_set(void **state)
{
	enum { MANY = 300 };
	static struct told told[MANY], *fired[MANY];
	struct bench *b = *state;
	size_t nfired = 0, left = 0;
	uint32_t random = 1;

	clock_fake(0);
	for (size_t i = 0; i < MANY; i++) {
		told[i] = (struct told){ .fired = fired, .nfired = &nfired, .order = i };
		told[i].timer = loop_timer_new(b->loop, write_down, &told[i], NULL);
		assert_non_null(told[i].timer);
		random = random * 1103515245 + 12345;
		told[i].at_ms = random >> 16 & 63;
		loop_timer_set(told[i].timer, told[i].at_ms);
	}
	for (size_t i = 0; i < MANY; i += 3) {		/* from the middle of the heap too */
		loop_timer_unset(told[i].timer);
		left++;
	}
	for (int i = 0; i < 64; i++) {
		loop_turn(b->loop, 0);
		clock_fake_advance(1);
	}
	assert_int_equal(nfired, MANY - left);
	for (size_t i = 1; i < nfired; i++)
		assert_true(fired[i - 1]->at_ms < fired[i]->at_ms ||
		    (fired[i - 1]->at_ms == fired[i]->at_ms && fired[i - 1]->order < fired[i]->order));
}

static void
set_again_at_once(void *arg)
{
	struct bench *b = arg;

	b->fired++;
	loop_timer_set(b->timer, 0);
}

static void
a_timer_set_to_now_in_its_own_callback_waits_for_the_next_turn(void **state)
{
	struct bench *b = *state;

	clock_fake(0);
	b->timer = loop_timer_new(b->loop, set_again_at_once, b, NULL);
	loop_timer_set(b->timer, 0);
	assert_int_equal(loop_turn(b->loop, 0), 1);
	assert_int_equal(loop_turn(b->loop, 0), 1);
	assert_int_equal(b->fired, 2);
}

static void
free_both(void *arg)
{
	struct bench *b = arg;

	b->fired++;
	loop_timer_free(b->timer);
	loop_timer_free(b->second);
}

static void
a_callback_may_free_its_timer_and_another_that_is_due(void **state)
{
	struct bench *b = *state;

	clock_fake(0);
	b->timer = loop_timer_new(b->loop, free_both, b, NULL);
	b->second = loop_timer_new(b->loop, free_both, b, NULL);
	loop_timer_set(b->timer, 1);
	loop_timer_set(b->second, 1);
	clock_fake_advance(1);
	assert_int_equal(loop_turn(b->loop, 0), 1);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	assert_int_equal(b->fired, 1);
}

/* ---- knocking, running --------------------------------------------------------------------- */

static void
many_knocks_are_one_visit(void **state)
{
	struct bench *b = *state;

	loop_wake(b->loop);			/* nobody to answer: nothing happens */
	assert_int_equal(loop_turn(b->loop, 0), 0);
	loop_on_wake(b->loop, count_fire, b);
	for (int i = 0; i < 1000; i++)
		loop_wake(b->loop);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(loop_turn(b->loop, 0), 0);
	assert_int_equal(b->fired, 1);
}

static void *
run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static struct loop *to_wake;

static void
knock(int number)
{
	(void)number;
	loop_wake(to_wake);
}

static void
a_signal_handler_may_knock(void **state)
{
	struct bench *b = *state;
	struct sigaction act = { .sa_handler = knock };

	to_wake = b->loop;
	loop_on_wake(b->loop, count_fire, b);
	assert_int_equal(sigaction(SIGUSR1, &act, NULL), 0);
	raise(SIGUSR1);
	assert_int_equal(loop_turn(b->loop, 1000), 1);
	assert_int_equal(b->fired, 1);
}

static void
another_thread_may_knock_and_stop(void **state)
{
	struct bench *b = *state;
	pthread_t thread;
	uint64_t turns = loop_turns(b->loop);

	assert_int_equal(pthread_create(&thread, NULL, run, b->loop), 0);
	while (loop_turns(b->loop) < turns + 3) {
		loop_wake(b->loop);
		usleep(1000);
	}
	loop_stop(b->loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_run(b->loop);			/* stays stopped */
}

static void
real_time_wakes_a_sleeping_loop(void **state)
{
	struct bench *b = *state;
	uint64_t start_ms = clock_mono_ms();

	b->timer = loop_timer_new(b->loop, count_fire, b, NULL);
	loop_timer_set(b->timer, 30);
	while (b->fired == 0)
		loop_turn(b->loop, -1);
	assert_in_range(clock_mono_ms() - start_ms, 30, 60000);
	start_ms = clock_mono_ms();
	assert_int_equal(loop_turn(b->loop, 20), 0);
	assert_in_range(clock_mono_ms() - start_ms, 19, 60000);
}

static void
a_loop_takes_all_that_is_left_with_it(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 40; i++) {
		struct loop_timer *t = loop_timer_new(b->loop, count_fire, b, NULL);

		assert_non_null(t);
		loop_timer_set(t, (uint64_t)i);
		if (i % 2)
			loop_timer_free(t);
	}
	assert_non_null(loop_watch(b->loop, b->ends[0], LOOP_READ, be_told, b, NULL));
	loop_unwatch(loop_watch(b->loop, b->ends[1], LOOP_READ, be_told, b, NULL));
	loop_unwatch(NULL);
	loop_free(NULL);
}					/* close_bench frees; the leak checker judges */

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* in real time; then the clock is held, and it is never let go again */
		cmocka_unit_test_setup_teardown(only_what_was_asked_for_is_told, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_hang_up_is_told_as_both, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(who_sleeps_hears_nothing_not_even_a_hang_up, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_watch_may_be_made_asleep, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_an_error, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_callback_may_end_itself_and_its_neighbour, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(who_was_sent_to_sleep_in_this_turn_is_not_called_any_more, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_turn_within_a_turn_frees_nothing_the_outer_one_needs, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(many_knocks_are_one_visit, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_signal_handler_may_knock, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(another_thread_may_knock_and_stop, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(real_time_wakes_a_sleeping_loop, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_loop_takes_all_that_is_left_with_it, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_timer_fires_once_when_its_time_has_come, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(setting_again_replaces_and_unsetting_forgets, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(many_timers_fire_by_time_then_in_the_order_they_were_set, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_timer_set_to_now_in_its_own_callback_waits_for_the_next_turn, open_bench, close_bench),
		cmocka_unit_test_setup_teardown(a_callback_may_free_its_timer_and_another_that_is_due, open_bench, close_bench),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
