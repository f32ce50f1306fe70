"""Enough of Azure Resource Manager to deploy a template on paper: expressions evaluated, resources resolved, and each held against its service's model.

The models are those of the management SDKs (PyPI azure-mgmt-*), which are generated from the services' REST specifications.
"""
import re
import uuid

SUBSCRIPTION, GROUP = "11111111-2222-4333-8444-555555555555", "rg-soc"
TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+)|([A-Za-z_$][\w$]*)|([().,\[\]]))")


class Deployment:
    def __init__(self, template, **given):
        self.template = template
        for name in given:
            assert name in template["parameters"], f"no parameter {name}"
        self.parameters = {}
        for name, p in template["parameters"].items():
            assert name in given or "defaultValue" in p, f"parameter {name} has no value"
            v = given.get(name, p.get("defaultValue"))
            assert v in p.get("allowedValues", [v]), f"{name}: {v} is not allowed"
            if isinstance(v, str):
                assert p.get("minLength", 0) <= len(v) <= p.get("maxLength", 10 ** 6), name
            self.parameters[name] = v
        self.used = set()
        self.parameters = {k: self.resolve(v) for k, v in self.parameters.items()}
        self.resources = [r for r in map(self.resolve, template["resources"]) if r.get("condition", True)]
        self.outputs = {k: self.resolve(v["value"]) for k, v in template.get("outputs", {}).items()}

    def resolve(self, x):
        if isinstance(x, dict):
            return {self.resolve(k): self.resolve(v) for k, v in x.items()}
        if isinstance(x, list):
            return [self.resolve(v) for v in x]
        if isinstance(x, str) and x.startswith("[["):
            return x[1:]
        if isinstance(x, str) and x.startswith("[") and x.endswith("]"):
            return Expression(x[1:-1], self).value
        return x


class Expression:
    def __init__(self, text, deployment):
        self.text, self.at, self.d = text, 0, deployment
        self.value = self.term()
        assert text[self.at:].strip() == "", f"not an expression: {text}"

    def token(self, peek=False):
        m = TOKEN.match(self.text, self.at)
        if m is None:
            return None
        if not peek:
            self.at = m.end()
        return m

    def term(self):
        m = self.token()
        assert m, f"not an expression: {self.text} at {self.at}"
        if m[1]:
            v = m[1][1:-1].replace("''", "'")
        elif m[2]:
            v = int(m[2])
        elif m[3] in ("true", "false"):
            v = m[3] == "true"
        else:
            assert m[3], f"not an expression: {self.text}"
            v = getattr(self, "fn_" + m[3].lower())(*self.arguments())
        while (n := self.token(peek=True)) and n[4] in (".", "["):
            self.token()
            if n[4] == ".":
                v = v[self.token()[3]]
            else:
                v = v[self.term()]
                assert self.token()[4] == "]"
        return v

    def arguments(self):
        assert self.token()[4] == "(", self.text
        found = []
        if self.token(peek=True)[4] == ")":
            self.token()
            return found
        while True:
            found.append(self.term())
            end = self.token()[4]
            if end == ")":
                return found
            assert end == ",", self.text

    def fn_parameters(self, name):
        self.d.used.add(name)
        return self.d.parameters[name]

    def fn_variables(self, name):
        return self.d.resolve(self.d.template["variables"][name])

    def fn_concat(self, *parts):
        return [x for p in parts for x in p] if isinstance(parts[0], list) else "".join(map(str, parts))

    def fn_union(self, a, b):
        return {**a, **b}

    def fn_if(self, test, yes, no):
        assert isinstance(test, bool)
        return yes if test else no

    def fn_equals(self, a, b):
        return a == b

    def fn_null(self):
        return None

    def fn_guid(self, *parts):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "|".join(parts)))

    def fn_format(self, text, *parts):
        return text.format(*parts)

    def fn_resourcegroup(self):
        return {"id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}", "location": "swedencentral"}

    def fn_resourceid(self, kind, *names):
        head, *types = kind.split("/")
        assert len(types) == len(names), f"{kind}: {names}"
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{head}/" + "/".join(f"{t}/{n}" for t, n in zip(types, names))

    def fn_subscriptionresourceid(self, kind, *names):
        head, *types = kind.split("/")
        assert len(types) == len(names), f"{kind}: {names}"
        return f"/subscriptions/{SUBSCRIPTION}/providers/{head}/" + "/".join(f"{t}/{n}" for t, n in zip(types, names))

    def fn_reference(self, rid, version, *more):
        if "dataCollectionRules" in rid:
            return {"immutableId": "dcr-0123456789abcdef0123456789abcdef", "endpoints": {"logsIngestion": "https://aispm-agent-ab12-swedencentral.logs.z1.ingest.monitor.azure.com"}}
        return {"identity": {"principalId": "99999999-2222-4333-8444-555555555555"}}


SIMPLE = {"str": str, "bool": bool, "duration": str, "iso-8601": str, "rfc-1123": str}


def misfits(value, kind, models, path=""):
    """Where a resolved resource does not fit the SDK's model `kind`: unknown and missing members, wrong types, words that its enumerations do not have."""
    if value is None or kind in ("object", "any"):
        return []
    if kind in SIMPLE:
        return [] if isinstance(value, SIMPLE[kind]) else [f"{path}: {value!r:.60} is no {kind}"]
    if kind in ("int", "long", "float"):
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{path}: {value!r:.60} is no number"]
    if kind[0] == "[":
        return [e for i, v in enumerate(value) for e in misfits(v, kind[1:-1], models, f"{path}[{i}]")] if isinstance(value, list) else [f"{path}: no list"]
    if kind[0] == "{":
        return [e for k, v in value.items() for e in misfits(v, kind[1:-1], models, f"{path}.{k}")] if isinstance(value, dict) else [f"{path}: no object"]
    model = getattr(models, kind)
    if not hasattr(model, "_attribute_map"):
        words = [w.value for w in model]
        return [] if value in words else [f"{path}: {value} is none of {words}"]
    return fields(value, model, models, path)


def fields(value, model, models, path):
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    found, known = [], {}
    for name, a in model._attribute_map.items():
        known[a["key"].replace("\\.", "\0")] = (name, a["type"])
    for key, (name, kind) in known.items():
        at, there = value, True
        for part in key.split("."):
            there = there and isinstance(at, dict) and part.replace("\0", ".") in at
            at = at[part.replace("\0", ".")] if there else None
        rules = model._validation.get(name, {})
        if there and rules.get("readonly") and name not in ("name", "type", "id", "kind"):
            found.append(f"{path}.{key}: the service writes it")
        if not there and rules.get("required") and not rules.get("readonly") and not rules.get("constant"):
            found.append(f"{path}.{key}: is missing")
        if there:
            found += misfits(at, kind, models, f"{path}.{key}")
    inner = any(k.startswith("properties.") for k in known)
    for key, v in value.items():
        if key == "properties" and inner:
            found += [f"{path}.properties.{k}: unknown" for k in v if not any(f"properties.{k}" == x or x.startswith(f"properties.{k}.") for x in known)]
        elif key not in {x.split(".")[0] for x in known}:
            found.append(f"{path}.{key}: unknown")
    return found
