/* convert_words.c - the words of many vendors, made ours: severities, results, HTTP status names. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

struct word { struct slice theirs, ours; };
#define WORD(a, b)	{ { (a), sizeof(a) - 1 }, { (b), sizeof(b) - 1 } }

static const struct word severities[] = {
	WORD("informational", "Informational"), WORD("information", "Informational"), WORD("info", "Informational"),
	WORD("verbose", "Informational"), WORD("debug", "Informational"), WORD("trace", "Informational"),
	WORD("notice", "Informational"), WORD("normal", "Informational"), WORD("none", "Informational"),
	WORD("default", "Informational"),
	WORD("low", "Low"), WORD("minor", "Low"), WORD("minimal", "Low"),
	WORD("medium", "Medium"), WORD("moderate", "Medium"), WORD("warning", "Medium"), WORD("warn", "Medium"),
	WORD("high", "High"), WORD("major", "High"), WORD("important", "High"), WORD("error", "High"),
	WORD("severe", "High"),
	WORD("critical", "Critical"), WORD("fatal", "Critical"), WORD("alert", "Critical"),
	WORD("emergency", "Critical"),
};

static const struct word results[] = {
	WORD("success", "Success"), WORD("succeeded", "Success"), WORD("successful", "Success"), WORD("succeed", "Success"),
	WORD("ok", "Success"), WORD("true", "Success"), WORD("completed", "Success"), WORD("created", "Success"),
	WORD("passed", "Success"), WORD("pass", "Success"), WORD("allowed", "Success"), WORD("granted", "Success"),
	WORD("fail", "Failure"), WORD("failed", "Failure"), WORD("failure", "Failure"), WORD("false", "Failure"),
	WORD("error", "Failure"), WORD("denied", "Failure"), WORD("blocked", "Failure"), WORD("forbidden", "Failure"),
	WORD("unauthorized", "Failure"), WORD("timeout", "Failure"), WORD("timedout", "Failure"),
	WORD("rejected", "Failure"), WORD("clienterror", "Failure"), WORD("servererror", "Failure"),
	WORD("start", "NA"), WORD("started", "NA"), WORD("accept", "NA"), WORD("accepted", "NA"),
	WORD("inprogress", "NA"), WORD("in progress", "NA"), WORD("running", "NA"), WORD("pending", "NA"),
	WORD("active", "NA"), WORD("resolved", "NA"), WORD("updated", "NA"), WORD("new", "NA"),
	WORD("dismissed", "NA"), WORD("canceled", "NA"), WORD("cancelled", "NA"), WORD("skipped", "NA"),
	WORD("na", "NA"), WORD("notapplicable", "NA"),
};

static const struct { struct slice name; int status; } statuses[] = {
#define STATUS(n, s)	{ { (n), sizeof(n) - 1 }, (s) }
	STATUS("Continue", 100), STATUS("SwitchingProtocols", 101),
	STATUS("OK", 200), STATUS("Created", 201), STATUS("Accepted", 202),
	STATUS("NonAuthoritativeInformation", 203), STATUS("NoContent", 204), STATUS("ResetContent", 205),
	STATUS("PartialContent", 206), STATUS("MultiStatus", 207),
	STATUS("MovedPermanently", 301), STATUS("Moved", 301), STATUS("Found", 302), STATUS("Redirect", 302),
	STATUS("SeeOther", 303), STATUS("NotModified", 304), STATUS("TemporaryRedirect", 307),
	STATUS("PermanentRedirect", 308),
	STATUS("BadRequest", 400), STATUS("Unauthorized", 401), STATUS("PaymentRequired", 402),
	STATUS("Forbidden", 403), STATUS("NotFound", 404), STATUS("MethodNotAllowed", 405),
	STATUS("NotAcceptable", 406), STATUS("RequestTimeout", 408), STATUS("Conflict", 409), STATUS("Gone", 410),
	STATUS("LengthRequired", 411), STATUS("PreconditionFailed", 412), STATUS("RequestEntityTooLarge", 413),
	STATUS("PayloadTooLarge", 413), STATUS("UnsupportedMediaType", 415), STATUS("UnprocessableEntity", 422),
	STATUS("Locked", 423), STATUS("FailedDependency", 424), STATUS("TooManyRequests", 429),
	STATUS("InternalServerError", 500), STATUS("NotImplemented", 501), STATUS("BadGateway", 502),
	STATUS("ServiceUnavailable", 503), STATUS("GatewayTimeout", 504),
#undef STATUS
};

static struct slice
find(const struct word *v, size_t n, struct slice s)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].theirs.n == s.n && slice_eq_nocase(v[i].theirs, s))
			return v[i].ours;
	return SLICE_NONE;
}

struct slice
severity_word(struct slice s)
{
	return find(severities, sizeof(severities) / sizeof(severities[0]), slice_trim(s));
}

int
http_status(struct slice s)
{
	const char *dot;
	int64_t n;

	s = slice_trim(s);
	if (slice_to_i64(s, &n))
		return n >= 100 && n <= 599 ? (int)n : 0;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].name.n == s.n && slice_eq_nocase(statuses[i].name, s))
			return statuses[i].status;
	dot = s.n > 0 ? memrchr(s.p, '.', s.n) : NULL;
	if (dot == NULL)
		return 0;
	return http_status(slice_make(dot + 1, s.n - (size_t)(dot - s.p) - 1));
}

struct slice
result_word(struct slice s)
{
	const char *dot;
	struct slice found;
	int status;

	s = slice_trim(s);
	found = find(results, sizeof(results) / sizeof(results[0]), s);
	if (found.p != NULL)
		return found;
	if (slice_starts_nocase(s, SLICE("partial")))
		return SLICE("Partial");
	if (s.n == 3 && (status = http_status(s)) >= 200)
		return status < 400 ? SLICE("Success") : SLICE("Failure");
	dot = s.n > 0 ? memchr(s.p, '.', s.n) : NULL;	/* Succeeded.Created */
	if (dot == NULL || dot == s.p)
		return SLICE_NONE;
	return find(results, sizeof(results) / sizeof(results[0]), slice_make(s.p, (size_t)(dot - s.p)));
}
