/* manual_push.c - the manual's section on what is pushed by HTTP: who sends to which path, and what each must be told. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stddef.h>

#include "run/manual.h"

const char *const manual_push[] = {
	".SH HTTP PUSH",
	"A source of type http takes records that others send, each form at a path of its own. A request is answered 200 when all of its records are",
	"in the spool and synced; whoever got no answer, or 503 with Retry\\-After, sends again, and its records have the same EventIds. A record that",
	"is no JSON is taken as well: it goes to the dead letter. 401, 403, 404, 405, 413 and 415 mean that the sender must be told something else;",
	"some senders drop what was answered so.",
	".TP",
	"\\fB/records\\fR",
	"JSON objects, one a line; a JSON list; {\"records\": [...]}, and whatever else a file may hold. gzip with Content\\-Encoding: gzip. The token:",
	"\\fBAuthorization: Bearer\\fR \\fITOKEN\\fR.",
	".TP",
	"\\fB/v1/traces\\fR, \\fB/v1/logs\\fR",
	"OTLP/HTTP as JSON, of which the gen_ai spans and log records become events. Of OpenTelemetry's collector: exporter otlphttp with",
	"\\fBencoding: json\\fR and \\fBheaders: {Authorization: Bearer\\fR \\fITOKEN\\fR\\fB}\\fR. Protobuf is refused (415).",
	".TP",
	"\\fB/eventgrid\\fR",
	"Azure Event Grid, in its own schema and as CloudEvents 1.0. The endpoint of the subscription is",
	"https://\\fIHOST\\fR/eventgrid?token=\\fITOKEN\\fR: Event Grid keeps the query hidden, and sends it with each delivery and with the handshake by",
	"which it asks whether it may (validation event, or OPTIONS), which is answered by itself if the token is right. A delivery property",
	"Authorization with the value Bearer \\fITOKEN\\fR does for deliveries, but need not come with the handshake. A token of Entra ID that Event Grid",
	"adds is not looked at. Events that were answered 400, 401, 403 or 413 are not sent again: set a dead letter destination there, and give the agent",
	"a new token before Event Grid has it.",
	".TP",
	"\\fB/firehose\\fR",
	"Amazon Data Firehose, destination HTTP endpoint, https://\\fIHOST\\fR/firehose; the token is its access key. Firehose sends to port 443 only. Each of",
	"its records is one of its own, or one a line, gzip too (CloudWatch Logs). With a buffer hint of more than 11 MiB raise \\fBmax_body\\fR: base64 adds a",
	"third. What was answered 413 goes to its backup bucket.",
	".TP",
	"\\fB/pubsub\\fR",
	"Google Cloud Pub/Sub, push subscription, https://\\fIHOST\\fR/pubsub?token=\\fITOKEN\\fR; wrapped messages, or unwrapped ones. The signed token (JWT)",
	"that Pub/Sub can add is not looked at. All answers but 2xx are sent again.",
	".TP",
	"\\fB/healthz\\fR",
	"GET, without a token, for who balances load: 200, or 503 while the spool has no room.",
	".PP",
	"A token in a query is written percent\\-encoded, and stands in the logs of proxies before the agent unless they are told otherwise. No token, nor a",
	"query, comes into the agent's log, status or errors. Take letters and digits, such as of",
	"\\fBopenssl rand \\-hex 32\\fR.",
	".SS Plain or TLS",
	"On a loopback address plain http is allowed, for a proxy on this machine that speaks TLS; without a token anyone on the machine may send then. On",
	"other addresses tls and a token are needed. \\fBtls.client_ca_file\\fR asks for client certificates besides. A page in a browser is always refused.",
	"A port below 1024 needs a right of the unit: see \\fI" DATA_DIR "/examples/systemd/http\\-443.conf\\fR.",
	".SS When it is too much",
	"The spool has no room, more than \\fBmax_waiting\\fR requests are under way, or their bodies take more than \\fBmax_pending\\fR: 503 with",
	"Retry\\-After, before a body is read. More than \\fBmax_connections\\fR: the next ones wait to be let in, and who has shown no token within a second makes room. A sender",
	"that is slower than \\fBtimeout\\fR is cut off. A list or {\"records\": ...} that makes more than 65,536 events goes to the dead letter: send lines.",
	".SS Once, reload and stop",
	"\\fBrun \\-\\-once\\fR does not listen. SIGHUP keeps the socket: nobody is refused, who waited is answered, and who was in the middle of a body is cut",
	"off and sends again. A new certificate in \\fBtls.cert_file\\fR is taken into use within seconds, for new connections.",
	NULL
};
