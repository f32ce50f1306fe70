/* http_listen.c - listening sockets of this process, by address: one source hands its own over to the next. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

#define BACKLOG	1024

struct push_listen {
	char			 address[80];
	int			 fd;		/* -1: not yet */
	unsigned		 wanted;
	struct push_listen	*next;
};

/* A source is opened and closed on the main thread, and tries again to listen on the intake's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct push_listen *sockets;

/* An address that push_listen_is_address let pass. */
static socklen_t
address_of(const char *text, struct sockaddr_storage *ret)
{
	const char *colon = strrchr(text, ':');
	const uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	const bool v6 = text[0] == '[';
	char host[64];
	size_t n = (size_t)(colon - text) - (v6 ? 2 : 0);

	memset(ret, 0, sizeof(*ret));
	memcpy(host, text + (v6 ? 1 : 0), n);
	host[n] = '\0';
	if (v6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		(void)inet_pton(AF_INET6, host, &in6->sin6_addr);
		return sizeof(*in6);
	}
	((struct sockaddr_in *)ret)->sin_family = AF_INET;
	((struct sockaddr_in *)ret)->sin_port = port;
	(void)inet_pton(AF_INET, host, &((struct sockaddr_in *)ret)->sin_addr);
	return sizeof(struct sockaddr_in);
}

static int
bound(const char *address, struct err *err)
{
	const int yes = 1;
	struct sockaddr_storage at;
	const socklen_t n = address_of(address, &at);
	const int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set_sys(err, ERR_AGAIN, "no socket for %s", address);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (const struct sockaddr *)&at, n) == 0)
		return fd;
	if (errno == EACCES)
		err_set_sys(err, ERR_CONFIG, "cannot listen on %s: a port below 1024 needs CAP_NET_BIND_SERVICE, see examples/systemd/http-443.conf", address);
	else if (errno == EADDRINUSE)
		err_set_sys(err, ERR_CONFIG, "cannot listen on %s: another program has it (ss -ltnp shows which)", address);
	else
		err_set_sys(err, ERR_CONFIG, "cannot listen on %s", address);
	close(fd);
	return -1;
}

struct push_listen *
push_listen_want(const char *address, struct err *err)
{
	struct push_listen *l;

	pthread_mutex_lock(&lock);
	for (l = sockets; l != NULL && strcmp(l->address, address) != 0; l = l->next)
		;
	if (l == NULL && (l = calloc(1, sizeof(*l))) != NULL) {
		memcpy(l->address, address, strnlen(address, sizeof(l->address) - 1));
		l->fd = -1;
		l->next = sockets;
		sockets = l;
	}
	if (l != NULL)
		l->wanted++;
	else
		err_set(err, ERR_AGAIN, "no memory for a source");
	pthread_mutex_unlock(&lock);
	return l;
}

int
push_listen_fd(struct push_listen *l, struct err *err)
{
	int fd = -1;

	pthread_mutex_lock(&lock);
	if (l->fd == -1)
		l->fd = bound(l->address, err);
	if (l->fd == -1)
		goto out;
	if (listen(l->fd, BACKLOG) != 0 || (fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 3)) < 0)
		err_set_sys(err, ERR_AGAIN, "cannot listen on %s", l->address);
out:
	pthread_mutex_unlock(&lock);
	return fd;
}

void
push_listen_drop(struct push_listen *l)
{
	struct push_listen **at = &sockets;

	if (l == NULL)
		return;
	pthread_mutex_lock(&lock);
	if (--l->wanted == 0) {
		while (*at != l)
			at = &(*at)->next;
		*at = l->next;
		if (l->fd >= 0)
			close(l->fd);
		free(l);
	}
	pthread_mutex_unlock(&lock);
}

int
push_listen_try(const char *address, struct err *err)
{
	struct err why = { 0 };
	const int fd = bound(address, &why);

	if (fd >= 0) {
		close(fd);
		return 1;
	}
	if (why.sys == EADDRINUSE)
		return 0;
	*err = why;
	return -1;
}
