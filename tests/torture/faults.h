/*
 * faults.h - one call of the agent fails: the Nth through the table of base/sys.h, or the Nth allocation.
 *
 * Where:   only in the agent's own code: between site_enter and site_leave, and on the writers' threads. The far sides and the test itself
 *          are left alone, and so is what libcurl, libyaml, OpenSSL and the C++ library allocate inside themselves.
 * Memory:  malloc, calloc, realloc and strdup, by the linker's --wrap; the sanitizers stay below.
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
	FAULT_IO,	/* the Nth call fails with EIO */
	FAULT_FULL,	/* from the Nth on there is no room: what writes or makes fails with ENOSPC */
	FAULT_SHORT,	/* the Nth call does half of it, or is interrupted */
	FAULT_MEMORY,	/* the Nth allocation fails */
	FAULT_SCARCE,	/* the Nth allocation and the 20 behind it fail */
	FAULT_KILL,
	FAULT_POWER,
	FAULTS
};
extern const char *const fault_words[FAULTS];

void	faults_begin(struct site *, enum fault, uint64_t nth);
void	faults_lift(void);		/* nothing fails any more; goes on counting */
void	faults_new_disk(void);	/* the trees have been replaced, and all in them is durable */
void	faults_end(void);
uint64_t faults_calls(void), faults_allocations(void);
const char *faults_hit(void);		/* "pwrite(...)": the one that failed; "" none did */
extern bool faults_trace;		/* tell by a stack trace where it struck, if the sanitizer can */

#endif
