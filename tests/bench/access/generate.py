"""Weeks of ordinary AI traffic of three clouds, with unusual access injected at random. All names and addresses are made up.

Ordinary: people in offices and at home, VPN, travellers, services in clusters whose pods come and go, batch jobs, gateways with many models, resource keys;
and what is new but ordinary: employees, deployments, services, SDK upgrades, an office that gets new addresses, a monthly job, keys read by pipelines,
a job that is always denied, a product whose users are sometimes filtered. Unusual: each behaviour of the catalogue, its figures drawn at random.
"""
import datetime
import hashlib
import json
import random

MINUTE, HOUR, DAY = 60, 3600, 86400
START = 1790553600  # 2026-09-28, a Monday

SDKS = ["Boto3/1.34.{} md/Botocore#1.34.{} ua/2.0 os/linux#5.10 lang/python#3.11", "aws-sdk-java/2.25.{} Linux/5.10 OpenJDK",
        "aws-sdk-go-v2/1.2{} os/linux lang/go#1.22", "aws-sdk-js/3.5{}.0 ua/2.0 os/linux"]
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{}.0.0.0 Safari/537.36"
CLI = "aws-cli/2.15.{} Python/3.11 Linux/5.10 exe/x86_64"
MODELS = ["anthropic.claude-3-sonnet-20240229-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "amazon.titan-text-express-v1",
          "meta.llama3-70b-instruct-v1:0", "mistral.mistral-large-2402-v1:0", "cohere.command-r-v1:0", "amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0",
          "ai21.jamba-1-5-large-v1:0", "stability.sd3-large-v1:0", "amazon.titan-embed-text-v2:0", "cohere.embed-english-v3",
          "meta.llama3-8b-instruct-v1:0", "anthropic.claude-3-opus-20240229-v1:0"]
GEMINI = ["gemini-1.5-pro", "gemini-1.5-flash", "gemini-2.0-flash", "text-embedding-005", "gemini-2.5-pro"]
ODD_AGENTS = ["curl/8.4.0", "python-requests/2.31.0", "Go-http-client/1.1", "axios/1.6.2", "kx-llm-client/0.1"]
TOOLS = ["stratus-red-team_1234", "Boto3/1.34 os/linux#6.1-kali", "oai-reverse-proxy/2.0", "Pacu/1.5 Boto3/1.28"]
REGIONS = ["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-1", "ap-northeast-1", "sa-east-1", "eu-west-3"]
SUB = "7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15"


def iso(t):
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Caller:
    def __init__(self, name, kind, cloud, rng):
        self.name, self.kind, self.cloud = name, kind, cloud
        self.begin, self.end = START, None
        self.nets, self.hours, self.rate = [], None, 20
        self.models, self.region, self.agent = [], "us-east-1", None
        self.resource = None
        self.length = (800, 500)
        self.weekend = False
        self.account = "111122223333"
        self.guardrail = None
        self.rng = rng

    def ip(self):
        net = self.rng.choice(self.nets)
        return net.replace("*", str(self.rng.randint(2, 250)))


