/* init_text.c - the configuration that `init` writes, with the comments that its reader needs. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/init.h"

#include <string.h>

#include "base/buf.h"

/* A text as a YAML scalar in double quotes: JSON's escapes are YAML's too. */
static void
put_value(struct buf *out, const char *text)
{
	buf_put_json(out, slice_of(text));
}

static void
put_list(struct buf *out, const struct init_list *list)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		buf_puts(out, i > 0 ? ", " : "");
		put_value(out, list->v[i]);
	}
	buf_putc(out, ']');
}

static void
put_setting(struct buf *out, int indent, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(out, "%*s%s: ", indent, "", name);
	put_value(out, text);
	buf_putc(out, '\n');
}

/* "file:P", "env:N", "credential:N"; anything else as it is, for the check to refuse without showing it. */
static void
put_secret(struct buf *out, int indent, const char *secret)
{
	static const char *const kinds[] = { "file", "env", "credential" };

	if (secret == NULL)
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i]);

		if (strncmp(secret, kinds[i], n) != 0 || secret[n] != ':')
			continue;
		buf_printf(out, "%*ssecret: {%s: ", indent, "", kinds[i]);
		put_value(out, secret + n + 1);
		buf_puts(out, "}\n");
		return;
	}
	put_setting(out, indent, "secret", secret);
}

static void
put_auth(struct buf *out, int indent, const struct init_wish *w, bool cloud)
{
	buf_printf(out, "%*sauth:\n", indent, "");
	indent += 2;
	put_setting(out, indent, "type", w->identity);
	if (cloud && w->cloud != NULL && strcmp(w->cloud, "public") != 0)
		put_setting(out, indent, "cloud", w->cloud);
	put_setting(out, indent, "tenant", w->tenant);
	put_setting(out, indent, "client_id", w->client_id);
	put_secret(out, indent, w->secret);
	put_setting(out, indent, "certificate", w->certificate);
	put_setting(out, indent, "authority", w->authority);
}

/* ---- sources --------------------------------------------------------------------- */

static void
put_files(struct buf *out, const struct init_wish *w)
{
	if (w->files.n == 0)
		return;
	buf_puts(out, "  # Records one a line, as JSON; rotated and compressed files are followed.\n  - name: files\n    type: file\n    paths: ");
	put_list(out, &w->files);
	buf_puts(out, "\n    start: earliest               # earliest, latest or a time; used only while no position is saved\n");
}

/* "HOST:PORT/TOPIC" */
static void
put_hub(struct buf *out, const struct init_wish *w, size_t i)
{
	const char *hub = w->hubs.v[i], *slash = strrchr(hub, '/');

	buf_puts(out, i == 0 ? "  # The identity needs the role Azure Event Hubs Data Receiver on the hub.\n" : "");
	buf_puts(out, "  - name: hub");
	if (i > 0)
		buf_put_u64(out, i + 1);
	buf_puts(out, "\n    type: kafka\n    brokers: ");
	buf_put_json(out, slash != NULL ? slice_make(hub, (size_t)(slash - hub)) : slice_of(hub));
	buf_puts(out, "\n    topics: [");
	put_value(out, slash != NULL ? slash + 1 : "");
	buf_puts(out, "]\n    group: aispm-agent\n    start: earliest\n");
	put_auth(out, 4, w, true);
}

static void
put_sources(struct buf *out, const struct init_wish *w)
{
	buf_puts(out, "\n# Where records come from.\nsources:\n");
	put_files(out, w);
	for (size_t i = 0; i < w->hubs.n; i++)
		put_hub(out, w, i);
	if (w->subscriptions.n > 0) {
		buf_puts(out, "  # Alerts, recommendations, plans and inventory, asked at intervals; the identity needs Reader and Security Reader.\n"
		    "  - name: defender\n    type: azure\n    subscriptions: ");
		put_list(out, &w->subscriptions);
		buf_putc(out, '\n');
		put_auth(out, 4, w, true);
	}
	if (w->push != NULL) {
		buf_puts(out, "  # Pushed by Event Grid, OpenTelemetry, Firehose, Pub/Sub or whoever has JSON: HTTP PUSH in aispm-agent.yaml(5) says to which path.\n"
		    "  # For other machines: a proxy here that speaks TLS, or another address with tls and token.\n  - name: push\n    type: http\n");
		put_setting(out, 4, "listen", w->push);
	}
}

