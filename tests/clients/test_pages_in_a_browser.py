"""/docs and /redoc in Chromium, without a window: each operation can be tried from the page, as a person would."""

import json
import uuid

import pytest

import openapi
from browser import Browser


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def document(platform):
    return openapi.Document.of(platform.url)


def block(document, operation):
    """The selector of an operation's block in Swagger UI."""
    _, _, described = document.operations[operation]
    return f"#operations-{described['tags'][0]}-{operation}"


@pytest.fixture(scope="module")
def swagger(browser, platform, document):
    browser.open(f"{platform.url}/docs")
    browser.wait_for(f"document.querySelectorAll('.opblock').length >= {len(document.operations)}", "the list of operations")
    return browser


def unfold(browser, selector):
    browser.run(f"document.querySelector('{selector} .opblock-summary-control').click()")
    browser.wait_for(f"!!document.querySelector('{selector} .execute')", f"the Execute button of {selector}")


def enter(browser, selector, text):
    """Types into a field that React watches."""
    browser.run(f"""(() => {{ const field = document.querySelector({json.dumps(selector)});
        Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, {json.dumps(text)});
        field.dispatchEvent(new Event('input', {{bubbles: true}})); field.dispatchEvent(new Event('change', {{bubbles: true}}));
        field.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true}})); }})()""")  # Enter: the page waits no longer for more


def execute(browser, selector):
    """Presses Execute; (status, body) as the page shows them."""
    browser.run(f"document.querySelector('{selector} .execute').click()")
    status = browser.wait_for(f"(document.querySelector('{selector} .live-responses-table .response .response-col_status') || {{}}).textContent", "the answer")
    body = browser.run(f"(document.querySelector('{selector} .live-responses-table .highlight-code') || {{}}).textContent || ''")
    return status.strip()[:3], body


def test_each_operation_can_be_tried(swagger, document):
    """One by one: Swagger UI resolves what an operation refers to when it is unfolded, and loses its way when all are at once."""
    for operation in sorted(document.operations):
        selector = block(document, operation)
        unfold(swagger, selector)
        swagger.run(f"document.querySelector('{selector} .opblock-summary-control').click()")
    swagger.wait_for("!document.querySelector('.execute')", "the folded list")
    assert not swagger.errors


def test_a_company_is_made_and_read_from_the_page(swagger, document, api):
    unique = uuid.uuid4().hex[:12]
    create, get = block(document, "CreateCompany"), block(document, "GetCompany")
    unfold(swagger, create)
    filled_in = json.loads(swagger.wait_for(f"document.querySelector('{create} textarea.body-param__text').value", "the example"))
    assert filled_in["slug"] == "glamour"  # the recorded example stands there, ready to be changed
    enter(swagger, f"{create} textarea.body-param__text", json.dumps({**filled_in, "name": f"Page {unique}", "slug": f"page-{unique}"}))
    status, body = execute(swagger, create)
    assert status == "201", body
    made = json.loads(body[body.index("{"):body.rindex("}") + 1])
    assert api.ok("GET", f"/api/companies/{made['id']}")["slug"] == f"page-{unique}"
    unfold(swagger, get)
    enter(swagger, f"{get} tr[data-param-name='id'] input", made["id"])
    status, body = execute(swagger, get)
    assert status == "200" and f"page-{unique}" in body
    # and a mistake is shown as the problem that it is
    enter(swagger, f"{create} textarea.body-param__text", json.dumps({**filled_in, "slug": "No spaces"}))
    swagger.run(f"document.querySelector('{create} .btn-clear').click()")
    status, body = execute(swagger, create)
    assert status == "400" and "must be lower-case letters, digits and hyphens" in body


def test_an_upload_has_a_file_chooser(swagger, document):
    upload = block(document, "UploadCallList")
    unfold(swagger, upload)
    swagger.wait_for(f"!!document.querySelector('{upload} input[type=file]')", "the file chooser")


def test_redoc_shows_every_operation(browser, platform, document):
    browser.open(f"{platform.url}/redoc")
    last = document.operations["UploadSuppressions"][2]["summary"]
    browser.wait_for(f"document.querySelector('#redoc') && document.querySelector('#redoc').innerText.includes({json.dumps(last)})", "the last operation")
    text = browser.run("document.querySelector('#redoc').innerText")
    for name, (_, _, operation) in document.operations.items():
        assert operation["summary"] in text, name
    # the page keeps the policy that it is served with; its logo, which it would load from elsewhere, stays away
    assert not [error for error in browser.errors if "Content Security Policy" in error and "cdn.redoc.ly" not in error], browser.errors
