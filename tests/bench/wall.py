#!/usr/bin/env python3
"""What decoding in a process of its own costs: `run --once`, file to file, agent.decode process against inline, in turns on the same records.
Use: wall.py AGENT DATA_DIR [RECORDS [ROUNDS]]. Other load on the machine hits both alike; the medians' ratio counts. With two agents (AGENT,OTHER)
the second is compared too, as its own default has it: before and after."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def record(n):
    """A RequestResponse record of Azure OpenAI, about 820 bytes."""
    return {"time": f"2026-10-05T{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}0000Z",
            "resourceId": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/contoso",
            "category": "RequestResponse", "operationName": "ChatCompletions_Create", "operationVersion": "2024-10-21", "resultSignature": "200",
            "resultType": "Success", "durationMs": 300 + n % 900, "callerIpAddress": "10.1.2.***", "correlationId": f"00000000-0000-4000-8000-{n:012d}",
            "event": "ShoeboxCallResult", "location": "eastus", "tenant": "eastus", "level": "Information",
            "properties": {"modelDeploymentName": "chat", "modelName": "gpt-4o", "modelVersion": "2024-08-06", "apiName": "Azure OpenAI API version 2024-10-21",
                           "objectId": f"user-{n % 7}", "streamType": "Streaming", "requestLength": 100 + n % 50, "responseLength": 1000 + n % 333,
                           "requestTime": 638000000000000000 + n, "responseTime": 638000000000500000 + n}}


def memory(pid):
    """KiB resident of a process and all below it; what they share counts once (Pss)."""
    total = 0
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += memory(child)
    except (OSError, ProcessLookupError):
        pass
    return total


def run(agent, data, source, mode, where):
    for f in where.glob("out*"):
        f.unlink()
    subprocess.run(["rm", "-rf", where / "state"], check=True)
    decode = f", decode: {mode}" if mode else ""
    (where / "agent.yaml").write_text(f"agent: {{state_dir: {where}/state, heartbeat: 0s, log_level: error{decode}}}\n"
                                      f"sources: [{{name: in, type: file, paths: [{source}]}}]\n"
                                      f"sinks: [{{name: out, type: file, path: {where}/out.ndjson}}]\n")
    begun, before, most = time.monotonic(), os.times(), 0
    p = subprocess.Popen([agent, "run", "-c", where / "agent.yaml", "--once"], env=dict(os.environ, AISPM_DATA_DIR=data))
    while p.poll() is None:
        most = max(most, memory(p.pid))
        time.sleep(0.25)
    after = os.times()
    assert p.returncode == 0
    return (after.children_user + after.children_system - before.children_user - before.children_system, time.monotonic() - begun, most)


def main():
    agents, data = sys.argv[1].split(","), sys.argv[2]
    n, rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 150000, int(sys.argv[4]) if len(sys.argv) > 4 else 5
    cases = [("inline", agents[0], "inline"), ("process", agents[0], "process")]
    if len(agents) > 1:
        cases.append(("other", agents[1], ""))
    got = {name: [] for name, _, _ in cases}
    with tempfile.TemporaryDirectory() as d:
        source = pathlib.Path(d) / "in.ndjson"
        with open(source, "w") as f:
            for i in range(n):
                f.write(json.dumps(record(i), separators=(",", ":")) + "\n")
        print(f"{n} records of {source.stat().st_size // n} bytes, {rounds} rounds in turns; medians")
        for _ in range(rounds):
            for name, agent, mode in cases:
                got[name].append(run(agent, data, source, mode, pathlib.Path(d)))
    base = [statistics.median(x[i] for x in got["inline"]) for i in range(3)]
    for name, runs in got.items():
        m = [statistics.median(x[i] for x in runs) for i in range(3)]
        print(f"{name:8} {m[0] / n * 1e6:6.2f} us CPU an event ({m[0] / base[0]:.3f})  {n / m[0]:8.0f} events a CPU-second  "
              f"{m[1]:6.2f} s wall ({m[1] / base[1]:.2f})  {m[2] / 1024:6.1f} MiB ({m[2] / base[2]:.2f})")


if __name__ == "__main__":
    main()
