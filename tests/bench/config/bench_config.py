#!/usr/bin/env python3
"""How many configuration operations of four clouds `aispm-agent backtest --detector config` tells, and what it tells of reads and calls.

    bench_config.py AGENT [--misses]

operations.tsv has the names, from the providers' own lists of operations (Azure resource provider operations, AWS service authorization reference,
Google Cloud's RPC methods, the Microsoft 365 audit log's activities), written down without a look at the detector's table: `change` must be told,
`read` must not. Each becomes one record of its cloud's log, decoded as any other. Data of nobody: all names and ids are made up.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SUB = "/SUBSCRIPTIONS/11111111-2222-3333-4444-555555555555/RESOURCEGROUPS/AI/PROVIDERS/"
TARGETS = {"microsoft.cognitiveservices": "MICROSOFT.COGNITIVESERVICES/ACCOUNTS/CONTOSO", "microsoft.machinelearningservices": "MICROSOFT.MACHINELEARNINGSERVICES/WORKSPACES/CONTOSO",
           "microsoft.search": "MICROSOFT.SEARCH/SEARCHSERVICES/CONTOSO", "microsoft.security": "MICROSOFT.SECURITY/PRICINGS/AI"}


def azure(n, name):
    provider = name.split("/")[0].lower()
    on = TARGETS.get(provider, TARGETS["microsoft.cognitiveservices"] + f"/PROVIDERS/{name.rsplit('/', 1)[0].upper()}/X{n}")
    return {"time": when(n), "resourceId": SUB + on, "operationName": name.upper(), "category": "Administrative", "resultType": "Success", "resultSignature": "Succeeded.OK",
            "callerIpAddress": "198.51.100.7", "correlationId": f"00000000-0000-4000-8000-{n:012d}", "level": "Information",
            "identity": {"claims": {"name": f"erin{n}@contoso.example"}}, "properties": {}}


def aws(n, name):
    service, action = name.split(":")
    return {"eventVersion": "1.09", "eventID": f"00000000-0000-4000-8000-{n:012d}", "eventTime": when(n)[:19] + "Z", "eventSource": f"{service}.amazonaws.com", "eventName": action,
            "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2.15.3", "recipientAccountId": "111122223333", "eventType": "AwsApiCall",
            "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::111122223333:user/erin{n}", "userName": f"erin{n}", "accountId": "111122223333"},
            "requestParameters": {"serviceName": "bedrock.amazonaws.com"} if service == "iam" else {"name": f"x{n}"}, "responseElements": None, "requestID": f"r{n}"}


def gcp(n, name):
    service = "aiplatform.googleapis.com" if "aiplatform" in name else f"{name.split('.')[2]}.googleapis.com" if name.startswith("google.cloud.") else "aiplatform.googleapis.com"
    return {"insertId": f"i{n}", "timestamp": when(n)[:23] + "Z", "logName": "projects/contoso/logs/cloudaudit.googleapis.com%2Factivity", "resource": {"type": "audited_resource",
            "labels": {"project_id": "contoso"}}, "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": service, "methodName": name,
            "resourceName": f"projects/contoso/locations/us-central1/endpoints/{n}", "authenticationInfo": {"principalEmail": f"erin{n}@contoso.example"},
            "requestMetadata": {"callerIp": "198.51.100.7"}, "request": {"@type": "x"}}}


def m365(n, name):
    return {"CreationTime": when(n)[:19], "Id": f"00000000-0000-4000-8000-{n:012d}", "Operation": name, "OrganizationId": "o", "RecordType": 261 if name == "CopilotInteraction" else 310,
            "UserType": 0, "Workload": "Copilot", "UserId": f"erin{n}@contoso.example", "UserKey": "k", "ClientIP": "198.51.100.7", "CopilotEventData": {"AppHost": "Word"}}


def when(n):
    return f"2026-10-{5 + n // 1440:02d}T{n // 60 % 24:02d}:{n % 60:02d}:00.0000000Z"


MAKE = {"azure": azure, "aws": aws, "gcp": gcp, "m365": m365}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("agent", nargs="?", default=os.environ.get("AISPM_AGENT"))
    p.add_argument("--misses", action="store_true")
    a = p.parse_args()
    rows = [line.split("\t") for line in (HERE / "operations.tsv").read_text().splitlines() if line and line[0] != "#"]
    told, of = collections.Counter(), collections.Counter()
    wrong = []
    for n, (what, cloud, name) in enumerate(rows):
        with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as f:
            f.write(json.dumps(MAKE[cloud](n, name)) + "\n")
            f.flush()
            r = subprocess.run([a.agent, "backtest", "--detector", "config", f.name], capture_output=True, text=True)
        if r.returncode != 0:
            sys.exit(r.stderr[:1000])
        said = len(r.stdout.splitlines())
        of[what, cloud] += 1
        told[what, cloud] += said == 1
        if said != (what == "change"):
            wrong.append(f"{what} {cloud} {name}: {said} findings")
    for cloud in MAKE:
        print(f"{cloud:6} {told['change', cloud]:3} of {of['change', cloud]:3} configuration operations told, {told['read', cloud]} of {of['read', cloud]} reads and calls")
    changes, reads = sum(v for (w, _), v in of.items() if w == "change"), sum(v for (w, _), v in of.items() if w == "read")
    print(f"recall {sum(v for (w, _), v in told.items() if w == 'change') / changes:.3f} of {changes}; false {sum(v for (w, _), v in told.items() if w == 'read')} of {reads}")
    if a.misses:
        print("\n".join(wrong))
    return 0


if __name__ == "__main__":
    sys.exit(main())
