"""The first page in Chromium: a token is pasted once, serves every page of the tab, and is never in an address."""

import json

import pytest

from browser import Browser


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def paste(browser, token):
    browser.run(f"(() => {{ document.querySelector('#token').value = {json.dumps(token)}; document.querySelector('#authorize button').click(); }})()")


def shown(browser, link, expected):
    """What the page shows after a click on a link to the API."""
    browser.run(f"document.querySelector('a.api[href={json.dumps(link)}]').click()")
    browser.wait_for(f"document.querySelector('#shown').textContent.startsWith({json.dumps(expected)})", expected)
    return browser.run("document.querySelector('#shown').textContent")


def test_a_token_is_pasted_once(browser, guarded):
    company = guarded.api().company()
    call = guarded.api().ok("POST", "/api/analytics/calls/01890000-0000-7000-8000-00000000c0de/events", json={"events": [
        {"seq": 1, "occurred_at": "2026-11-01T10:00:00Z", "started": {"company_id": company["id"]}}]})
    assert call["accepted"] == 1
    token = guarded.token("viewer", company["id"])
    browser.open(guarded.url)
    browser.wait_for("document.readyState === 'complete' && !!document.querySelector('#authorize')", "the page")
    assert "TOKEN_MISSING" in shown(browser, "/api/companies", "401")
    paste(browser, f"Bearer {token}")
    assert browser.run("document.querySelector('#authorized').textContent").startswith("local: viewer, until ")
    assert browser.run("document.querySelector('#token').value") == ""
    assert company["id"] in shown(browser, "/api/companies", "200")
    # a live call, by the subprotocols
    browser.run("document.querySelector('#call').value = '01890000-0000-7000-8000-00000000c0de'; document.querySelector('#watch button').click()")
    browser.wait_for("document.querySelector('#shown').textContent.includes('\"type\":\"init\"')", "the first message of the call")
    # Swagger UI in the same tab knows it, too
    browser.open(f"{guarded.url}/docs")
    browser.wait_for("document.querySelectorAll('.opblock').length > 10", "the list of operations")
    browser.wait_for("!!document.querySelector('.authorization__btn.locked, .btn.authorize.locked')", "the closed padlock")
    assert browser.run("Object.keys(localStorage).length") == 0 and token not in browser.run("location.href + document.cookie")
    # and it goes when it is told to
    browser.open(guarded.url)
    browser.wait_for("document.readyState === 'complete' && document.querySelector('#forget') && !document.querySelector('#forget').hidden", "the page")
    browser.run("document.querySelector('#forget').click()")
    assert browser.run("sessionStorage.length") == 0
    shown(browser, "/api/companies", "401")
    for log in ("gateway", "skillbase", "analytics"):
        assert token.split(".")[1] not in guarded.log(f"dialplane-{log}")
    errors = [error for error in browser.errors if "401" not in error]  # the two that were meant
    assert not errors, errors