class World:
    def __init__(self, seed, callers, days):
        self.rng = random.Random(seed)
        self.days, self.records, self.callers, self.truth = days, [], [], []
        self.n = 0
        self.make(callers)

    # ---- records ------------------------------------------------------------------------------
    def uid(self):
        self.n += 1
        return hashlib.sha256(f"{self.n}".encode()).hexdigest()[:32]

    def add(self, t, record):
        self.records.append((t, len(self.records), json.dumps(record, separators=(",", ":"))))

    def aws(self, c, t, op, model=None, error=None, ip=None, agent=None, region=None, key=None, source="bedrock", **params):
        ident = {"accountId": c.account}
        if c.kind == "service":
            session = params.pop("session", None) or f"i-{self.rng.getrandbits(40):x}"
            ident |= {"type": "AssumedRole", "arn": f"arn:aws:sts::{c.account}:assumed-role/{c.name}/{session}", "principalId": f"AROA:{session}",
                      "accessKeyId": key or "ASIAEXAMPLE", "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{c.account}:role/{c.name}", "userName": c.name}}}
        elif c.kind == "sso":
            ident |= {"type": "AssumedRole", "arn": f"arn:aws:sts::{c.account}:assumed-role/AWSReservedSSO_Dev_1a2b/{c.name}@contoso.example", "principalId": f"AROA:{c.name}@contoso.example",
                      "accessKeyId": key or "ASIAEXAMPLE", "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{c.account}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_1a2b", "userName": "AWSReservedSSO_Dev_1a2b"}}}
        else:
            ident |= {"type": "IAMUser", "arn": f"arn:aws:iam::{c.account}:user/{c.name}", "userName": c.name, "principalId": "AIDA", "accessKeyId": key or "AKIAEXAMPLE"}
        r = {"eventVersion": "1.09", "userIdentity": ident, "eventTime": iso(t), "eventSource": f"{source}.amazonaws.com", "eventName": op,
             "awsRegion": region or c.region, "sourceIPAddress": ip or c.ip(), "userAgent": agent or c.agent, "requestID": self.uid(), "eventID": self.uid(),
             "readOnly": True, "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": c.account, "eventCategory": "Management",
             "requestParameters": ({"modelId": model} if model else {}) | params or None}
        if model and not error:
            n = max(5, int(self.rng.gauss(*c.length))) if "tokens" not in params else params["tokens"]
            r["requestParameters"].pop("tokens", None)
            r["additionalEventData"] = {"inputTokens": n, "outputTokens": max(1, n // 3)}
        if c.guardrail and model and "guardrailIdentifier" not in params:
            r["requestParameters"]["guardrailIdentifier"] = c.guardrail
        if model and params.get("guardrailIdentifier") == "":
            del r["requestParameters"]["guardrailIdentifier"]
        if error:
            r["errorCode"], r["errorMessage"] = error, "denied by a policy"
        self.add(t, r)

    def azure(self, c, t, op="ChatCompletions_Create", status=200, ip=None, deployment=None, named=True, resource=None):
        res = resource or c.resource
        p = {"apiName": "Azure OpenAI API version 2024-10-21", "requestLength": max(50, int(self.rng.gauss(*c.length))), "responseLength": 900,
             "streamType": "Non-Streaming", "objectId": ""}
        if deployment is None:
            deployment = self.rng.choice(c.models)
        if deployment:
            p |= {"modelDeploymentName": deployment, "modelName": deployment.split("-prod")[0], "modelVersion": "2024-08-06"}
        if named and c.kind != "key":
            p["callerObjectId"] = c.oid
        self.add(t, {"time": iso(t), "resourceId": f"/SUBSCRIPTIONS/{SUB}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/{res}".upper(),
                     "category": "RequestResponse", "operationName": op, "resultSignature": str(status), "durationMs": "500",
                     "callerIpAddress": (ip or c.ip()).rsplit(".", 1)[0] + ".***", "correlationId": self.uid(), "location": "swedencentral",
                     "Tenant": "swedencentral", "event": "ShoeboxCallResult", "properties": p})

    def activity(self, t, who, op, resource, ip, result="Success", body=None):
        self.add(t, {"time": iso(t), "resourceId": f"/SUBSCRIPTIONS/{SUB}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/{resource}".upper(),
                     "operationName": op.upper(), "category": "Administrative", "resultType": result, "resultSignature": "Succeeded.OK",
                     "callerIpAddress": ip, "correlationId": self.uid(), "level": "Information", "location": "global",
                     "identity": {"claims": {"http://schemas.microsoft.com/identity/claims/objectidentifier": hashlib.md5(who.encode()).hexdigest(),
                                             "name": who, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": who}}})

    def gcp(self, c, t, method="google.cloud.aiplatform.v1.PredictionService.GenerateContent", code=0, ip=None, agent=None, model=None, region=None):
        model = model or self.rng.choice(c.models)
        region = region or c.region
        self.add(t, {"protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "aiplatform.googleapis.com", "methodName": method,
                                      "status": {"code": code, "message": "x"} if code else {},
                                      "authenticationInfo": {"principalEmail": c.name}, "requestMetadata": {"callerIp": ip or c.ip(), "callerSuppliedUserAgent": agent or c.agent},
                                      "resourceName": f"projects/ml-1/locations/{region}/publishers/google/models/{model}", "request": {"endpoint": f"projects/ml-1/locations/{region}/publishers/google/models/{model}"}},
                     "insertId": self.uid(), "resource": {"type": "audited_resource", "labels": {"project_id": "ml-1", "location": region}},
                     "timestamp": iso(t), "severity": "INFO", "logName": "projects/ml-1/logs/cloudaudit.googleapis.com%2Fdata_access"})

    def call(self, c, t, **kw):
        if c.cloud == "aws":
            self.aws(c, t, self.rng.choice(["InvokeModel", "Converse"]), model=kw.pop("model", None) or self.rng.choice(c.models), **kw)
        elif c.cloud == "azure":
            kw.pop("agent", None)
            self.azure(c, t, deployment=kw.pop("model", None), **kw)
        else:
            self.gcp(c, t, **kw)

    # ---- who there is ---------------------------------------------------------------------------
    def public(self):
        r = self.rng
        return f"{r.choice([24, 31, 46, 62, 73, 81, 86, 91, 95, 109, 151, 176, 178, 188, 212, 213])}.{r.randint(1, 250)}.{r.randint(1, 250)}.*"

    def person(self, name, cloud, tz, offices):
        r = self.rng
        kind = {"aws": r.choice(["user", "sso"]), "azure": "entra", "gcp": "user"}[cloud]
        c = Caller(name, kind, cloud, r)
        if cloud == "gcp":
            c.name = f"{name}@contoso.example"
        c.oid = hashlib.md5(name.encode()).hexdigest()
        c.nets = [r.choice(offices)]
        if r.random() < 0.6:
            c.nets.append(self.public())          # at home
        if r.random() < 0.15:
            c.nets += [self.public() for _ in range(3)]   # travels
        c.hours = (8 + tz, 18 + tz)
        c.rate = r.choice([4, 8, 15, 30])
        c.agent = r.choice([CLI.format(r.randint(1, 30)), BROWSER.format(r.randint(20, 29)), SDKS[0].format(r.randint(1, 99), r.randint(1, 99))])
        c.person = True
        self.place(c)
        return c

    def place(self, c):
        r = self.rng
        if c.cloud == "aws":
            c.models, c.region = r.sample(MODELS[:8], r.randint(1, 3)), r.choice(REGIONS[:3])
        elif c.cloud == "azure":
            c.resource = f"contoso-{r.randint(1, 6)}"
            c.models = r.sample(["gpt-4o-prod", "gpt-4o-mini-prod", "embed-prod"], r.randint(1, 2))
        else:
            c.models, c.region = r.sample(GEMINI[:3], r.randint(1, 2)), r.choice(["us-central1", "europe-west4"])

    def service(self, name, cloud):
        r = self.rng
        c = Caller(name, "key" if cloud == "azure" and r.random() < 0.4 else "service", cloud, r)
        c.oid = hashlib.md5(name.encode()).hexdigest()
        if cloud == "gcp":
            c.name = f"{name}@ml-1.iam.gserviceaccount.com"
        style = r.random()
        c.nets = [f"10.{r.randint(0, 40)}.{x}.*" for x in r.sample(range(200), r.randint(1, 9))] if style < 0.5 else \
            [self.public()] if style < 0.85 else [f"52.{r.randint(1, 250)}.{x}.*" for x in r.sample(range(250), 5)]
        c.rate = r.choice([50, 120, 250])
        c.weekend = True
        c.agent = r.choice(SDKS).format(r.randint(1, 99), r.randint(1, 99)) if cloud == "aws" else f"google-genai-sdk/1.{r.randint(1, 9)}.0 gl-python/3.11"
        c.person = False
        self.place(c)
        if cloud == "azure" and c.kind == "key":
            c.resource = f"app-{name}"
        if cloud == "aws" and r.random() < 0.3:
            c.guardrail = "gr-1234abcd"
        if r.random() < 0.15 and cloud == "aws":
            c.models = r.sample(MODELS, 9)        # a gateway
        if r.random() < 0.2:
            c.hours = (1, 4)                      # at night
        return c

    def make(self, n):
        r = self.rng
        self.offices = [self.public() for _ in range(3)] + ["10.100.{}.*".format(k) for k in range(4)]
        clouds = ["aws", "aws", "azure", "gcp"]
        for i in range(n):
            cloud = r.choice(clouds)
            if r.random() < 0.6:
                c = self.person(f"u{i}", cloud, r.choice([-1, 0, 0, 1]), self.offices)
            else:
                c = self.service(f"svc-{i}", cloud)
            if r.random() < 0.12:                 # new employees, new services
                c.begin = START + r.randint(7, self.days - 2) * DAY
            self.callers.append(c)
        old = [c for c in self.callers if c.begin == START and c.kind != "key" and c.hours != (1, 4)]
        self.silent = r.sample(old, min(8, len(old) // 10))
        for c in self.silent:
            c.end = START + 9 * DAY

    # ---- ordinary days -----------------------------------------------------------------------------
    def ordinary(self):
        r = self.rng
        move_day = self.days * 2 // 3
        for c in self.callers:
            upgrade = r.randint(5, self.days)
            new_model = r.randint(8, self.days) if r.random() < 0.4 else None
            for day in range(self.days):
                t0 = START + day * DAY
                if t0 + DAY <= c.begin or (c.end and t0 >= c.end) or (day % 7 >= 5 and not c.weekend and r.random() < 0.97) or (c.person and r.random() < 0.08):
                    continue
                if day == upgrade and c.agent:
                    c.agent = c.agent.replace("1.34", "1.35").replace("2.15", "2.17").replace("Chrome/12", "Chrome/13").replace("aws-sdk-go-v2/1.2", "aws-sdk-go-v2/1.3")
                if day == new_model:
                    c.models = c.models + [r.choice(MODELS) if c.cloud == "aws" else r.choice(GEMINI) if c.cloud == "gcp" else "gpt-5-prod"]
                if day == move_day:                # the office gets other addresses
                    c.nets = [("145.9.77.*" if x == self.offices[0] else x) for x in c.nets]
                if not c.person and r.random() < 0.3 and c.nets[0].startswith("10."):
                    c.nets = c.nets[1:] + [f"10.{c.nets[0].split('.')[1]}.{r.randint(0, 250)}.*"]      # pods come and go
                self.one_day(c, t0)
        self.around()

    def one_day(self, c, t0):
        r = self.rng
        lo, hi = c.hours or (0, 24)
        for _ in range(max(1, int(r.gauss(c.rate, c.rate / 4)))):
            if c.person:
                t = t0 + min(max(r.gauss((lo + hi) / 2, 2.6), lo - 1.5), hi + 2) * HOUR
            else:
                t = t0 + r.uniform(lo, hi) * HOUR
            t = int(t)
            if c.person and r.random() < 0.01 and c.cloud == "aws":
                self.aws(c, t, "InvokeModel", model=r.choice(c.models), error=r.choice(["ThrottlingException", "ValidationException", "AccessDeniedException"]))
            elif c.person and "Mozilla" in (c.agent or "") and r.random() < 0.05 and c.cloud == "aws":
                self.aws(c, t, r.choice(["ListFoundationModels", "GetFoundationModelAvailability", "ListInferenceProfiles"]))
            else:
                self.call(c, t)

    def around(self):
        """What is new or loud, and ordinary."""
        r = self.rng
        pipeline = f"pipeline@contoso.example"
        keys = [c for c in self.callers if c.kind == "key"]
        for day in range(self.days):
            for c in r.sample(keys, min(2, len(keys))):
                self.activity(START + day * DAY + 3 * HOUR, pipeline, "microsoft.cognitiveservices/accounts/listKeys/action", c.resource, "20.50.1.9")
        denied = self.service("svc-denied", "aws")
        for day in range(self.days):
            for k in range(96):
                for _ in range(3):
                    self.aws(denied, START + day * DAY + k * 900 + r.randint(0, 60), "InvokeModel", model=MODELS[0], error="AccessDeniedException")
        monthly = self.service("svc-monthly", "aws")
        for day in (0, 1, self.days - 1):
            for k in range(40):
                self.call(monthly, START + day * DAY + 2 * HOUR + k * 30)

    def sorted(self):
        self.records.sort(key=lambda x: (x[0], x[1]))
        return [x[2] for x in self.records]
