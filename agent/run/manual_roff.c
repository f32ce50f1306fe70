/* manual_roff.c - the manual pages aispm-agent(1) and aispm-agent.yaml(5), in man macros, from the tables. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "base/conf.h"
#include "base/note.h"
#include "base/stat.h"
#include "run/cli.h"
#include "run/manual.h"

/* Text that roff must not obey. */
static void
put_text(FILE *out, const char *text)
{
	bool first = true;

	for (; *text != '\0'; text++, first = false) {
		if (first && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '~')
			fputs("\\(ti", out);
		else if (*text == '^')
			fputs("\\(ha", out);
		else
			fputc(*text, out);
	}
}

/* A paragraph with a tag: the tag bold, the rest of its line, the text. */
static void
put_item(FILE *out, const char *tag, const char *rest, const char *text)
{
	fputs(".TP\n\\fB", out);
	put_text(out, tag);
	fputs("\\fR", out);
	if (rest[0] != '\0') {
		fputc(' ', out);
		put_text(out, rest);
	}
	fputc('\n', out);
	put_text(out, text);
	fputc('\n', out);
}

static void
put_head(FILE *out, const char *page, int section)
{
	fprintf(out, ".\\\" Made by aispm-agent help man; do not edit.\n.TH \"");
	for (; *page != '\0'; page++)
		fputc(*page >= 'a' && *page <= 'z' ? *page - 'a' + 'A' : *page, out);
	fprintf(out, "\" %d \"\" \"aispm\\-agent %s\"\n.nh\n.ad l\n", section, PACKAGE_VERSION);
}

static void
put_lines(FILE *out, const char *const *lines)
{
	for (; *lines != NULL; lines++)
		fprintf(out, "%s\n", *lines);
}

/* ---- aispm-agent(1) ---------------------------------------------------------------------- */

static const char *const page_1_intro[] = {
	".SH NAME",
	"aispm\\-agent \\- collect AI security records and deliver them as events",
	".SH SYNOPSIS",
	".B aispm\\-agent",
	"\\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...",
	".SH DESCRIPTION",
	"Reads what clouds say about their AI workloads (alerts, activity logs, service logs) from files and Kafka, makes events of it",
	"by the mappings of \\fBaispm\\-agent\\-mappings\\fR(5), lets detectors look at them, and delivers records and findings to",
	"Microsoft Sentinel, Kafka or a file.",
	".PP",
	"What was read is on disk, synced, before the source is told so, and stays there until every sink has acknowledged it: at least",
	"once, through kill \\-9 and power loss. A repeat has the same EventId.",
	".PP",
	"Prompt and completion text stays on this machine, unless \\fBprompts.release\\fR names it.",
	NULL
};

static const char *const page_1_options[] = {
	".SH OPTIONS",
	".TP",
	"\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR",
	"The configuration; the files \\fIconf.d/*.yaml\\fR beside it are read too, in the order of their names.",
	".TP",
	"\\fB\\-\\-once\\fR",
	"\\fBrun\\fR: read what the sources hold now (an unterminated last line counts as a record; a Kafka assignment is waited for up to",
	"120 s), deliver it to every sink, and end. Windows of detectors that event time has not passed stay open.",
	".TP",
	"\\fB\\-\\-timeout\\fR \\fITIME\\fR",
	"\\fBrun \\-\\-once\\fR: when to give up, such as 90s or 10m (default 10m). What is left stays in the spool.",
	".TP",
	"\\fB\\-\\-format\\fR \\fIFORMAT\\fR",
	"\\fBexplain\\fR: how events are written (default json).",
	".TP",
	"\\fB\\-\\-why\\fR",
	"\\fBexplain\\fR: also say which mapping matched, which path filled each column, and what was left over.",
	".TP",
	"\\fB\\-\\-json\\fR",
	"\\fBstatus\\fR, \\fBspool stat\\fR: one JSON object.",
	".TP",
	"\\fB\\-\\-detector\\fR \\fIDETECTOR\\fR",
	"\\fBbacktest\\fR: which detector. \\fBvolume\\fR reads CSV with the header timestamp,value: a row is one window of a series, whatever its",
	"spacing; times are RFC 3339, or YYYY\\-MM\\-DD HH:MM:SS in UTC; repeats, gaps and steps back are normal, further columns are passed over.",
	"It writes timestamp,value,score,alert, one row for each, in one pass; an alert is a score of 0.5 or more. With \\fB\\-c\\fR, its sensitivity",
	"counts, and rows as long as its window are scored as the agent would; else rows of more than two minutes are taken for a series of any kind.",
	".TP",
	"\\fB\\-\\-plot\\fR \\fIFILE\\fR",
	"\\fBbacktest\\fR: also draw the series, what was expected, and the alerts, as SVG.",
	".TP",
	"\\fB\\-V\\fR, \\fB\\-\\-version\\fR",
	"The version, and what it was built with.",
	NULL
};

