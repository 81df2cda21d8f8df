"""The description at /openapi.json is complete and true: every operation, every example, every answer."""

import json
import os

import pytest

import examples
import openapi

ADVICE = ("add a step to tests/contract/examples.py, record with DIALPLANE_RECORD_EXAMPLES=1 ./dev test contract/openapi, and commit the new "
          "files of gateway/pages/examples")
RECORD = os.environ.get("DIALPLANE_RECORD_EXAMPLES") == "1"


@pytest.fixture(scope="module")
def document(platform):
    return openapi.Document.of(platform.url)


@pytest.fixture(scope="module")
def steps(platform, api, document):
    steps = examples.run(platform, api, document, unique="" if RECORD else None)
    if RECORD:
        examples.write(steps)
        pytest.skip("recorded: build again, and test without DIALPLANE_RECORD_EXAMPLES")
    return steps


def test_every_operation_is_on_the_tour(document, steps):
    missing = set(document.operations) - set(steps)
    assert not missing, f"{', '.join(sorted(missing))} of the .proto: {ADVICE}"


def test_no_example_is_left_over(document):
    left_over = {file.stem for file in examples.FOLDER.glob("*.json")} - set(document.operations) - {"Problem"}
    assert not left_over, f"gateway/pages/examples: there is no operation {', '.join(sorted(left_over))} any more"


def test_every_operation_is_described(document):
    for name, (_, _, operation) in document.operations.items():
        assert operation["summary"] and len(operation["description"]) > len(operation["summary"]), name
        assert operation["tags"] and not operation["summary"].endswith("."), name
        for parameter in operation["parameters"]:
            assert parameter.get("description"), f"{name}: the field {parameter['name']} has no comment in its .proto"


def test_every_field_is_described(document):
    for name, schema in document.document["components"]["schemas"].items():
        for key, field in schema.get("properties", {}).items():
            assert field.get("description") or name == "Problem", f"{name}.{key} has no comment in its .proto"


def said(document, operation, part):
    """The examples of an operation as /openapi.json shows them: part "request" or "answer"."""
    _, _, described = document.operations[operation]
    if part == "request":
        content = described.get("requestBody", {}).get("content", {})
    else:
        status = next(code for code in described["responses"] if code.startswith("2"))
        content = described["responses"][status].get("content", {})
    return {kind: media for kind, media in content.items() if kind not in ("multipart/form-data", "application/octet-stream")}


def pytest_generate_tests(metafunc):
    """One test an operation, by the files that were recorded; test_every_operation_is_on_the_tour finds those without."""
    if "operation" in metafunc.fixturenames:
        metafunc.parametrize("operation", sorted(file.stem for file in examples.FOLDER.glob("*.json") if file.stem != "Problem"))


def test_examples_are_real(document, steps, operation):
    if operation not in document.operations:
        pytest.skip("said by test_no_example_is_left_over")
    for part in ("request", "answer"):
        for kind, media in said(document, operation, part).items():
            assert "example" in media, f"{operation} has no example of its {part}: {ADVICE}"
            if kind == "application/json":
                # the recorded one and the one of just now, against a schema with no room for other keys and with every key required
                real = steps[operation][part]
                for which, value in (("recorded", media["example"]), ("real", real)):
                    wrong = document.problems(media["schema"], value)
                    assert not wrong, f"{operation}: the {which} {part} is not what the schema says: {wrong}; if the {part} has changed: {ADVICE}"
                assert openapi_shape(media["example"]).keys() == openapi_shape(real).keys()
            elif kind in ("application/x-ndjson", "text/event-stream"):
                recorded, real = (messages(kind, text) for text in (media["example"], steps[operation]["lines" if "json" in kind else "events"]))
                assert [m["type"] for m in recorded] == [m["type"] for m in real], ADVICE
                for message in recorded + real:
                    assert not document.problems(media["x-itemSchema"], message), f"{operation}: {ADVICE}"


def openapi_shape(value):
    """The first level of keys; the schema sees to the rest."""
    return value if isinstance(value, dict) else {}


def messages(kind, text):
    lines = text.splitlines() if "json" in kind else [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines]


def test_path_parameters_have_examples(document):
    for name, (_, _, operation) in document.operations.items():
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                assert "example" in parameter, f"{name}: {ADVICE}"
                assert not document.problems(parameter["schema"], parameter["example"]), name


def test_conflicts_have_examples(document, steps):
    for name, (_, _, operation) in document.operations.items():
        if "409" not in operation["responses"]:
            continue
        media = operation["responses"]["409"]["content"]["application/problem+json"]
        assert "example" in media, f"{name} names error_reasons, but has no example of a 409: {ADVICE}"
        for value in (media["example"], steps[name]["conflict"]):
            assert not document.problems(media["schema"], value, strict=False), f"{name}: {ADVICE}"


@pytest.mark.parametrize("status, name", [("400", "BadRequest"), ("404", "NotFound"), ("406", "NotAcceptable"), ("412", "PreconditionFailed"),
                                          ("413", "ContentTooLarge"), ("415", "UnsupportedMediaType")])
def test_problems_have_examples(document, steps, status, name):
    media = document.document["components"]["responses"][name]["content"]["application/problem+json"]
    for value in (media["example"], steps["Problem"][status]):
        assert value["status"] == int(status)
        assert not document.problems(media["schema"], value)


def test_create_and_update_differ(document):
    schemas = document.document["components"]["schemas"]
    assert set(schemas["CampaignCreate"]["required"]) == {"company_id", "skillbase_id", "name"}
    assert "required" not in schemas["CampaignUpdate"] and "company_id" not in schemas["CampaignUpdate"]["properties"]
    assert set(schemas["Campaign"]["required"]) == set(schemas["Campaign"]["properties"])
    assert "total_tasks" not in schemas["CampaignCreate"]["properties"]
    assert "call_id" not in schemas["BeginDialRequest"]["properties"]  # it stands in the path
    assert "default" not in schemas["CampaignUpdate"]["properties"]["timezone"]  # what is left out stays
    assert schemas["CampaignCreate"]["properties"]["timezone"]["default"] == "UTC"


def test_tags_and_preconditions_are_described(document):
    _, _, get = document.operations["GetCompany"]
    assert get["responses"]["304"] and "ETag" in get["responses"]["200"]["headers"]
    assert "If-None-Match" in {p["name"] for p in get["parameters"]}
    _, _, put = document.operations["UpdateCompany"]
    assert "412" in put["responses"] and "If-Match" in {p["name"] for p in put["parameters"]}


def test_streams_are_described(document):
    _, _, watch = document.operations["WatchCall"]
    assert {"101", "200", "403", "404"} <= set(watch["responses"])
    assert set(watch["responses"]["200"]["content"]) == {"text/event-stream", "application/x-ndjson"}
    assert "Last-Event-ID" in {p["name"] for p in watch["parameters"]}


def test_the_description_has_a_tag(api):
    first = api.get("/openapi.json")
    again = api.client.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
