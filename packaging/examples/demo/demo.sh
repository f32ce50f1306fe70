#!/bin/sh
# demo.sh [AGENT [DATA [OUT]]]: the agent at work on ten simulated days of records; nothing leaves this machine.
#   AGENT   the program (default: aispm-agent)
#   DATA    where its folder schemas lies, for a program that is not installed
#   OUT     a folder of the demo's own, made anew (default: DATA/demo-out, without DATA a temporary one)
set -eu
agent=${1:-aispm-agent}; data=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ge 3 ]; then out=$3; elif [ -n "$data" ]; then out=$data/demo-out; else out=$(mktemp -d -t aispm-demo.XXXXXX)/demo-out; fi
prefix=
if [ -n "$data" ]; then
	AISPM_DATA_DIR=$data
	export AISPM_DATA_DIR
	prefix="AISPM_DATA_DIR=$data "
fi
command -v "$agent" >/dev/null || { echo "demo.sh: no program $agent here; its path is the first argument" >&2; exit 64; }

rm -rf "$out"
mkdir -p "$out/in"
awk -f "$here/generate.awk" >"$out/in/azure.ndjson"
cat >"$out/agent.yaml" <<END
agent:
  state_dir: $out/state
sources:
  - {name: azure, type: file, paths: ["$out/in/*.ndjson"]}
sinks:
  - {name: disk, type: file, path: $out/events.ndjson}
END
"$agent" run -c "$out/agent.yaml" --once 2>"$out/agent.log" || { cat "$out/agent.log" >&2; exit 1; }

count() {
	printf '%9d  %s\n' "$1" "$2"
}

echo
echo "WHAT CAME IN    $out/in/azure.ndjson: ten days of a company that uses Azure OpenAI"
count "$(grep -c '"category":"RequestResponse"' "$out/in/azure.ndjson")" "Azure OpenAI requests"
count "$(grep -c '"category":"AzureOpenAIRequestUsage"' "$out/in/azure.ndjson")" "Azure OpenAI usage records (tokens)"
count "$(grep -c '"category":"Administrative"' "$out/in/azure.ndjson")" "Azure Activity Log records (who changed what)"
count "$(grep -c '"AlertType"' "$out/in/azure.ndjson")" "Defender for Cloud alerts"
echo
echo "WHAT WENT OUT   $out/events.ndjson: one event a line, as Microsoft Sentinel would get it"
awk -f "$here/report.awk" -v what=classes "$out/events.ndjson" | sort -rn
echo
echo "FOUND BY THE AGENT ITSELF, by what was usual in the days before (all columns: $out/findings.ndjson)"
width=132
if [ -t 1 ]; then width=$(stty size 2>/dev/null </dev/tty | cut -d' ' -f2) || width=132; fi
[ "${width:-0}" -ge 100 ] || width=100
awk -f "$here/report.awk" -v what=findings -v width="$width" -v keep="$out/findings.ndjson" "$out/events.ndjson" | tee "$out/findings.txt"
echo
echo "WHERE TO LOOK NEXT"
echo "  head -n 1 $out/in/azure.ndjson | $prefix$agent explain --why"
echo "      how a record becomes an event, column by column"
echo "  $prefix$agent backtest --detector access $out/in/azure.ndjson"
echo "      one detector alone over recorded days, such as your own"
echo "  $agent spool stat $out/state        what the agent keeps on disk until every sink has acknowledged it"
echo "  $out/agent.yaml        the six lines that did all this; ${prefix:+packaging/}examples has others: Sentinel, Kafka, syslog"
[ "$(wc -l <"$out/findings.txt")" -ge 3 ] || { echo "demo.sh: fewer than three findings" >&2; exit 1; }
