/*
 * bench_detect.c - what the access and config detectors cost: an event, a caller or object in memory, and saving them.
 *
 * Usage: bench_detect [EVENTS [CALLERS]], by default 1,000,000 calls of 100,000 callers; a tenth as many configuration operations on 10,000 accounts.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "bench_help.h"
#include "detect/detect.h"

static struct detect *
open_one(const char *name, struct conf **ret_conf)
{
	struct problems problems;
	struct detect *d = NULL;
	struct err err = { 0 };

	problems_init(&problems);
	if (conf_load_text("bench", SLICE(""), top, ret_conf, &problems, &err) != 0 ||
	    detect_open_one(&d, conf_block(*ret_conf, "detectors"), name, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	problems_fini(&problems);
	return d;
}

static void
begin(struct event *e, int64_t t_ms, const char *id)
{
	event_init(e);
	event_set_text(e, F_EventClass, SLICE("activity"));
	event_set_text(e, F_EventId, slice_of(id));
	event_set_text(e, F_EventOriginalUid, slice_of(id));
	event_set_text(e, F_CloudProvider, SLICE("Azure"));
	event_set_text(e, F_CloudAccountId, SLICE("S"));
	event_set_text(e, F_TargetResourceType, SLICE("azure_openai"));
	event_set_text(e, F_EventResult, SLICE("Success"));
	event_set_number(e, F_TimeGenerated, t_ms);
}

static void
show(struct detect *d, struct arena *arena, const struct event *e)
{
	struct event_list say = { .arena = arena };
	struct err err = { 0 };

	if (detect_see(d, e, &say, &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	arena_reset(arena);
}

static void
call(struct detect *d, struct arena *arena, int64_t t_ms, unsigned caller, uint64_t n)
{
	char who[24], ip[24], id[33];
	struct event e;

	snprintf(id, sizeof(id), "%032llx", (unsigned long long)n);
	snprintf(who, sizeof(who), "caller-%u", caller);
	snprintf(ip, sizeof(ip), "%u.%u.%u.7", 20 + caller % 100, caller / 100 % 250, caller / 25000);
	begin(&e, t_ms, id);
	event_set_text(&e, F_TargetResourceId, SLICE("/subscriptions/S/resourceGroups/G/providers/Microsoft.CognitiveServices/accounts/A"));
	event_set_text(&e, F_Operation, SLICE("ChatCompletions_Create"));
	event_set_text(&e, F_ActorUserId, slice_of(who));
	event_set_text(&e, F_SrcIpAddr, slice_of(ip));
	event_set_text(&e, F_HttpUserAgent, SLICE("AsyncOpenAI/Python 1.40.0"));
	event_set_text(&e, F_AiModelName, SLICE("gpt-4o"));
	event_set_text(&e, F_AdditionalFields, SLICE("{\"ApiName\":\"Azure OpenAI\",\"RequestBytes\":2104,\"ResponseBytes\":911}"));
	event_set_number(&e, F_HttpStatusCode, 200);
	event_set_number(&e, F_RequestCount, 1);
	show(d, arena, &e);
}

static void
change(struct detect *d, struct arena *arena, int64_t t_ms, unsigned account, uint64_t n)
{
	char id[33], target[160], more[600];
	struct event e;

	snprintf(id, sizeof(id), "%032llx", (unsigned long long)n);
	snprintf(target, sizeof(target), "/subscriptions/S/resourceGroups/G/providers/Microsoft.CognitiveServices/accounts/a%u", account);
	snprintf(more, sizeof(more), "{\"CorrelationId\":\"%s\",\"RequestBody\":{\"sku\":{\"name\":\"S0\"},\"properties\":{\"publicNetworkAccess\":\"%s\",\"disableLocalAuth\":%s,"
	    "\"networkAcls\":{\"defaultAction\":\"Deny\",\"ipRules\":[{\"value\":\"192.0.2.%u\"}]},\"customSubDomainName\":\"a%u\"}}}", id, n % 2 ? "Enabled" : "Disabled",
	    n % 3 ? "true" : "false", (unsigned)(n % 250), account);
	begin(&e, t_ms, id);
	event_set_text(&e, F_Operation, SLICE("Microsoft.CognitiveServices/accounts/write"));
	event_set_text(&e, F_TargetResourceId, slice_of(target));
	event_set_text(&e, F_ActorUserId, SLICE("erin"));
	event_set_text(&e, F_AdditionalFields, slice_of(more));
	show(d, arena, &e);
}

static void
time_saving(struct detect *d, const char *name)
{
	struct conf *conf = NULL;
	struct detect *back = open_one(name, &conf);
	struct err err = { 0 };
	struct buf saved;
	double at;

	buf_init(&saved, SIZE_MAX / 2);
	at = cpu_s();
	if (detect_save(d, &saved, &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	printf("  saving: %.2f s of CPU, %.1f MiB; ", cpu_s() - at, (double)saved.n / 1048576);
	at = cpu_s();
	if (detect_restore(back, buf_slice(&saved), &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	printf("restoring: %.2f s\n", cpu_s() - at);
	buf_fini(&saved);
	detect_close(back);
	conf_free(conf);
}

static void
time_kind(const char *name, unsigned events, unsigned of, const char *what,
    void (*make)(struct detect *, struct arena *, int64_t, unsigned, uint64_t))
{
	struct conf *conf = NULL;
	struct detect *d = open_one(name, &conf);
	struct arena arena;
	double before = resident_kb(), at = cpu_s();

	arena_init(&arena, 65536, 64 << 20);
	for (unsigned i = 0; i < events; i++)
		make(d, &arena, MONDAY + (int64_t)i * 600, next() % of, i);
	printf("%s: %u %s: %.0f ns each, %.0f MiB more memory\n", name, events, what, (cpu_s() - at) / events * 1e9, (resident_kb() - before) / 1024);
	time_saving(d, name);
	detect_close(d);
	conf_free(conf);
	arena_fini(&arena);
}

int
main(int argc, char **argv)
{
	unsigned events = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	unsigned callers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100000;

	if (events < 10 || callers == 0)
		return 64;
	time_kind("config", events, 1, "calls of a model, which are no operation", call);
	time_kind("config", events / 10, 10000, "operations on 10,000 accounts", change);
	time_kind("access", events, callers, "calls", call);
	return 0;
}
