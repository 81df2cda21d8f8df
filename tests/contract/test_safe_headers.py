"""What answers tell browsers: types that are not guessed, no frames, no scripts inside pages, nothing kept that is personal."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx
import pytest

from agents import new_id
from conftest import check_problem

EVERYWHERE = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}


def policy(answer):
    """The directives of the content security policy: name → sources."""
    parts = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    directives = {part[0]: part[1:] for part in parts}
    assert len(directives) == len(parts), "a directive twice: the second is not looked at"
    return directives


class Inside(HTMLParser):
    """What a policy without 'unsafe-inline' forbids in a page, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.forbidden, self.loads, self.within = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.within = tag if tag in ("script", "style") else None
        self.forbidden += [f"{tag} {name}" for name in attributes if name.startswith("on") or name == "style"]
        self.forbidden += [f"{tag} {value}" for name, value in attrs if name in ("href", "src", "action") and value.lower().startswith("javascript:")]
        self.loads += [value for name, value in attrs if (tag, name) in (("script", "src"), ("link", "href"), ("img", "src"))]

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within and data.strip():
            self.forbidden.append(f"text in {self.within}")


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_pages_have_a_strict_policy_and_keep_it(api, path):
    page = api.get(path)
    directives = policy(page)
    assert directives["default-src"] == ["'none'"] and directives["script-src"] == ["'self'"] and directives["connect-src"] == ["'self'"]
    assert directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    everything = " ".join(source for sources in directives.values() for source in sources)
    assert "unsafe" not in everything and "*" not in everything and "http:" not in everything and "https:" not in everything
    assert set(directives["style-src"][1:]) <= set(re.findall(r"'sha256-[A-Za-z0-9+/=]{44}'", everything)) and directives["style-src"][0] == "'self'"
    inside = Inside(page.text)
    assert not inside.forbidden
    for link in inside.loads:
        assert link.startswith("/"), link
        loaded = api.get(link)
        assert loaded.status_code == 200 and loaded.headers["x-content-type-options"] == "nosniff", link


def test_the_hash_of_redoc_s_empty_style_is_right(api):
    empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert f"'sha256-{empty}'" in policy(api.get("/redoc"))["style-src"]


def test_pages_say_what_they_do_not_need(api):
    for path in ("/", "/docs", "/redoc", "/page.css", "/favicon.svg", "/openapi.json"):
        answer = api.get(path)
        assert EVERYWHERE.items() <= dict(answer.headers).items(), path
        assert answer.headers["x-frame-options"] == "DENY" and answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin" and "geolocation=()" in answer.headers["permissions-policy"]
        assert policy(answer)["default-src"] == ["'none'"]  # an image or a script opened by itself is a page, too
        assert answer.headers["cache-control"] == "no-cache" and "strict-transport-security" not in answer.headers


def test_pages_of_one_s_own(spare_gateway, tmp_path):
    (tmp_path / "index.html").write_text("<style>p { color: red; }</style><p>ours")
    page = httpx.get(spare_gateway("--pages", str(tmp_path)) + "/")
    directives = policy(page)
    assert directives["default-src"] == ["'self'"] and "script-src" not in directives and directives["object-src"] == ["'none'"]
    assert directives["style-src"] == ["'self'", "'unsafe-inline'"] and directives["frame-ancestors"] == ["'none'"]
    assert page.headers["x-frame-options"] == "DENY"


def test_answers_of_the_api(api):
    company = api.company()
    for answer in (api.get(f"/api/companies/{company['id']}"), api.get("/api/companies")):
        assert EVERYWHERE.items() <= dict(answer.headers).items()
        # the browser may keep it, to ask with its tag; nobody in between
        assert answer.headers["cache-control"] == "private, no-cache"
        again = api.client.get(answer.url.path, headers={"If-None-Match": answer.headers["etag"]})
        if again.status_code == 304:
            assert again.headers["cache-control"] == "private, no-cache" and again.headers["etag"] == answer.headers["etag"]
    made = api.request("POST", "/api/companies", json={"name": "Kept by nobody", "slug": f"nobody-{new_id()}"})
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store" and EVERYWHERE.items() <= dict(made.headers).items()
    gone = api.request("DELETE", f"/api/companies/{made.json()['id']}")
    assert gone.status_code == 204 and gone.headers["cache-control"] == "no-store"


def test_refusals(api):
    for answer in (api.get(f"/api/companies/{new_id()}"), api.get("/nothing"), api.request("POST", "/api/companies", json={}), api.request("PATCH", "/healthz")):
        check_problem(answer)
        assert answer.headers["cache-control"] == "no-store" and EVERYWHERE.items() <= dict(answer.headers).items()


def test_streams_and_exports(api):
    company = api.company()
    export = api.get("/api/analytics/calls.csv", company_id=company["id"])
    assert export.status_code == 200 and export.headers["cache-control"] == "no-store" and export.headers["x-content-type-options"] == "nosniff"
    with api.client.stream("GET", "/api/analytics/live", params={"company_id": company["id"]}, headers={"Accept": "text/event-stream"}) as live:
        assert live.status_code == 200 and live.headers["cache-control"] == "no-store" and live.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_said_twice(api):
    """A header that a page or an answer sets by itself does not come a second time."""
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/metrics", "/api/companies", "/nothing"):
        names = [name.lower() for name, _ in api.get(path).headers.multi_items()]
        assert len(names) == len(set(names)), (path, names)
