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
		else if (*text == '|')
			fputs("|\\:", out);
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
	fprintf(out, "\" %d \"%s\" \"aispm\\-agent %s\"\n.nh\n.ad l\n", section, RELEASE_DATE, PACKAGE_VERSION);
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
	"Microsoft Sentinel, Kafka, syslog or a file.",
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
	"\\fBexplain\\fR: how events are written: json (default), rows of AISPMEvents_CL; cef, lines of ArcSight's Common Event Format;",
	"commonsecuritylog, rows of that table; ocsf, events of OCSF 1.8.0. Which column stands where is told by the files in",
	"\\fI" DATA_DIR "/schemas/event\\fR.",
	".TP",
	"\\fB\\-\\-why\\fR",
	"\\fBexplain\\fR: also say which mapping matched, which path filled each column, and what was left over.",
	".TP",
	"\\fB\\-\\-relay\\fR",
	"\\fBexplain\\fR: as from a source with \\fIrelay: true\\fR, whose records may be events of other agents.",
	".TP",
	"\\fB\\-\\-json\\fR",
	"\\fBstatus\\fR, \\fBposture\\fR, \\fBspool stat\\fR, \\fBspool verify\\fR: one JSON object; \\fBspool dead\\fR: one a letter (also where the output is no",
	"terminal).",
	".TP",
	"\\fB\\-\\-detector\\fR \\fIDETECTOR\\fR",
	"\\fBbacktest\\fR: which detector. \\fBvolume\\fR reads CSV with the header timestamp,value: a row is one window of a series, whatever its",
	"spacing; times are RFC 3339, or YYYY\\-MM\\-DD HH:MM:SS in UTC; repeats, gaps and steps back are normal, further columns are passed over.",
	"It writes timestamp,value,score,alert, one row for each, in one pass; an alert is a score of 0.5 or more. With \\fB\\-c\\fR, its sensitivity",
	"counts, and rows as long as its window are scored as the agent would; else rows of more than two minutes are taken for a series of any kind.",
	"\\fBaccess\\fR and \\fBconfig\\fR take records and give their findings as JSON lines. How far it is is shown on a terminal.",
	".TP",
	"\\fB\\-\\-online\\fR",
	"\\fBcheck\\fR: also get each token and try each source and sink; no event is sent. What is not reached is named with its cause (69).",
	".TP",
	"\\fB\\-\\-plot\\fR \\fIFILE\\fR",
	"\\fBbacktest\\fR: also a picture, as SVG for a report: the series, what was expected, and the alerts. Of \\fBaccess\\fR and \\fBconfig\\fR the series is",
	"the number of events; below it each kind of finding has a lane, with a mark by severity, and the gravest findings stand in words.",
	".TP",
	"\\fB\\-V\\fR, \\fB\\-\\-version\\fR",
	"The version, and what it was built with.",
	NULL
};

static const char *const page_1_spool[] = {
	".SH THE SPOOL",
	"\\fBaispm\\-agent spool\\fR looks at the state directory of the configuration, or at \\fIDIR\\fR: a state directory, or the folder",
	"\\fIspool\\fR or \\fIdead\\fR in one. All but \\fBrepair\\fR and \\fBdead \\-\\-replay\\fR change nothing and may be used while the agent runs;",
	"those two refuse then, and say which process it is.",
	".TP",
	"\\fBstat\\fR [\\fB\\-\\-json\\fR]",
	"Segments, bytes, events, what is damaged or set aside, and how far each cursor is.",
	".TP",
	"\\fBverify\\fR [\\fB\\-\\-json\\fR]",
	"Reads everything. Damage is named by file and byte range, and the exit status is 65. A write that was not finished is no damage:",
	"nothing of it was acknowledged.",
	".TP",
	"\\fBrepair\\fR",
	"Keeps what is whole and cuts the rest, each range into a file of its own with \\fI.bad\\fR in its name, and says what it did and which",
	"events are lost. The agent goes on over damage by itself; repair makes the spool sound again, and \\fBverify\\fR says so. The files with",
	"\\fI.bad\\fR may be removed; they count against \\fBagent.spool.max_bytes\\fR and make way when room is needed.",
	".TP",
	"\\fBdump\\fR [\\fB\\-\\-from\\fR \\fISEQ\\fR]",
	"Events that no one has freed yet, as JSON lines with their numbers.",
	".TP",
	"\\fBdead\\fR [\\fB\\-\\-match\\fR \\fITEXT\\fR] [\\fB\\-\\-bytes\\fR]",
	"What was set aside: when, record or event, from which source or sink, id, size, why. Never its text, unless \\fB\\-\\-bytes\\fR asks for the",
	"raw bytes in base64. \\fITEXT\\fR is part of the source's or sink's name or of the reason, or a whole id: an event's EventId, or of a",
	"record the first 32 digits of its SHA\\-256.",
	".TP",
	"\\fBdead \\-\\-replay\\fR [\\fB\\-\\-match\\fR \\fITEXT\\fR]",
	"Back into the spool, for the next start of the agent to deliver: records are read anew by the mappings of the configuration and shown to the",
	"detectors, events go as they are. All sinks get them; what a sink has had already has the same EventId. What cannot be read now either",
	"stays (65). Letters leave only after the spool is synced.",
	NULL
};

