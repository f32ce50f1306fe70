# generate.awk - sample records of seven simulated days, as Azure writes them: diagnostic logs of two Azure OpenAI
# deployments (RequestResponse and usage rows), a few Activity Log rows and Defender alerts. Three things are wrong in them:
#   day 5, 10:30  a script hammers deployment gpt-4o-support for twelve minutes
#   day 6, 02:10  someone uses gpt-4o-support at night, when nobody works
#   day 6, 15:00  one caller of gpt-4o-reports sends very long prompts
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

function stamp(day, minute, second) {
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

function call(day, minute, deployment, caller, prompt, completion,    when, id, status) {
	when = stamp(day, minute, int(random() * 60))
	id = guid()
	status = random() < 0.01 ? 429 : 200
	printf "{\"time\":\"%s\",\"resourceId\":\"%s\",\"category\":\"RequestResponse\",\"operationName\":\"ChatCompletions_Create\",\"resultSignature\":\"%d\",\"durationMs\":%d,\"callerIpAddress\":\"10.20.4.***\",\"correlationId\":\"%s\",\"location\":\"swedencentral\",\"Tenant\":\"swedencentral\",\"event\":\"ShoeboxCallResult\",\"properties\":\"{\\\"apiName\\\":\\\"Azure OpenAI API version 2025-04-01-preview\\\",\\\"requestLength\\\":%d,\\\"responseLength\\\":%d,\\\"objectId\\\":\\\"%s\\\",\\\"streamType\\\":\\\"Streaming\\\",\\\"modelDeploymentName\\\":\\\"%s\\\",\\\"modelName\\\":\\\"gpt-4o\\\",\\\"modelVersion\\\":\\\"2024-11-20\\\"}\"}\n",
		when, OPENAI, status, 300 + int(random() * 2500), id, prompt * 4, completion * 4, caller, deployment
	if (status == 200)
		printf "{\"time\":\"%s\",\"resourceId\":\"%s\",\"category\":\"AzureOpenAIRequestUsage\",\"operationName\":\"ChatCompletions_Create\",\"correlationId\":\"%s\",\"location\":\"swedencentral\",\"event\":\"ShoeboxAzureOpenAIRequestUsage\",\"properties\":{\"modelDeploymentName\":\"%s\",\"promptTokens\":[%d],\"cachedTokens\":[0],\"generatedTokens\":[%d]}}\n",
			when, OPENAI, id, deployment, prompt, completion
}

function activity(day, minute, operation, target, who, result) {
	printf "{\"time\":\"%s\",\"resourceId\":\"%s\",\"operationName\":\"%s\",\"category\":\"Administrative\",\"resultType\":\"%s\",\"resultSignature\":\"Succeeded.OK\",\"callerIpAddress\":\"192.0.2.17\",\"correlationId\":\"%s\",\"level\":\"Information\",\"location\":\"global\",\"identity\":{\"claims\":{\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn\":\"%s\",\"appid\":\"c44b4083-3bb0-49c1-b47d-974e53cbdf3c\"}}}\n",
		stamp(day, minute, 11), toupper(target), toupper(operation), result, guid(), who
}

function alert(day, minute, type, title, severity, text,    when) {
	when = stamp(day, minute, 30)
	printf "{\"VendorName\":\"Microsoft\",\"AlertType\":\"%s\",\"ProductName\":\"Microsoft Defender for Cloud\",\"StartTimeUtc\":\"%s\",\"EndTimeUtc\":\"%s\",\"TimeGenerated\":\"%s\",\"ProcessingEndTime\":\"%s\",\"Severity\":\"%s\",\"Status\":\"New\",\"SystemAlertId\":\"%s\",\"Intent\":\"Impact\",\"AzureResourceId\":\"%s\",\"CompromisedEntity\":\"contoso-openai\",\"AlertDisplayName\":\"%s\",\"Description\":\"%s\",\"AlertUri\":\"https://portal.azure.com/#blade/Microsoft_Azure_Security/AlertBlade\"}\n",
		type, when, when, when, when, severity, guid(), OPENAI, title, text
}

BEGIN {
	seed = 20261005
	OPENAI = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai-prod/providers/Microsoft.CognitiveServices/accounts/contoso-openai"
	people = split("5c1f0d2e-0000-4a00-8000-00000000a001 5c1f0d2e-0000-4a00-8000-00000000a002 5c1f0d2e-0000-4a00-8000-00000000a003 5c1f0d2e-0000-4a00-8000-00000000a004 5c1f0d2e-0000-4a00-8000-00000000a005", caller, " ")
	for (day = 0; day < 7; day++)
		for (minute = 0; minute < 1440; minute++) {
			busy = rhythm(day, minute)
			n = poisson(4 * busy)
			if (day == 4 && minute >= 630 && minute < 642)
				n += poisson(60)
			if (day == 5 && minute >= 130 && minute < 150)
				n += poisson(25)
			for (i = 0; i < n; i++)
				call(day, minute, "gpt-4o-support", caller[1 + int(random() * 3)], 200 + int(random() * 900), 50 + int(random() * 400))
			n = poisson(1.5 * busy)
			long = (day == 5 && minute >= 900 && minute < 915)
			if (long)
				n += 3
			for (i = 0; i < n; i++)
				call(day, minute, "gpt-4o-reports", caller[4 + int(random() * 2)], (long ? 60000 : 800) + int(random() * 1500), 100 + int(random() * 500))
			if (day == 2 && minute == 610)
				activity(day, minute, "Microsoft.CognitiveServices/accounts/deployments/write", OPENAI "/deployments/gpt-4o-reports", "ana@contoso.example", "Success")
			if (day == 4 && minute == 600)
				activity(day, minute, "Microsoft.CognitiveServices/accounts/listKeys/action", OPENAI, "build@contoso.example", "Success")
			if (day == 4 && minute == 640)
				alert(day, minute, "AI.Azure_DOWVolumeAnomaly", "Suspected wallet attack - volume anomaly", "Medium", "An unusual volume of requests to the Azure OpenAI resource was seen.")
			if (day == 5 && minute == 145)
				alert(day, minute, "AI.Azure_Jailbreak.ContentFiltering.BlockedAttempt", "A jailbreak attempt was blocked by Prompt Shields", "Medium", "A jailbreak attempt on your Azure OpenAI deployment was blocked.")
		}
}
