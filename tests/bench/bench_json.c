/*
 * bench_json.c - nanoseconds a record: reading JSON, an event to wire bytes and back, an event to a row.
 * Use: bench_json [FILE]; FILE holds one record a line. Without it a record of our own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/event.h"
#include "model/wire.h"
#include "sinks/encode/encode.h"

#define ROUNDS_MS	400.0

static const char sample[] =
    "{\"time\":\"2026-03-01T10:20:30.1234567Z\",\"resourceId\":\"/SUBSCRIPTIONS/11111111-2222-3333-4444-555555555555/"
    "RESOURCEGROUPS/RG-AI/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/CHAT-PROD\",\"category\":\"RequestResponse\","
    "\"operationName\":\"ChatCompletions_Create\",\"operationVersion\":null,\"resultSignature\":\"200\",\"durationMs\":1234,"
    "\"callerIpAddress\":\"203.0.113.7\",\"correlationId\":\"0b2f0b1e-7c7d-4a9d-9c64-9b2ff0a1c2d3\",\"location\":\"westeurope\","
    "\"tenant\":\"eastus\",\"properties\":{\"apiName\":\"Azure OpenAI API version 2024-06-01\",\"requestTime\":638448,"
    "\"requestLength\":512,\"responseTime\":638449,\"responseLength\":2048,\"objectId\":\"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\","
    "\"streamType\":\"Non-Streaming\",\"modelDeploymentName\":\"gpt-4o\",\"modelName\":\"gpt-4o\",\"modelVersion\":\"2024-08-06\","
    "\"usage\":{\"prompt\":812,\"completion\":156},\"cached\":false,\"flags\":[1,2,3]}}";

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct job {
	struct slice		*records;
	size_t			 n;
	struct json_reader	*reader;
	struct json_doc		 doc;
	struct event		 event;
	struct buf		 out;
	uint64_t		 seen;
};

static void
read_one(struct job *j, size_t i)
{
	json_reset(j->reader, &j->doc);
	if (json_read(j->reader, j->records[i % j->n], true, &j->doc, NULL) < 0)
		exit(65);
	j->seen += j->doc.n;
}

static void
write_one(struct job *j, size_t i)
{
	read_one(j, i);
	buf_reset(&j->out);
	json_write(&j->doc, 0, &j->out);
	j->seen += j->out.n;
}

static void
put_one(struct job *j, size_t i)
{
	(void)i;
	buf_reset(&j->out);
	j->seen += (uint64_t)wire_put(&j->event, &j->out, NULL);
}

static void
get_one(struct job *j, size_t i)
{
	struct event e;

	(void)i;
	j->seen += (uint64_t)wire_get(buf_slice(&j->out), &e, NULL) + e.present;
}

static void
row_one(struct job *j, size_t i)
{
	(void)i;
	buf_reset(&j->out);
	j->seen += (uint64_t)encoder_json.encode(&j->event, &j->out, NULL);
}

static void
measure(const char *what, struct job *j, void (*one)(struct job *, size_t), double bytes)
{
	double best = 1e18;

	for (int turn = 0; turn < 5; turn++) {
		double start = now_ns(), ns;
		size_t n = 0;

		do
			for (int k = 0; k < 1000; k++)
				one(j, n++);
		while (now_ns() - start < ROUNDS_MS * 1e6 / 5);
		ns = (now_ns() - start) / (double)n;
		best = ns < best ? ns : best;
	}
	printf("%-28s %8.0f ns  %8.0f MB/s\n", what, best, bytes / best * 1e3);
}

static void
fill(struct event *e)
{
	static const char text[] = "0b2f0b1e-7c7d-4a9d-9c64-9b2ff0a1c2d3/an ordinary text of a column";

	event_init(e);
	event_set_number(e, F_TimeGenerated, INT64_C(1772360430123));
	event_set_number(e, F_EventStartTime, INT64_C(1772360430123));
	event_set_number(e, F_EventCount, 1);
	event_set_number(e, F_PromptTokens, 812);
	event_set_number(e, F_DurationMs, 1234);
	for (int f = F_EventId; f <= F_HttpUserAgent && f < F_EventId + 19; f++)
		event_set_text(e, (enum field)f, slice_make(text, 4 + (size_t)(f * 7 % 60)));
	event_set_text(e, F_AdditionalFields, SLICE("{\"Category\":\"RequestResponse\",\"Api\":\"2024-06-01\"}"));
}

static void
take_lines(struct job *j, struct buf *file)
{
	for (size_t at = 0; at < file->n;) {
		const char *p = file->p + at, *end = memchr(p, '\n', file->n - at);
		size_t n = end != NULL ? (size_t)(end - p) : file->n - at;

		if (n > 0) {
			j->records = realloc(j->records, (j->n + 1) * sizeof(*j->records));
			if (j->records == NULL)
				exit(74);
			j->records[j->n++] = slice_make(p, n);
		}
		at += n + 1;
	}
}

int
main(int argc, char **argv)
{
	struct job j = { .reader = json_reader_new() };
	struct err err = { .kind = ERR_NONE };
	struct buf file;
	double bytes = 0, values;

	buf_init(&file, (size_t)1 << 30);
	buf_init(&j.out, (size_t)16 << 20);
	json_doc_init(&j.doc, 1u << 20);
	if (argc > 1 && buf_read_file(&file, argv[1], &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 65;
	}
	if (argc <= 1)
		buf_puts(&file, sample);
	take_lines(&j, &file);
	if (j.n == 0 || j.reader == NULL)
		return 65;
	for (size_t i = 0; i < j.n; i++) {
		bytes += (double)j.records[i].n;
		read_one(&j, i);
	}
	bytes /= (double)j.n;
	values = (double)j.seen / (double)j.n;
	printf("%s; %zu records of %.0f bytes and %.0f values on average\n", json_library(), j.n, bytes, values);
	measure("read", &j, read_one, bytes);
	measure("read and write", &j, write_one, bytes);
	fill(&j.event);
	measure("row of 25 columns", &j, row_one, 0);
	measure("wire put", &j, put_one, 0);
	put_one(&j, 0);
	measure("wire get", &j, get_one, 0);
	return j.seen == 42;
}