/* The flags of init, from their table. */
static const struct { const char *name, *value, *help; } init_flags[] = {
#define INIT_FLAG(field, name, value, key, help)	{ name, value, help },
#define INIT_LIST(field, name, value, key, help)	{ name, value, help },
#define INIT_SWITCH(field, name, help)			{ name, "", help },
#include "run/init_flags.tbl"
#undef INIT_FLAG
#undef INIT_LIST
#undef INIT_SWITCH
};

static const char *const page_1_init[] = {
	".SH FIRST CONFIGURATION",
	"\\fBaispm\\-agent init\\fR looks for log files under \\fI/var/log\\fR whose records a mapping knows, and for the identity that Azure has given this",
	"machine; asks for the rest on a terminal, or takes it from flags with \\fB\\-\\-yes\\fR; writes a commented configuration (mode 0640) where \\fB\\-c\\fR",
	"says; and tries it as \\fBcheck \\-\\-online\\fR does (69: written, but something was not reached). A file that is there is replaced only with",
	"\\fB\\-\\-force\\fR, or if it is the package's own and untouched. What would not pass \\fBcheck\\fR is not written.",
	NULL
};

static void
put_init(FILE *out)
{
	put_lines(out, page_1_init);
	for (size_t i = 0; i < sizeof(init_flags) / sizeof(init_flags[0]); i++)
		put_item(out, init_flags[i].name, init_flags[i].value, init_flags[i].help);
}

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
	"A first configuration on a virtual machine of Azure, without questions:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent init \\-\\-yes \\-\\-endpoint https://soc\\-dcr\\-x1y2.eastus\\-1.ingest.monitor.azure.com \\e",
	"    \\-\\-rule dcr\\-00000000000000000000000000000000 \\-\\-files '/var/log/ai/*.ndjson'",
	".RE",
	".fi",
	".PP",
	"What is wrong with a configuration, and where; and whether each token, source and sink answers:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent check \\-c agent.yaml \\-\\-online",
	".RE",
	".fi",
	".PP",
	"What becomes of a record, and why; the same records as CEF:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent explain \\-\\-why record.json",
	"aispm\\-agent explain \\-\\-format cef records.ndjson.gz",
	".RE",
	".fi",
	".PP",
	"What the detectors would have said of last month:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent backtest \\-\\-detector volume \\-\\-plot requests.svg requests.csv >scored.csv",
	"aispm\\-agent backtest \\-\\-detector access \\-\\-plot access.svg /var/log/ai/*.ndjson",
	".RE",
	".fi",
	".PP",
	"Whether control 1.24 holds, and how the running agent is:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent posture",
	"aispm\\-agent status",
	".RE",
	".fi",
	".PP",
	"A look at what was set aside, and, once its cause is mended, back into the spool of a stopped agent:",
	".PP",
	".nf",
	".RS",
	"aispm\\-agent spool dead",
	"systemctl stop aispm\\-agent",
	"runuser \\-u aispm\\-agent \\-\\- aispm\\-agent spool dead \\-\\-replay \\-\\-match sentinel",
	"runuser \\-u aispm\\-agent \\-\\- aispm\\-agent spool repair",
	"systemctl start aispm\\-agent",
	".RE",
	".fi",
	".PP",
	"Completion in a shell that has none installed:",
	".PP",
	".nf",
	".RS",
	"source <(aispm\\-agent help completion bash)",
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
	static const char *const scopes[STAT_SCOPES] = { "The agent", "Each source", "Each detector", "The spool", "Each sink", "Each class and severity of events" };
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

