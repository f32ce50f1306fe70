/*
 * loop.h - one thread's epoll: descriptors, timers, and a knock from other threads.
 *
 * Gives:   callbacks, one at a time, on the thread that turns the loop.
 * Threads: only loop_wake and loop_stop may be called from another thread.
 * Time:    timers run on clock_mono_ms, so a fake clock drives them.
 * Fails:   loop_new alone; later additions return -1 with ERR_AGAIN.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct loop_fd;
struct loop_timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };		/* `ready` also has both set on error or hang-up */

struct loop *loop_new(struct err *);
void	loop_free(struct loop *);		/* NULL is fine; all watches go with it */

struct loop_fd *loop_watch(struct loop *, int fd, unsigned want,
	    void (*ready)(void *arg, unsigned ready), void *arg, struct err *);
int	loop_rewatch(struct loop_fd *, unsigned want);	/* 0: keep it, but sleep */
void	loop_unwatch(struct loop_fd *);		/* NULL is fine; before close(fd); legal inside any callback */

/* One-shot; set it again from its own callback for a period. Made unset. */
struct loop_timer *loop_timer_new(struct loop *, void (*fire)(void *arg), void *arg, struct err *);
void	loop_timer_set(struct loop_timer *, uint64_t after_ms);	/* replaces what was set */
void	loop_timer_unset(struct loop_timer *);
bool	loop_timer_is_set(const struct loop_timer *);
void	loop_timer_free(struct loop_timer *);	/* NULL is fine; legal inside any callback */

/* Runs `woken` once on the loop's thread, however often it was called before that. Any thread, async-signal-safe. */
void	loop_wake(struct loop *);
void	loop_on_wake(struct loop *, void (*woken)(void *arg), void *arg);

/* Waits at most max_wait_ms (or the next timer) and dispatches. Returns the number of callbacks run. */
int	loop_turn(struct loop *, int max_wait_ms);
/* Turns until loop_stop; counts turns. */
void	loop_run(struct loop *);
void	loop_stop(struct loop *);		/* any thread */
uint64_t loop_turns(const struct loop *);	/* any thread; a watchdog looks whether it grows */
/* Milliseconds until the next timer, or -1. */
int64_t	loop_next_timer_ms(const struct loop *);

#endif
