# generate.awk - sample records of ten simulated days, as Azure writes them: diagnostic logs of two Azure OpenAI deployments
# (RequestResponse and usage rows), some Activity Log rows and Defender alerts. They tell a story that ends badly:
#   day 1         the account is set up: reachable from inside only
#   day 9, 11:20  someone opens it to the internet "for a test"
#   day 9, 15:00  one caller of gpt-4o-reports sends very long prompts: no attack, but somebody pays for it
#   day 10, 01:50 a build account reads the account's keys, and weakens the content filter
#   day 10, 02:10 a key is used from a network nobody here ever used, and hammers gpt-4o-support for twenty minutes
# The same on every run: the randomness is a small generator of its own.

function random() {                       # Park and Miller's minimal standard generator
	seed = (seed * 16807) % 2147483647
	return seed / 2147483647
}

function poisson(mean,    limit, p, k) {  # Knuth's method; the means here are small
	limit = exp(-mean); p = 1; k = 0
	do { k++; p *= random() } while (p > limit)
	return k - 1
}

function hex(n,    s) {
	s = ""
	while (length(s) < n)
		s = s sprintf("%x", int(random() * 16))
	return s
}

function guid() {
	return hex(8) "-" hex(4) "-4" hex(3) "-a" hex(3) "-" hex(12)
}

function stamp(day, minute, second) {     # day 0 is Monday 5 October 2026
	return sprintf("2026-10-%02dT%02d:%02d:%02d.%03d0000Z", 5 + day, int(minute / 60), minute % 60, second, int(random() * 1000))
}

# How busy this minute is, 0 to 1: office hours on weekdays, little else.
function rhythm(day, minute,    hour, work) {
	hour = minute / 60
	work = (hour > 7 && hour < 19) ? 0.5 - 0.5 * cos((hour - 7) / 12 * 2 * 3.14159265) : 0
	if (day % 7 >= 5)
		work *= 0.15
	return 0.04 + 0.96 * work
}

# Without a caller: a key was used. Azure hides the last part of the address.
function call(day, minute, deployment, caller, net, prompt, completion,    when, id, status) {
	when = stamp(day, minute, int(random() * 60))
	id = guid()
	status = random() < 0.01 ? 429 : 200
	printf "{\"time\":\"%s\",\"resourceId\":\"%s\",\"category\":\"RequestResponse\",\"operationName\":\"ChatCompletions_Create\",\"resultSignature\":\"%d\",\"durationMs\":%d,\"callerIpAddress\":\"%s.***\",\"correlationId\":\"%s\",\"location\":\"swedencentral\",\"Tenant\":\"swedencentral\",\"event\":\"ShoeboxCallResult\",\"properties\":\"{\\\"apiName\\\":\\\"Azure OpenAI API version 2025-04-01-preview\\\",\\\"requestLength\\\":%d,\\\"responseLength\\\":%d,\\\"objectId\\\":\\\"%s\\\",\\\"streamType\\\":\\\"Streaming\\\",\\\"modelDeploymentName\\\":\\\"%s\\\",\\\"modelName\\\":\\\"gpt-4o\\\",\\\"modelVersion\\\":\\\"2024-11-20\\\"}\"}\n",
		when, OPENAI, status, 300 + int(random() * 2500), net, id, prompt * 4, completion * 4, caller, deployment
	if (status == 200)
		printf "{\"time\":\"%s\",\"resourceId\":\"%s\",\"category\":\"AzureOpenAIRequestUsage\",\"operationName\":\"ChatCompletions_Create\",\"correlationId\":\"%s\",\"location\":\"swedencentral\",\"event\":\"ShoeboxAzureOpenAIRequestUsage\",\"properties\":{\"modelDeploymentName\":\"%s\",\"promptTokens\":[%d],\"cachedTokens\":[0],\"generatedTokens\":[%d]}}\n",
			when, OPENAI, id, deployment, prompt, completion
}

function activity(day, minute, operation, target, who, from, body) {
	printf "{\"time\":\"%s\",\"resourceId\":\"%s\",\"operationName\":\"%s\",\"category\":\"Administrative\",\"resultType\":\"Success\",\"resultSignature\":\"Succeeded.OK\",\"callerIpAddress\":\"%s\",\"correlationId\":\"%s\",\"level\":\"Information\",\"location\":\"global\",\"identity\":{\"claims\":{\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn\":\"%s\",\"appid\":\"c44b4083-3bb0-49c1-b47d-974e53cbdf3c\"}},\"properties\":{\"statusCode\":\"OK\",\"requestbody\":%s}}\n",
		stamp(day, minute, 11), target, operation, from, guid(), who, body == "" ? "\"\"" : body
}

function network(access, action) {
	return "{\"properties\":{\"publicNetworkAccess\":\"" access "\",\"networkAcls\":{\"defaultAction\":\"" action "\"}}}"
}