/* A setting is named as it is written; a place in the sources is the developer's business. */
static void
put_limits(FILE *out)
{
	static const struct { const char *what, *amount, *where, *then; } rows[] = {
#define LIMIT(what, amount, where, then)	{ what, amount, where, then },
#include "run/limits.tbl"
#undef LIMIT
	};
	char rest[160];

	fputs(".SH LIMITS\nEach queue, table and buffer has a limit. Those with a setting can be changed; the amount is its default.\n", out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strchr(rows[i].where, ':') == NULL)
			snprintf(rest, sizeof(rest), "(%s, %s)", rows[i].amount, rows[i].where);
		else
			snprintf(rest, sizeof(rest), "(%s)", rows[i].amount);
		put_item(out, rows[i].what, rest, rows[i].then);
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
	put_init(out);
	put_lines(out, page_1_spool);
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

static const char *const page_5_kafka[] = {
	".SH KAFKA AND EVENT HUBS",
	".SS Logging in",
	"\\fBauth\\fR logs in with a token of Entra ID (SASL_SSL, OAUTHBEARER), \\fBpassword\\fR with SASL_SSL and PLAIN, or the",
	"\\fBsasl.mechanism\\fR in \\fBoptions\\fR; \\fBtls.cert_file\\fR and \\fBtls.key_file\\fR with a certificate. Certificates and names",
	"of brokers are always verified. Of Event Hubs, \\fBpassword\\fR is the whole connection string and the user need not be given; a SAS token is",
	"not taken there.",
	".SS Exactly once",
	"With \\fBexactly_once\\fR auto or true a batch is one transaction. Its transactional id is aispm\\-agent\\-AGENTID\\-SINK, and it commits how far the",
	"spool is as an offset of the group of the same name, on partition 0 of the sink's topic. After a crash that offset counts, so a reader with",
	"isolation.level=read_committed sees each event once. If it has expired, the saved position on this machine counts.",
	"What arrives by a kafka source is read once as long as its partitions stay with this agent; when they move to another one, events may come",
	"twice with the same EventId.",
	".PP",
	"auto goes on with an idempotent producer where the brokers say that they do not support transactions (Event Hubs Standard), and with acks=all",
	"where they say so of that; it logs a warning then. Silence is no refusal: the sink waits.",
	".PP",
	"A second copy of the agent, with a copy of its state directory, fences the first: the first one's sink is held and keeps all events. An offset",
	"that does not belong to this spool holds the sink too. If there is no second copy (the directory was restored, say), delete the offsets:",
	".PP",
	".nf",
	".RS",
	"kafka\\-consumer\\-groups.sh \\-\\-bootstrap\\-server BROKER \\-\\-delete \\-\\-group aispm\\-agent\\-AGENTID\\-SINK",
	".RE",
	".fi",
	".PP",
	"Rights: Write and Describe on the topic and on the transactional id, Read on the group; without transactions IdempotentWrite on the cluster.",
	".SS Sources",
	"A source is a static member of its group. Reading starts at the greater of the spool's position and the group's offset, else where",
	"\\fBstart\\fR says. The group is told an offset only when the spool has synced what is before it. A full spool pauses the partitions.",
	".SS librdkafka",
	"1.6.0 or later. Before 1.8.2 its transactions may lose messages: auto does not use them then, true is refused. 2.6.0 cannot log in to Event",
	"Hubs with a token.",
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
	put_lines(out, manual_push);
	put_limits(out);
	put_lines(out, page_5_kafka);
	put_lines(out, page_5_examples);
}

int
manual_roff(FILE *out, const char *page)
{
	if (strcmp(page, "aispm-agent.1") == 0 || strcmp(page, "aispm-agent") == 0)
		put_page_1(out);
	else if (strcmp(page, "aispm-agent.yaml.5") == 0 || strcmp(page, "aispm-agent.yaml") == 0)
		put_page_5(out);
	else
		return -1;
	return 0;
}
