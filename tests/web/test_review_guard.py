from __future__ import annotations

import json
import uuid

import pytest
from review_made import TOKEN, Site

from eyeshot.core.errors import InputError
from eyeshot.web import open_socket


def test_the_page_and_its_parts_are_served_with_strict_headers(site: Site) -> None:
    for path in ("", "style.css", "page.js", "review.js", "view.js", "labels.js", "ask.js", "api/start", "small/0"):
        status, headers, body = site.ask("GET", f"/{TOKEN}/{path}")
        assert (status, bool(body)) == (200, True), path
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_decisions_are_never_cached_and_pictures_are(site: Site) -> None:
    assert site.ask("GET", f"/{TOKEN}/api/start")[1]["cache-control"] == "no-store"
    assert "private" in site.ask("GET", f"/{TOKEN}/small/0")[1]["cache-control"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "[::1]", "", "0.0.0.0"]
)
def test_a_wrong_host_is_refused(site: Site, host: str) -> None:
    for path in (f"/{TOKEN}/", f"/{TOKEN}/api/start", f"/{TOKEN}/small/0"):
        assert site.ask("GET", path, Host=host)[0] in (400, 403)


def test_localhost_is_the_same_machine(site: Site) -> None:
    assert site.ask("GET", f"/{TOKEN}/", Host=f"localhost:{site.port}")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/api/start", "/small/0", "/wrong/", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/", f"/{TOKEN.upper()}/", "//"]
)
def test_without_the_token_nothing_is_told(site: Site, path: str) -> None:
    status, headers, body = site.ask("GET", path)
    assert status == 403
    assert b"eyeshot review printed" in body
    assert TOKEN.encode() not in body
    assert "content-security-policy" in headers


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1", "http://localhost:1"]
)
def test_a_foreign_origin_is_refused(site: Site, origin: str) -> None:
    body = json.dumps({"press": uuid.uuid4().hex, "action": "drop", "images": [0]}).encode()
    given = {"Origin": origin, "Content_Type": "application/json"}
    assert site.ask("POST", f"/{TOKEN}/api/decide", body=body, **given)[0] == 403
    assert site.ask("GET", f"/{TOKEN}/small/0", Origin=origin)[0] == 403
    assert site.review is not None
    assert site.review.stored_count == 0


def test_a_post_without_an_origin_or_from_another_site_is_refused(site: Site) -> None:
    body = json.dumps({"press": uuid.uuid4().hex, "action": "drop", "images": [0]}).encode()
    own = f"http://{site.host}"
    assert site.ask("POST", f"/{TOKEN}/api/decide", body=body, Content_Type="application/json")[0] == 403
    given = {"Origin": own, "Content_Type": "application/json", "Sec_Fetch_Site": "cross-site"}
    assert site.ask("POST", f"/{TOKEN}/api/decide", body=body, **given)[0] == 403
    # A form of another page can send text without asking first.
    given = {"Origin": own, "Content_Type": "text/plain"}
    assert site.ask("POST", f"/{TOKEN}/api/decide", body=body, **given)[0] == 415


@pytest.mark.parametrize(
    "path",
    [
        "small/../api/start", "../", "small/..", "small/%2e%2e/0", "small/..%2f0", "small/%2Fetc%2Fpasswd",
        "small/0%00", "small//0", "%2e%2e/%2e%2e/etc/passwd", "small/..\\0", "large/%5c..",
        "style.css/../../pyproject.toml", "small/0/", "assets/review.js", "review.html", "small/cat/0.jpg",
        "small/-1", "small/+1", "small/1e0", "small/999999", "small/99999999999999999999", "small/0x0", "aligned/0",
        "aligned/0/99999", "difference/99999/0", "api/item/99999", "api/item/-1",
    ],
)  # fmt: skip
def test_paths_and_unknown_numbers_lead_nowhere(site: Site, path: str) -> None:
    status, _, body = site.ask("GET", f"/{TOKEN}/{path}")
    assert status in (400, 403, 404), (path, status)
    assert len(body) < 300


@pytest.mark.parametrize(
    "sent",
    [
        {"action": "drop", "images": [99999]}, {"action": "drop", "images": [-1]}, {"action": "drop", "images": ["0"]},
        {"action": "drop", "images": [0], "item": 99999}, {"action": "delete", "images": [0]},
        {"action": "drop", "images": [0], "path": "/etc/passwd"}, {"action": "drop", "images": [0], "press": "../x"},
        {"action": "relabel", "images": [0], "label": "x" * 201},
    ],
)  # fmt: skip
def test_presses_about_nothing_are_refused_and_not_stored(site: Site, sent: dict[str, object]) -> None:
    status, answer = site.post("decide", **sent)  # type: ignore[arg-type]
    assert status in (404, 422)
    assert answer["error"]
    assert site.review is not None
    assert site.review.stored_count == 0


def test_too_long_a_body_and_other_methods_are_refused(site: Site) -> None:
    given = {"Origin": f"http://{site.host}", "Content_Type": "application/json"}
    assert site.ask("POST", f"/{TOKEN}/api/decide", body=b" " * 70_000, **given)[0] == 413
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert site.ask(method, f"/{TOKEN}/api/decide", **given)[0] == 405
    assert site.ask("GET", f"/{TOKEN}/api/decide")[0] == 405


def test_only_this_machine_can_reach_it_and_a_taken_port_is_said() -> None:
    own = open_socket()
    assert own.getsockname()[0] == "127.0.0.1"
    with pytest.raises(InputError, match="--port"):
        open_socket(own.getsockname()[1])
    own.close()
    with pytest.raises(InputError, match="65535"):
        open_socket(70_000)
