/*
 * faults.h - one call of the agent fails: the Nth through the table of base/sys.h, or the Nth allocation.
 *
 * Where:   only in the agent's own code: between site_enter and site_leave, and on the writers' threads. The far sides and the test itself
 *          are left alone, and so is what libcurl, libyaml, OpenSSL and the C++ library allocate inside themselves.
 * Memory:  malloc, calloc, realloc and strdup, by the linker's --wrap; the sanitizers stay below.
 * Errnos:  a call can fail for more than one reason, each a variant; which is the first goes by N, so that a sample meets them all.
 * Wall:    the calls that agent/run/wall_spawn.c makes for the decode process fail by the linker's --wrap (wall_faults.c).
 * Kill:    at the Nth call everything stops: what is on the disk at that moment (FAULT_KILL), or what of it had been synced
 *          (FAULT_POWER), is all that the next start finds.
 */
#ifndef TESTS_TORTURE_FAULTS_H
#define TESTS_TORTURE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct site;

enum fault {
	FAULT_NONE,
	FAULT_IO,	/* the Nth call fails, for one of its reasons */
	FAULT_FULL,	/* from the Nth on there is no room: what writes or makes fails with ENOSPC */
	FAULT_SHORT,	/* the Nth call does half of it, or is interrupted */
	FAULT_MEMORY,	/* the Nth allocation fails */
	FAULT_SCARCE,	/* the Nth allocation and the 20 behind it fail */
	FAULT_KILL,
	FAULT_POWER,
	FAULT_WALL,	/* the Nth of the wall's own calls fails, for one of its reasons */
	FAULT_WORKER,	/* and there the worker is killed, or its keeper */
	FAULTS
};
extern const char *const fault_words[FAULTS];

/* How often each kind of call was made, and so how many N there are. */
struct fault_counts {
	uint64_t	calls, allocations, wall;
};
uint64_t fault_count(const struct fault_counts *, enum fault);

/* variant: among the reasons for which that call can fail, counted from the first. */
void	faults_begin(struct site *, enum fault, uint64_t nth, unsigned variant);
void	faults_lift(void);		/* nothing fails any more; goes on counting */
void	faults_new_disk(void);	/* the trees have been replaced, and all in them is durable */
void	faults_end(void);
struct fault_counts faults_counts(void);
const char *faults_hit(void);		/* "pwrite(...): EIO": the one that failed; "" none did */
unsigned faults_variants(void);		/* reasons for which it can fail; 1: there is one way only */
extern bool faults_trace;		/* tell by a stack trace where it struck, if the sanitizer can */

/* ---- faults.c, for wall_faults.c ---- */
enum strike { STRIKE_NOT, STRIKE_FAIL, STRIKE_KILL };
/* What becomes of this call of the wall's: fails (errno is why), or there the process is killed. `call`: for faults_hit. */
enum strike faults_strike_wall(const char *call);
/* One of the reasons for which `call` can fail, into errno. */
void	faults_reason(const char *call);

#endif