static const char *const page_1_around[] = {
	".SH SIGNALS",
	".TP",
	"\\fBSIGTERM\\fR, \\fBSIGINT\\fR",
	"Stop reading, go on delivering for \\fBagent.drain_timeout\\fR, save state, end. What is left is delivered after the next start.",
	".TP",
	"\\fBSIGHUP\\fR",
	"Read the configuration anew. One with faults is refused, and the old one stays in use. File sinks open their files anew.",
	"\\fBagent.state_dir\\fR cannot change this way.",
	".SH FILES",
	".TP",
	"\\fI" SYSCONF_DIR "/agent.yaml\\fR, \\fI" SYSCONF_DIR "/conf.d/*.yaml\\fR",
	"The configuration; see \\fBaispm\\-agent.yaml\\fR(5).",
	".TP",
	"\\fI" SYSCONF_DIR "/mappings.d/*.yaml\\fR",
	"Own mappings; see \\fBaispm\\-agent\\-mappings\\fR(5).",
	".TP",
	"\\fI" DATA_DIR "/schemas\\fR",
	"The shipped mappings, and what an event looks like.",
	".TP",
	"\\fI" STATE_DIR "\\fR",
	"Spool, positions, detector state, dead letter, agent id. One agent at a time: a second one waits 5 s for the lock, and then says",
	"who holds it. The dead letter holds raw records and is readable by the agent's user alone.",
	".SH ENVIRONMENT",
	".TP",
	"\\fBhttps_proxy\\fR, \\fBno_proxy\\fR",
	"Proxy of sinks that set none. Never used for the metadata services of the machine.",
	".TP",
	"\\fBCREDENTIALS_DIRECTORY\\fR",
	"Where secrets given as {credential: NAME} lie; set by systemd from LoadCredential=.",
	".TP",
	"\\fBAISPM_DATA_DIR\\fR",
	"Where the folder \\fIschemas\\fR lies, if \\fBagent.data_dir\\fR is not set.",
	NULL
};

static const char *const page_1_examples[] = {
	".SH EXAMPLES",
	"What is wrong with a configuration, and where:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent check \\-c agent.yaml",
	".RE",
	".fi",
	".PP",
	"What becomes of a record, and why:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent explain \\-\\-why record.json",
	".RE",
	".fi",
	".PP",
	"What the volume detector would have said about a recorded series, as a table and as a picture:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent backtest \\-\\-detector volume \\-\\-plot series.svg series.csv >scored.csv",
	".RE",
	".fi",
	".PP",
	"Deliver what there is, and end:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent run \\-c agent.yaml \\-\\-once \\-\\-timeout 5m",
	".RE",
	".fi",
	".SH SEE ALSO",
	"\\fBaispm\\-agent.yaml\\fR(5), \\fBaispm\\-agent\\-mappings\\fR(5), \\fBsystemd.exec\\fR(5)",
	NULL
};

static const char *
level_name(enum note_level level)
{
	switch (level) {
	case NOTE_ERROR: return "error";
	case NOTE_WARNING: return "warning";
	case NOTE_NOTICE: return "notice";
	case NOTE_INFO: return "info";
	default: return "debug";
	}
}

static void
put_messages(FILE *out)
{
	char rest[32];

	fputs(".SH MESSAGES\nThe log goes to standard error, one line a message: a sentence, then names and values. Under systemd it is\n"
	    "in the journal.\n", out);
	for (int i = 0; i < NOTE_COUNT; i++) {
		const struct note_row *row = note_row((enum note_id)i);

		snprintf(rest, sizeof(rest), "(%s)", level_name(row->level));
		put_item(out, row->sentence, rest, row->help);
	}
}

static void
put_counters(FILE *out)
{
	static const char *const scopes[STAT_SCOPES] = { "The agent", "Each source", "Each detector", "The spool", "Each sink" };
	char rest[96];

	fputs(".SH COUNTERS\n\\fBaispm\\-agent status \\-\\-json\\fR shows them. A counter only grows while the agent runs; a gauge is how\n"
	    "it stands now.\n", out);
	for (int scope = 0; scope < STAT_SCOPES; scope++) {
		bool any = false;

		for (int i = 0; i < STAT_COUNT; i++) {
			const struct stat_row *row = stat_row((enum stat_id)i);

			if (row->scope != (enum stat_scope)scope)
				continue;
			if (!any)
				fprintf(out, ".SS %s\n", scopes[scope]);
			any = true;
			snprintf(rest, sizeof(rest), "(%s, %s)", row->kind == STAT_GAUGE ? "gauge" : "counter", row->unit);
			put_item(out, row->name, rest, row->help);
		}
	}
}

