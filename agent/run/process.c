/* process.c - what the process asks of the system, and what its service manager is told. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#ifdef WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "run/agent.h"

#define FILES_MOST	16384

void
process_harden(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	(void)setrlimit(RLIMIT_CORE, &none);		/* no prompt text in a core dump */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_MOST) {
		files.rlim_cur = files.rlim_max < FILES_MOST ? files.rlim_max : FILES_MOST;
		(void)setrlimit(RLIMIT_NOFILE, &files);	/* one source's 512 files must not leave the others without */
	}
#ifndef __SANITIZE_ADDRESS__				/* the leak checker must trace itself */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
}

void
process_tell(const char *state)
{
#ifdef WITH_SYSTEMD
	(void)sd_notify(0, state);
#else
	(void)state;
#endif
}
