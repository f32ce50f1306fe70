/*
 * easy.h - inside net only: one libcurl handle's safe settings, and the meaning of its headers and errors.
 */
#ifndef NET_EASY_H
#define NET_EASY_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/slice.h"

struct http_policy;

/* Verified TLS 1.2 or better, http and https only, no redirect, no netrc; `direct`: never through a proxy. */
bool	easy_secure(CURL *, const struct http_policy *, bool direct);
/* An HTTP-date (RFC 9110, 5.6.7), or 0. */
int64_t	easy_date_ms(struct slice);
/* Retry-After (RFC 9110, 10.2.3): seconds, or a date seen from `date_ms` (0: from our clock); at most a week; -1: none. */
int64_t	easy_retry_after_ms(struct slice, int64_t date_ms);
/* An operator must change something: a certificate, a file, a URL. */
bool	easy_is_settings_fault(CURLcode);
const char *easy_words(CURLcode, const char *why);

#endif
