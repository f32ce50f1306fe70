"""Unusual access, each behaviour of the catalogue with figures drawn at random. inject(world, after_day, times) fills world.truth."""
from generate import DAY, GEMINI, HOUR, MODELS, ODD_AGENTS, REGIONS, TOOLS

# what of an attack is new besides what its name says is left to the others: each changes as little as it can


def grown(w, day, test):
    t = w.begin + day * DAY
    c = [c for c in w.callers if c.begin <= t - 14 * DAY and test(c) and c not in w.used]
    return w.rng.choice(c) if c else None


def stable(c):
    return len(c.nets) <= 2


def tell(w, name, c, t, span=2 * HOUR):
    w.truth.append({"behaviour": name, "caller": c.resource if c.kind == "key" else c.oid if c.cloud == "azure" else c.name, "begin": t, "end": t + span})


def at_work(w, c, t0):
    lo, hi = c.hours or (9, 17)
    return int(t0 + w.rng.uniform(lo + 1, hi - 1) * HOUR)


def a1_network(w, c, t):
    net = w.public()
    for k in range(w.rng.randint(1, 12)):
        w.call(c, t + k * 60, ip=net.replace("*", "77"))


def a4_agent(w, c, t):
    for k in range(w.rng.randint(1, 6)):
        w.call(c, t + k * 30, agent=w.odd)


def a4_tool(w, c, t):
    w.call(c, t, agent=w.rng.choice(TOOLS))


def a5_auth(w, c, t):
    if c.cloud == "azure":
        for k in range(3):
            w.azure(c, t + k * 20, named=False)
    else:
        for k in range(3):
            w.aws(c, t + k * 20, "InvokeModel", model=c.models[0], key="AKIASTOLEN")


def a6_denied(w, c, t, n=None):
    for k in range(n or w.rng.randint(11, 40)):
        s = t + k * w.rng.randint(3, 18)
        if c.cloud == "aws":
            w.aws(c, s, "InvokeModel", model=c.models[0], error="AccessDeniedException")
        elif c.cloud == "azure":
            w.azure(c, s, status=w.rng.choice([401, 403]), deployment=c.models[0])
        else:
            w.gcp(c, s, code=7, model=c.models[0])
    return s


def a7_granted(w, c, t):
    s = a6_denied(w, c, t, 14)
    if c.cloud == "azure":
        w.azure(c, s + 300, deployment=c.models[0])
    elif c.cloud == "aws":
        w.aws(c, s + 300, "InvokeModel", model=c.models[0])
    else:
        w.gcp(c, s + 300, model=c.models[0])


def a8_probing(w, c, t):
    models = w.rng.sample(MODELS, w.rng.randint(2, 6))
    for k in range(w.rng.randint(5, 14)):
        w.aws(c, t + k * 8, "InvokeModel", model=models[k % len(models)], error="ValidationException")


def a9_enumerate(w, c, t):
    ops = w.rng.sample(["ListFoundationModels", "GetFoundationModelAvailability", "ListInferenceProfiles", "ListCustomModels"], w.rng.randint(2, 4))
    for k, op in enumerate(ops):
        w.aws(c, t + k * 20, op)
    w.aws(c, t + 300, "InvokeModel", model=c.models[0])


def a10_jacking(w, c, t):
    ops = ["ListFoundationModels", "GetFoundationModelAvailability", "GetUseCaseForModelAccess", "PutUseCaseForModelAccess", "PutFoundationModelEntitlement",
           "CreateFoundationModelAgreement", "ListFoundationModelAgreementOffers", "GetModelInvocationLoggingConfiguration"]
    for k, op in enumerate(w.rng.sample(ops, w.rng.randint(6, 8))):
        w.aws(c, t + k * 200, op)
    w.aws(c, t + 3000, "InvokeModelWithResponseStream", model=MODELS[0])


def a11_models(w, c, t):
    if c.cloud == "aws":
        for k, m in enumerate(w.rng.sample(MODELS, w.rng.randint(10, 13))):
            w.aws(c, t + k * 30, "Converse", model=m)
    else:
        for k in range(9):
            w.azure(c, t + k * 40, deployment=f"model-{k}")


def a12_regions(w, c, t):
    for k, region in enumerate(w.rng.sample(REGIONS, w.rng.randint(4, 6))):
        w.aws(c, t + k * 60, "InvokeModel", model=c.models[0], region=region)