static void
put_page_1(FILE *out)
{
	char status[16];

	put_head(out, "aispm-agent", 1);
	put_lines(out, page_1_intro);
	fputs(".SH COMMANDS\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++)
		put_item(out, row->name, row->args, row->help);
	put_lines(out, page_1_options);
	fputs(".SH EXIT STATUS\n", out);
	for (const struct manual_exit *e = manual_exits; e->help != NULL; e++) {
		snprintf(status, sizeof(status), "%d", e->status);
		put_item(out, status, "", e->help);
	}
	put_lines(out, page_1_around);
	put_messages(out);
	put_counters(out);
	put_lines(out, page_1_examples);
}

/* ---- aispm-agent.yaml(5) ------------------------------------------------------------------- */

static const char *const page_5_intro[] = {
	".SH NAME",
	"aispm\\-agent.yaml \\- configuration of aispm\\-agent",
	".SH SYNOPSIS",
	".nf",
	"\\fI" SYSCONF_DIR "/agent.yaml\\fR",
	"\\fI" SYSCONF_DIR "/conf.d/*.yaml\\fR",
	".fi",
	".SH DESCRIPTION",
	"YAML, as plain data: no anchors, aliases or tags. An unknown key is an error, and so is a key given twice. \\fBaispm\\-agent check\\fR",
	"says every problem at once, each with file, line, key, and what is allowed.",
	".PP",
	"The files of \\fIconf.d\\fR beside the main file are read after it, in the order of their names. Their lists, such as sources and",
	"sinks, are joined to those before; a single value may stand in one file only.",
	".SS Values",
	".TP",
	"\\fBtime\\fR",
	"A number and ms, s, m, h or d: 500ms, 5s, 10m, 2h, 7d.",
	".TP",
	"\\fBsize\\fR",
	"Bytes, or a number and KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB (1000): 512, 64KiB, 10MB.",
	".TP",
	"\\fBsecret\\fR",
	"{file: \\fIPATH\\fR}, {env: \\fINAME\\fR}, or {credential: \\fINAME\\fR} for a file that systemd passes by LoadCredential=. It is read",
	"when it is needed. A literal is refused. A line end at its end is cut.",
	".SH SETTINGS",
	"[] stands for each item of a list.",
	NULL
};

static const char *const page_5_examples[] = {
	".SH EXAMPLES",
	"Files in, Microsoft Sentinel out, with the identity of the virtual machine:",
	".PP",
	".nf",
	".RS",
	"sources:",
	"  \\- {name: openai, type: file, paths: [\"/var/log/ai/*.ndjson\"]}",
	"sinks:",
	"  \\- name: sentinel",
	"    type: sentinel",
	"    endpoint: https://soc\\-dcr\\-x1y2.eastus\\-1.ingest.monitor.azure.com",
	"    rule: dcr\\-00000000000000000000000000000000",
	"    stream: Custom\\-AISPMEvents",
	"    auth: {type: managed_identity}",
	".RE",
	".fi",
	".PP",
	"More of them lie in \\fI" DATA_DIR "/examples\\fR.",
	".SH FILES",
	"\\fI" SYSCONF_DIR "/agent.yaml\\fR, \\fI" SYSCONF_DIR "/conf.d/*.yaml\\fR, \\fI" SYSCONF_DIR "/mappings.d/*.yaml\\fR",
	".SH SEE ALSO",
	"\\fBaispm\\-agent\\fR(1), \\fBaispm\\-agent\\-mappings\\fR(5)",
	NULL
};

static void
put_group(void *arg, const char *title, const char *help)
{
	FILE *out = arg;

	fputs(".SS ", out);
	put_text(out, title);
	fputc('\n', out);
	if (help != NULL) {
		put_text(out, help);
		fputc('\n', out);
	}
}

static void
put_setting(void *arg, const char *path, const struct conf_key *key)
{
	char type[384], fallback[384], rest[800];

	conf_key_type_text(key, type, sizeof(type));
	manual_default(key, fallback, sizeof(fallback));
	snprintf(rest, sizeof(rest), "(%s%s%s)", type, fallback[0] != '\0' ? "; " : "", fallback);
	put_item(arg, path, rest, key->help);
}

static void
put_page_5(FILE *out)
{
	static const struct manual_see see = { put_group, put_setting };

	put_head(out, "aispm-agent.yaml", 5);
	put_lines(out, page_5_intro);
	manual_walk(&see, out);
	put_lines(out, page_5_examples);
}

int
manual_roff(FILE *out, const char *page)
{
	if (strcmp(page, "aispm-agent.1") == 0)
		put_page_1(out);
	else if (strcmp(page, "aispm-agent.yaml.5") == 0)
		put_page_5(out);
	else
		return -1;
	return 0;
}
