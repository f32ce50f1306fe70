/* bench_encode.c - nanoseconds and bytes an event in each encoding, and how they compare to json. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "sinks/encode/encode.h"

#define TURNS		7
#define TURN_NS		150e6

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A chat completion as Azure logs it. */
static void
fill(struct event *e)
{
	event_init(e);
	event_set_number(e, F_TimeGenerated, INT64_C(1792473600435));
	event_set_number(e, F_EventStartTime, INT64_C(1792473600435));
	event_set_number(e, F_EventCount, 1);
	event_set_text(e, F_EventId, SLICE("ceb4d0fe9244005d6113eafc47f92593"));
	event_set_text(e, F_EventClass, SLICE("activity"));
	event_set_text(e, F_EventName, SLICE("ChatCompletions_Create"));
	event_set_text(e, F_EventMessage, SLICE("ChatCompletions_Create on CONTOSO-CHAT, deployment gpt-4o-prod, model gpt-4o by "
	    "b6a7c8d9-0e1f-4a2b-9c3d-4e5f60718293: status 200"));
	event_set_text(e, F_EventSeverity, SLICE("Informational"));
	event_set_text(e, F_EventResult, SLICE("Success"));
	event_set_text(e, F_EventVendor, SLICE("Microsoft"));
	event_set_text(e, F_EventProduct, SLICE("Azure OpenAI"));
	event_set_text(e, F_EventOriginalType, SLICE("RequestResponse"));
	event_set_text(e, F_EventOriginalUid, SLICE("1f2e3d4c-5b6a-4798-8a7b-6c5d4e3f2a1b"));
	event_set_text(e, F_CloudProvider, SLICE("Azure"));
	event_set_text(e, F_CloudAccountId, SLICE("7D1B6F0E-52C3-4C9A-9A41-0D6F6C2B8E15"));
	event_set_text(e, F_CloudRegion, SLICE("swedencentral"));
	event_set_text(e, F_TargetResourceId, SLICE("/SUBSCRIPTIONS/7D1B6F0E-52C3-4C9A-9A41-0D6F6C2B8E15/RESOURCEGROUPS/RG-ASSIST/"
	    "PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/CONTOSO-CHAT"));
	event_set_text(e, F_TargetResourceName, SLICE("CONTOSO-CHAT"));
	event_set_text(e, F_TargetResourceType, SLICE("azure_openai"));
	event_set_text(e, F_AiModelName, SLICE("gpt-4o"));
	event_set_text(e, F_AiModelVersion, SLICE("2024-11-20"));
	event_set_text(e, F_AiDeployment, SLICE("gpt-4o-prod"));
	event_set_text(e, F_ActorUserId, SLICE("b6a7c8d9-0e1f-4a2b-9c3d-4e5f60718293"));
	event_set_text(e, F_SrcIpAddr, SLICE("203.0.113.7"));
	event_set_text(e, F_Operation, SLICE("ChatCompletions_Create"));
	event_set_number(e, F_PromptTokens, 812);
	event_set_number(e, F_CompletionTokens, 156);
	event_set_number(e, F_RequestCount, 1);
	event_set_number(e, F_DurationMs, 1834);
	event_set_number(e, F_HttpStatusCode, 200);
	event_set_text(e, F_AgentId, SLICE("5f0c2a9e7b3d4c1e8f6a2b4c6d8e0f12"));
	event_set_text(e, F_AgentVersion, SLICE("0.1.0"));
	event_set_text(e, F_DvcHostname, SLICE("collector-1"));
	event_set_text(e, F_EventSchemaVersion, SLICE("1"));
	event_set_text(e, F_AdditionalFields, SLICE("{\"ApiName\":\"Azure OpenAI API version 2024-10-21\",\"StreamType\":\"Non-Streaming\","
	    "\"RequestBytes\":2104,\"ResponseBytes\":911,\"CallerIpMasked\":\"198.51.100.***\"}"));
}

/* The best of some turns: what disturbs only makes it slower. */
static double
measure(const struct encoder *encoder, const struct event *e, struct buf *out)
{
	double best = 1e18;

	for (int turn = 0; turn < TURNS; turn++) {
		double start = now_ns(), ns;
		size_t n = 0;

		do {
			for (int k = 0; k < 500; k++, n++) {
				buf_reset(out);
				if (encoder->encode(e, out, NULL) != 0)
					exit(1);
			}
		} while (now_ns() - start < TURN_NS);
		ns = (now_ns() - start) / (double)n;
		best = ns < best ? ns : best;
	}
	return best;
}

int
main(void)
{
	static const struct encoder *const encoders[] = {
#define ENCODER(name)	&encoder_##name,
#include "sinks/encode/encoders.tbl"
#undef ENCODER
	};
	struct event e;
	struct buf out;
	double json = 0;

	fill(&e);
	buf_init(&out, 1u << 20);
	for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
		double ns = measure(encoders[i], &e, &out);

		json = i == 0 ? ns : json;
		printf("%-18s %6.0f ns %6zu bytes  %5.2f times json\n", encoders[i]->name, ns, out.n, ns / json);
	}
	buf_fini(&out);
	return 0;
}