def a15_sources(w, c, t):
    for k in range(w.rng.randint(8, 30)):
        w.call(c, t + k * 90, ip=w.public().replace("*", "9"))


def a16_hours(w, c, t):
    t = t - t % DAY + int((c.hours[0] + 24 - w.rng.uniform(4.5, 6)) % 24 * HOUR)
    for k in range(w.rng.randint(3, 10)):
        w.call(c, t + k * 120)
    return t


def a17_key(w, c, t):
    w.activity(t, "mallory@contoso.example", "microsoft.cognitiveservices/accounts/" + w.rng.choice(["listKeys/action", "regenerateKey/action"]), c.resource, "91.1.2.3")
    for k in range(w.rng.randint(1, 20)):
        w.azure(c, t + 600 + k * 20, ip=w.attacker)


def a18_guardrail(w, c, t):
    for k in range(w.rng.randint(1, 3)):
        w.aws(c, t + k * 60, "InvokeModel", model=c.models[0], guardrailIdentifier="")


def a19_blocks(w, c, t):
    for k in range(w.rng.randint(6, 20)):
        s = t + k * w.rng.randint(5, 25)
        w.add(s, {"schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": __import__("generate").iso(s), "accountId": c.account,
                  "region": c.region, "requestId": w.uid(), "operation": "Converse", "modelId": c.models[0],
                  "identity": {"arn": f"arn:aws:iam::{c.account}:user/{c.name}" if c.kind == "user" else f"arn:aws:sts::{c.account}:assumed-role/AWSReservedSSO_Dev_1a2b/{c.name}@contoso.example"},
                  "input": {"inputTokenCount": 40}, "output": {"outputTokenCount": 0, "outputBodyJson": {"stopReason": "guardrail_intervened"}}})


def v5_extraction(w, c, t):
    n = w.rng.randint(700, 1500)
    for k in range(n):
        w.aws(c, t + k * 3400 // n, "InvokeModel", model=c.models[0], tokens=60 + w.rng.randint(-3, 3))


def p1_person(w, c, t):
    for k in range(3):
        w.aws(c, t + k * 100, "InvokeModel", model=c.models[0], agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/121.0 Safari/537.36", session="i-0abc")


def a13_dormant(w, c, t):
    for k in range(w.rng.randint(6, 20)):
        w.call(c, t + k * 60)


AWS = lambda c: c.cloud == "aws"
KINDS = {
    "A1": (a1_network, stable), "A4": (a4_agent, lambda c: c.cloud != "azure" and stable(c)), "A4tool": (a4_tool, AWS),
    "A5": (a5_auth, lambda c: c.kind == "sso"), "A6": (a6_denied, lambda c: True), "A7": (a7_granted, lambda c: True), "A8": (a8_probing, AWS),
    "A9": (a9_enumerate, lambda c: AWS(c) and "Mozilla" not in c.agent), "A10": (a10_jacking, AWS), "A11": (a11_models, lambda c: c.cloud in ("aws", "azure") and len(c.models) < 4),
    "A12": (a12_regions, AWS), "A15": (a15_sources, stable), "A16": (a16_hours, lambda c: c.person), "A17": (a17_key, lambda c: c.kind == "key"),
    "A18": (a18_guardrail, lambda c: c.guardrail is not None), "A19": (a19_blocks, lambda c: AWS(c) and c.person), "V5": (v5_extraction, lambda c: AWS(c) and c.rate < 60),
    "P1": (p1_person, lambda c: AWS(c) and c.kind == "service"),
}


def inject(w, first_day, times):
    w.used, w.begin = set(), __import__("generate").START
    w.used.update(w.silent)
    for c in w.silent if w.days >= 42 else []:      # fell silent after nine days
        t = at_work(w, c, w.begin + (w.days - 1 - w.rng.randint(0, 1)) * DAY)
        a13_dormant(w, c, t)
        tell(w, "A13", c, t, 3 * HOUR)
    for name, (make, test) in KINDS.items():
        for _ in range(times):
            day = w.rng.randint(max(first_day, 28 if name == "A16" else 0), w.days - 1)
            if day % 7 >= 5:
                day -= 2
            c = grown(w, day, test)
            if c is None:
                continue
            w.used.add(c)
            w.odd = w.rng.choice(ODD_AGENTS)
            w.attacker = w.public().replace("*", "66")
            t = at_work(w, c, w.begin + day * DAY)
            t = make(w, c, t) if name == "A16" else (make(w, c, t), t)[1]
            tell(w, name, c, t, 3 * HOUR)