function filter(enabled, threshold) {
	return "{\"properties\":{\"contentFilters\":[{\"name\":\"jailbreak\",\"source\":\"Prompt\",\"enabled\":" enabled ",\"blocking\":" enabled "},{\"name\":\"violence\",\"source\":\"Prompt\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"" threshold "\"}]}}"
}

function alert(day, minute, type, title, severity, text,    when) {
	when = stamp(day, minute, 30)
	printf "{\"VendorName\":\"Microsoft\",\"AlertType\":\"%s\",\"ProductName\":\"Microsoft Defender for Cloud\",\"StartTimeUtc\":\"%s\",\"EndTimeUtc\":\"%s\",\"TimeGenerated\":\"%s\",\"ProcessingEndTime\":\"%s\",\"Severity\":\"%s\",\"Status\":\"New\",\"SystemAlertId\":\"%s\",\"Intent\":\"Impact\",\"AzureResourceId\":\"%s\",\"CompromisedEntity\":\"contoso-openai\",\"AlertDisplayName\":\"%s\",\"Description\":\"%s\",\"AlertUri\":\"https://portal.azure.com/#blade/Microsoft_Azure_Security/AlertBlade\"}\n",
		type, when, when, when, when, severity, guid(), OPENAI, title, text
}

BEGIN {
	seed = 20261005
	OPENAI = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai-prod/providers/Microsoft.CognitiveServices/accounts/contoso-openai"
	office = "198.51.100"; elsewhere = "203.0.113"
	ana = "ana@contoso.example"; build = "build@contoso.example"
	split("5c1f0d2e-0000-4a00-8000-00000000a001 5c1f0d2e-0000-4a00-8000-00000000a002 5c1f0d2e-0000-4a00-8000-00000000a003 5c1f0d2e-0000-4a00-8000-00000000a004 5c1f0d2e-0000-4a00-8000-00000000a005", caller, " ")
	for (day = 0; day < 10; day++)
		for (minute = 0; minute < 1440; minute++) {
			if (day == 9 && minute >= 600)
				break
			if (day == 0 && minute == 540) {
				activity(day, minute, "Microsoft.CognitiveServices/accounts/write", OPENAI, ana, office ".17", network("Disabled", "Deny"))
				activity(day, minute, "Microsoft.CognitiveServices/accounts/raiPolicies/write", OPENAI "/raiPolicies/support", ana, office ".17", filter("true", "Low"))
			}
			if (day == 2 && minute == 610)
				activity(day, minute, "Microsoft.CognitiveServices/accounts/deployments/write", OPENAI "/deployments/gpt-4o-reports", ana, office ".17", "{\"sku\":{\"name\":\"Standard\",\"capacity\":50},\"properties\":{\"model\":{\"format\":\"OpenAI\",\"name\":\"gpt-4o\",\"version\":\"2024-11-20\"}}}")
			if (day == 8 && minute == 680)
				activity(day, minute, "Microsoft.CognitiveServices/accounts/write", OPENAI, ana, office ".17", network("Enabled", "Allow"))
			if (day == 9 && minute == 110)
				activity(day, minute, "Microsoft.CognitiveServices/accounts/listKeys/action", OPENAI, build, elsewhere ".66")
			if (day == 9 && minute == 114)
				activity(day, minute, "Microsoft.CognitiveServices/accounts/raiPolicies/write", OPENAI "/raiPolicies/support", build, elsewhere ".66", filter("false", "High"))
			if (day == 9 && minute == 145)
				alert(day, minute, "AI.Azure_DOWVolumeAnomaly", "Suspected wallet attack - volume anomaly", "Medium", "An unusual volume of requests to the Azure OpenAI resource was seen.")
			if (day == 9 && minute == 150)
				alert(day, minute, "AI.Azure_Jailbreak.ContentFiltering.DetectedAttempt", "A jailbreak attempt was detected by Prompt Shields", "Medium", "A jailbreak attempt on your Azure OpenAI deployment was detected.")
			busy = rhythm(day, minute)
			n = poisson(4 * busy)
			for (i = 0; i < n; i++)
				call(day, minute, "gpt-4o-support", caller[1 + int(random() * 3)], office, 200 + int(random() * 900), 50 + int(random() * 400))
			if (day == 9 && minute >= 130 && minute < 150)
				for (i = poisson(40); i > 0; i--)
					call(day, minute, "gpt-4o-support", "", elsewhere, 200 + int(random() * 900), 50 + int(random() * 400))
			long = (day == 8 && minute >= 900 && minute < 915)
			n = poisson(1.5 * busy)
			for (i = 0; i < n; i++)
				call(day, minute, "gpt-4o-reports", caller[4 + int(random() * 2)], office, 800 + int(random() * 1500), 100 + int(random() * 500))
			for (i = long ? 4 : 0; i > 0; i--)
				call(day, minute, "gpt-4o-reports", caller[4], office, 60000 + int(random() * 9000), 100 + int(random() * 500))
		}
}
