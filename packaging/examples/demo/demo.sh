#!/bin/sh
# demo.sh AGENT DATA [OUT]: the agent at work on seven simulated days of records; nothing leaves this machine.
set -eu
agent=$1; data=$2; out=${3:-$2/demo-out}
here=$(dirname "$0")

rm -rf "$out"
mkdir -p "$out/in"
awk -f "$here/generate.awk" >"$out/in/azure.ndjson"
cat >"$out/agent.yaml" <<EOF
agent:
  state_dir: $out/state
sources:
  - {name: azure, type: file, paths: ["$out/in/*.ndjson"]}
sinks:
  - {name: disk, type: file, path: $out/events.ndjson}
EOF
AISPM_DATA_DIR=$data
export AISPM_DATA_DIR
"$agent" run -c "$out/agent.yaml" --once 2>"$out/agent.log" || { cat "$out/agent.log" >&2; exit 1; }

# The whole of a text column of an event, without its escapes; for people, so rough is enough.
column() {
	sed -n 's/.*"'"$1"'":"\(\([^"\\]\|\\.\)*\)".*/\1/p' | sed 's/\\\(.\)/\1/g'
}
count() {
	printf '%9d  %s\n' "$1" "$2"
}

echo
echo "WHAT CAME IN    $out/in/azure.ndjson, seven simulated days"
count "$(grep -c '"category":"RequestResponse"' "$out/in/azure.ndjson")" "Azure OpenAI requests"
count "$(grep -c '"category":"AzureOpenAIRequestUsage"' "$out/in/azure.ndjson")" "Azure OpenAI usage records (tokens)"
count "$(grep -c '"category":"Administrative"' "$out/in/azure.ndjson")" "Azure Activity Log records"
count "$(grep -c '"AlertType"' "$out/in/azure.ndjson")" "Defender for Cloud alerts"
echo
echo "WHAT WENT OUT   $out/events.ndjson, one event a line"
column EventClass <"$out/events.ndjson" | sort | uniq -c | while read -r n class; do count "$n" "$class"; done
echo
echo "FOUND BY THE AGENT ITSELF"
grep '"EventClass":"volume_spike"' "$out/events.ndjson" | grep -v '"EventOriginalType":"volume\.\(update\|end\)"' >"$out/findings.ndjson" || true
while IFS= read -r event; do
	printf 'volume_spike  %s  %-6s  %s\n' "$(printf '%s' "$event" | column EventStartTime | cut -c1-16)" \
		"$(printf '%s' "$event" | column EventSeverity)" "$(printf '%s' "$event" | column EventMessage)"
done <"$out/findings.ndjson"
echo
echo "WHY, AND WHERE TO LOOK NEXT"
echo "  sed -n 1p $out/findings.ndjson                   the first finding, every column"
echo "  sed -n 1p $out/in/azure.ndjson | AISPM_DATA_DIR=$data $agent explain --why"
echo "                                               how one record became an event"
echo "  $agent spool stat $out/state/spool    what the agent keeps on disk"
echo "  $out/agent.yaml                      the ten lines that did it"
[ "$(wc -l <"$out/findings.ndjson")" -ge 3 ] || { echo "demo.sh: fewer than three findings" >&2; exit 1; }
