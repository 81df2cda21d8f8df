"""The description at /openapi.json as a judge: which operation a request is, and whether an answer is one that it describes. Every answer that a test
gets through Api (conftest.py) is held against it, so what the description leaves out, some test finds."""

import re

import httpx
import jsonschema

LARGEST_CHECKED = 64 * 1024  # bytes of an answer: larger ones are pages of the same rows


class Document:
    def __init__(self, document):
        self.document = document
        self.strict = closed(document)
        self.validators = {}
        self.operations = {}  # operationId → (verb, path, operation)
        self.routes = []
        for path, item in document["paths"].items():
            pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
            for verb, operation in item.items():
                self.operations[operation["operationId"]] = (verb, path, operation)
                self.routes.append((path.count("{"), pattern, verb, operation))
        self.routes.sort(key=lambda route: route[0])  # a literal beats a variable

    @classmethod
    def of(cls, url):
        answer = httpx.get(f"{url}/openapi.json", timeout=30)
        assert answer.status_code == 200, answer.text
        return cls(answer.json())

    def operation(self, verb, path):
        """The operation of a request, or None."""
        return next((operation for _, pattern, v, operation in self.routes if v == verb.lower() and pattern.fullmatch(path)), None)

    def resolve(self, value):
        while "$ref" in value:
            here = self.document
            for part in value["$ref"][2:].split("/"):
                here = here[part]
            value = here
        return value

    def body(self, operation, media_type="application/json"):
        """The media type of the request's body: {"schema", "example"}."""
        return operation["requestBody"]["content"][media_type]

    def answer(self, operation, status, media_type="application/json"):
        return self.resolve(operation["responses"][str(status)])["content"][media_type]

    def problems(self, schema, value, strict=True):
        """What is wrong with a value, as sentences. strict: a key that the schema does not name is wrong as well."""
        key = (str(schema), strict)
        if key not in self.validators:
            root = self.strict if strict else self.document
            resolver = jsonschema.RefResolver("", root)
            self.validators[key] = jsonschema.Draft202012Validator(closed(schema) if strict else schema, resolver=resolver)
        return [f"{error.json_path}: {error.message[:300]}" for error in self.validators[key].iter_errors(value)]

    def check(self, answer):
        """Fails when the answer to a request is not one that the description knows."""
        request = answer.request
        operation = self.operation(request.method, request.url.raw_path.decode().split("?")[0])
        if operation is None or answer.status_code in (405, 431) or answer.status_code >= 500:
            return
        what = f"{request.method} {request.url.path} answered {answer.status_code}"
        described = operation["responses"].get(str(answer.status_code))
        assert described is not None, (f"{what}, which /openapi.json does not know of {operation['operationId']}: {answer.text[:300]}\n"
                                       "A reason that the method can answer is named in error_reasons in its .proto.")
        described = self.resolve(described)
        kind = answer.headers.get("content-type", "").split(";")[0]
        assert kind in described.get("content", {"": None}), f"{what} as {kind or 'nothing'}, which /openapi.json does not know"
        if kind not in ("application/json", "application/problem+json") or len(answer.content) > LARGEST_CHECKED:
            return
        wrong = self.problems(described["content"][kind]["schema"], answer.json(), strict=kind == "application/json")
        assert not wrong, f"{what}, which is not what /openapi.json says: {wrong[:5]}\n{answer.text[:1000]}"


def closed(schema):
    """The schema with no room for keys that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: value if key in ("example", "examples", "default", "enum", "const") else closed(value) for key, value in schema.items()}
    if isinstance(out.get("properties"), dict) and out.get("type") == "object" and "additionalProperties" not in out:
        out["additionalProperties"] = False
    return out
