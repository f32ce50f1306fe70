/*
 * wall_filter.c - the worker's seccomp filter: memory, its two pipes, its own end. Anything else that opens, connects or starts something
 * ends the process, and the agent learns it as signal SIGSYS. What libraries try on the side and can do without is refused by EPERM.
 * The filter is written out by hand: a list this short needs no library. Source: seccomp(2), linux/seccomp.h.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/wall_parts.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH	AUDIT_ARCH_PPC64LE
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH	AUDIT_ARCH_RISCV64
#endif

#ifndef ARCH

int
wall_filter(void)
{
	errno = ENOSYS;
	return -1;
}

#else

#define DATA(member)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define LOW(i)		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offsetof(struct seccomp_data, args) + 8 * (i)))	/* little-endian */
#define DO(what)	BPF_STMT(BPF_RET | BPF_K, (what))
/* These may use A: each ends, or leaves the number of the call in it. */
#define ALLOW(nr)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), DO(SECCOMP_RET_ALLOW)
#define REFUSE(nr)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), DO(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW_IF(nr, i, value) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOW(i), \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), DO(SECCOMP_RET_ALLOW), DO(SECCOMP_RET_KILL_PROCESS)

int
wall_filter(void)
{
	struct sock_filter program[] = {
		DATA(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		DO(SECCOMP_RET_KILL_PROCESS),
		DATA(nr),			/* the numbers of the x32 ABI equal none of these */
#ifdef __SANITIZE_ADDRESS__			/* its reports */
		ALLOW(SYS_write), ALLOW(SYS_sigaltstack),
#endif
		ALLOW_IF(SYS_read, 0, WALL_FD_ORDERS),
		ALLOW_IF(SYS_write, 0, WALL_FD_WORDS),
		/* Memory of its own, never code: anonymous, and no PROT_EXEC. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 6),
		LOW(2),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0),
		LOW(3),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1),
		DO(SECCOMP_RET_ALLOW),
		DO(SECCOMP_RET_KILL_PROCESS),
		ALLOW(SYS_munmap), ALLOW(SYS_mremap), ALLOW(SYS_brk), ALLOW(SYS_madvise),
		ALLOW(SYS_exit_group), ALLOW(SYS_exit),
		/* The time and chance, where the vDSO does not give them. */
		ALLOW(SYS_clock_gettime), ALLOW(SYS_getrandom), ALLOW(SYS_restart_syscall),
		/* abort(3), which ends this process alone. */
		ALLOW(SYS_rt_sigprocmask), ALLOW(SYS_rt_sigaction), ALLOW(SYS_rt_sigreturn), ALLOW(SYS_gettid), ALLOW(SYS_getpid),
		ALLOW_IF(SYS_tgkill, 0, (unsigned)getpid()),
		REFUSE(SYS_openat), REFUSE(SYS_newfstatat), REFUSE(SYS_fstat), REFUSE(SYS_mprotect), REFUSE(SYS_futex), REFUSE(SYS_ioctl),
		REFUSE(SYS_prlimit64), REFUSE(SYS_sched_getaffinity), REFUSE(SYS_sched_yield), REFUSE(SYS_sysinfo), REFUSE(SYS_readlinkat),
		DO(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog all = { sizeof(program) / sizeof(program[0]), program };

	/* Not seccomp(2), which the filters of service managers know less often. */
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0) == 0 ? 0 : -1;
}

#endif