/* ---- the sink ---------------------------------------------------------------------- */

static void
put_sentinel(struct buf *out, const struct init_wish *w)
{
	buf_puts(out, "  # The identity needs the role Monitoring Metrics Publisher on the rule; it may take 30 minutes to be in force.\n"
	    "  - name: sentinel\n    type: sentinel\n");
	put_setting(out, 4, "endpoint", w->endpoint);
	put_setting(out, 4, "rule", w->rule);
	put_setting(out, 4, "stream", w->stream);
	buf_puts(out, "    activity: forward             # or drop, or {summarize: 5m}: nobody wants to pay for each request row\n");
	put_auth(out, 4, w, true);
}

static void
put_sink(struct buf *out, const struct init_wish *w)
{
	buf_puts(out, "\n# Where events go.\nsinks:\n");
	if (w->sink == NULL || strcmp(w->sink, "sentinel") == 0) {
		put_sentinel(out, w);
	} else if (strcmp(w->sink, "kafka") == 0) {
		buf_puts(out, "  # With a user and a password: password, and options; see man aispm-agent.yaml.\n  - name: bus\n    type: kafka\n");
		put_setting(out, 4, "brokers", w->brokers);
		put_setting(out, 4, "topic", w->topic);
		if (w->identity != NULL)
			put_auth(out, 4, w, true);
	} else if (strcmp(w->sink, "syslog") == 0) {
		buf_puts(out, "  - name: ama\n    type: syslog\n");
		put_setting(out, 4, "target", w->target);
		buf_puts(out, "    format: cef\n");
	} else if (strcmp(w->sink, "file") == 0) {
		buf_puts(out, "  # Rotated by /etc/logrotate.d/aispm-agent while it lies in /var/log/aispm.\n  - name: disk\n    type: file\n");
		put_setting(out, 4, "path", w->path);
	} else {
		buf_puts(out, "  - name: out\n");
		put_setting(out, 4, "type", w->sink);
	}
}

void
init_text(const struct init_wish *w, struct buf *out)
{
	buf_puts(out, "# agent.yaml - configuration of aispm-agent, written by aispm-agent init. Every setting: man aispm-agent.yaml\n"
	    "#\n"
	    "# aispm-agent check --online        says what is wrong, and tries each source and sink\n"
	    "# systemctl reload aispm-agent      takes a changed file into use; one with faults is refused and the old one stays\n"
	    "\nagent:\n");
	if (w->http != NULL)
		put_setting(out, 2, "http", w->http);
	else
		buf_puts(out, "  #http: 127.0.0.1:9464           # metrics, health and the status page\n");
	buf_puts(out, "  spool: {max_bytes: 4GiB}        # room for what is not delivered yet; when it is full, sources wait\n");
	put_sources(out, w);
	buf_puts(out, "\n# Each detector is on unless switched off; they find by themselves what is unusual, after some days of learning.\n"
	    "#detectors:\n#  volume: {enabled: true, window: 60s}\n"
	    "\n# Governance zones: 1 baseline, 2 recommended, 3 regulated; aispm-agent posture shows what they demand.\n"
	    "#zones:\n#  default: 1\n#  rules: [{match: \"/subscriptions/00000000-0000-0000-0000-000000000000/*\", zone: 3}]\n");
	put_sink(out, w);
	buf_puts(out, "\n# Prompt and completion text stays on this machine; only its length and SHA-256 leave, unless it is released by name.\n"
	    "#prompts:\n#  release: []\n");
}
