/*
 * assertion.h - inside net only: a client's certificate as a signed assertion (JWT).
 * Sources: RFC 7515, RFC 7518 3.5 (PS256), RFC 7523; learn.microsoft.com "Microsoft identity platform application
 *          authentication certificate credentials" (x5t#S256, ten minutes of life).
 */
#ifndef NET_ASSERTION_H
#define NET_ASSERTION_H

#include "base/buf.h"

struct err;

struct assertion {
	const char	*cert_file, *key_file;	/* PEM; key_file NULL: in cert_file. The first certificate is the client's */
	const char	*client_id, *audience;
	bool		 send_chain;		/* x5c: all certificates of the file, for trust by subject name and issuer */
};

/* Appends a new assertion, valid from five minutes ago for fifteen in all. The files are read anew; ERR_CONFIG names them, never their content. */
int	assertion_sign(const struct assertion *, struct buf *out, struct err *);

#endif
