"""/openapi.json before judges that we did not write: spectral, and openapi-typescript with the compiler."""

import json
import re
import uuid

import pytest

import built
import openapi


@pytest.fixture(scope="module")
def document(platform):
    return openapi.Document.of(platform.url)


@pytest.fixture(scope="module")
def tools(document):
    folder = built.openapi_tools()
    (folder / "openapi.json").write_text(json.dumps(document.document))
    return folder


def test_spectral_finds_nothing(tools):
    """Neither errors nor warnings by the ruleset for OpenAPI."""
    said = built.run("node_modules/.bin/spectral", "lint", "--fail-severity", "hint", "--format", "text", "openapi.json", cwd=tools, check=False)
    assert "No results with a severity of 'hint' or higher found!" in said, said[-5000:]


def typed(document):
    """TypeScript in which every example of a body or an answer has the type that was made for it."""
    lines = ['import type {operations} from "./api.js";', ""]
    for name, (_, _, operation) in sorted(document.operations.items()):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body:
            lines.append(f'export const {name}Request: NonNullable<operations["{name}"]["requestBody"]>["content"]["application/json"] = '
                         f"{json.dumps(body['example'])};")
        for status, answer in operation["responses"].items():
            media = answer.get("content", {}).get("application/json")
            if media and "example" in media and re.fullmatch("2..", status):
                lines.append(f'export const {name}Answer: operations["{name}"]["responses"][{status}]["content"]["application/json"] = '
                             f"{json.dumps(media['example'])};")
    return "\n".join(lines) + "\n"


def make(tools, *flags):
    built.run("node_modules/.bin/openapi-typescript", "openapi.json", "-o", "api.d.ts", *flags, cwd=tools)


@pytest.fixture(scope="module")
def compiled(document, tools):
    """With the flag by which a field that has a default may be left out of a body."""
    make(tools, "--default-non-nullable=false")
    (tools / "examples.ts").write_text(typed(document))
    built.run("node_modules/.bin/tsc", cwd=tools)
    return tools


def test_a_client_made_from_it_compiles_with_every_example(compiled, document):
    assert (compiled / "examples.ts").read_text().count("Answer:") >= 35
    # and the compiler would have noticed: an example that is wrong does not compile
    (compiled / "examples.ts").write_text(typed(document).replace('"total_tasks": ', '"total_tasks": "many", "was_total_tasks": '))
    assert "is not assignable to type" in built.run("node_modules/.bin/tsc", "--noEmit", cwd=compiled, check=False)


def test_a_client_made_from_it_works(compiled, platform):
    said = json.loads(built.run("node", "dist/rest.js", platform.url, uuid.uuid4().hex[:12], cwd=compiled, timeout=60))
    assert said == {"description": "Changed", "has_next_page": said["has_next_page"], "reason": "SLUG_TAKEN", "status": 409, "fields": ["slug"],
                    "gone": 204, "mistyped": ["descripton"]}


def test_every_example_compiles_without_any_flag_too(compiled, document):
    """As `npx openapi-typescript` does it by itself: a field with a default is then a field that must be there, so the examples have them all."""
    make(compiled)
    (compiled / "examples.ts").write_text(typed(document))
    built.run("node_modules/.bin/tsc", "--noEmit", "-p", "tsconfig.examples.json", cwd=compiled)
