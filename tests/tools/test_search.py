"""`brave_search` and `wolfram_alpha`, against a local server that speaks their wire format."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from llama_nb.apis.messages import BuiltinTool, ToolDefinition
from llama_nb.errors import BadRequest, ConfigError
from llama_nb.tools import Result, Tool, brave_search, search, wolfram_alpha

KEY = "canary-key-1234567890"

BRAVE = {
    "query": {"original": "llamas"},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "Llama &amp; alpaca",
                "url": f"https://example.org/{number}",
                "description": "The <strong>llama</strong> is a camelid",
                "age": "1 day",
                "thumbnail": {"src": "https://imgs.example.org/x.jpg"},
            }
            for number in range(5)
        ],
    },
}
WOLFRAM = {
    "queryresult": {
        "success": True,
        "error": False,
        "datatypes": "Math",
        "pods": [
            {
                "title": "Input interpretation",
                "scanner": "Identity",
                "subpods": [{"title": "", "img": {"src": "https://x/y.gif"}, "plaintext": "100th digit | π"}],
            },
            {"title": "Result", "primary": True, "subpods": [{"title": "", "plaintext": "7"}]},
            {"title": "Plot", "subpods": [{"title": "", "img": {"src": "https://x/z.gif"}, "plaintext": ""}]},
        ],
    }
}


@dataclass
class Service:
    """A service that answers with `status`, `headers` and `body`, and remembers what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    hold: threading.Event | None = None

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, headers


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            service.asked.append((address.path, parse_qs(address.query), dict(self.headers)))
            if service.hold is not None:
                service.hold.wait(60)
            self.send_response(service.status)
            for name, value in service.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            self.wfile.write(service.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield service
    if service.hold is not None:
        service.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


MAKERS: list[Callable[..., Tool]] = [brave_search, wolfram_alpha]


def test_brave_is_asked_as_it_wants_and_answers_as_llama_stack_tells_it(service: Service, run: Any) -> None:
    service.says(BRAVE)
    result = run(brave_search(KEY, base_url=service.url), query="what's a llama & why?")
    path, query, headers = service.asked[0]
    assert (path, query) == ("/res/v1/web/search", {"q": ["what's a llama & why?"]})
    assert headers["X-Subscription-Token"] == KEY
    assert not result.failed and json.loads(result.text) == {
        "query": "what's a llama & why?",
        "top_k": [
            {
                "title": "Llama & alpaca",
                "url": f"https://example.org/{number}",
                "description": "The llama is a camelid",
            }
            for number in range(3)
        ],
    }


def test_wolfram_is_asked_as_it_wants_and_answers_as_llama_stack_tells_it(service: Service, run: Any) -> None:
    service.says(WOLFRAM)
    result = run(wolfram_alpha(KEY, base_url=service.url + "/"), query="100th decimal of pi")
    path, query, _ = service.asked[0]
    assert path == "/v2/query"
    assert query == {"input": ["100th decimal of pi"], "appid": [KEY], "output": ["json"], "format": ["plaintext"]}
    assert json.loads(result.text) == {
        "queryresult": {
            "success": True,
            "inputstring": "100th decimal of pi",
            "pods": [
                {"title": "Input interpretation", "subpods": [{"title": "", "plaintext": "100th digit | π"}]},
                {"title": "Result", "subpods": [{"title": "", "plaintext": "7"}]},
            ],
        }
    }


def test_nothing_found_is_an_answer(service: Service, run: Any) -> None:
    service.says({"type": "search"})
    assert json.loads(run(brave_search(KEY, base_url=service.url), query="x").text) == {"query": "x", "top_k": []}
    service.says({"queryresult": {"success": False, "error": False}})
    told = json.loads(run(wolfram_alpha(KEY, base_url=service.url), query="x").text)
    assert told == {"queryresult": {"success": False, "inputstring": "x", "pods": []}}


@pytest.mark.parametrize("make", MAKERS)
def test_the_model_is_told_of_a_builtin_tool(make: Callable[..., Tool]) -> None:
    made = make(KEY)
    name = make.__name__
    assert made.definition == ToolDefinition(tool_name=BuiltinTool(name)) and made.approval == "ask"
    assert made.check({"query": "x"}) == {"query": "x"}
    assert made.notice.startswith("Sends the query to api.")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("status", "body", "headers", "says"),
    [
        (401, {}, {}, "refused the key (HTTP 401); look at `"),
        (403, {}, {}, "refused the key (HTTP 403)"),
        (429, {}, {"Retry_After": "7"}, "has had too many requests (HTTP 429); try again in 7 s."),
        (429, {}, {"Retry_After": "<script>"}, "has had too many requests (HTTP 429)."),
        (500, b"Traceback", {}, "has a problem of its own (HTTP 500); try again later."),
        (503, b"", {}, "has a problem of its own (HTTP 503)"),
        (422, {}, {}, "did not take the request (HTTP 422)."),
        (302, {}, {"Location": "http://127.0.0.1:9/elsewhere"}, "did not take the request (HTTP 302)."),
        (200, b"<html>", {}, "answered with something other than JSON."),
        (200, b'{"web":', {}, "answered with something other than JSON."),
        (200, b"\xff\xfe", {}, "answered with something other than JSON."),
        (200, b"[" * 100_000, {}, "answered with something other than JSON."),
        (200, [1], {}, "answered in another form than it should."),
        (200, b"{}" + b" " * (5 << 20), {}, "sent more than 4 MiB."),
        (200, b"not gzip", {"Content_Encoding": "gzip"}, "sent an answer that cannot be read."),
    ],
)
def test_what_goes_wrong_is_one_plain_sentence(
    service: Service, run: Any, make: Callable[..., Tool], status: int, body: Any, headers: dict[str, str], says: str
) -> None:
    service.says(body, status, **headers)
    result = run(make(KEY, base_url=service.url), query="x")
    assert result.failed and says in result.text
    assert result.text.startswith(("Brave Search ", "Wolfram Alpha ")) and "\n" not in result.text
    assert KEY not in repr(result)
    assert len(service.asked) == 1


@pytest.mark.parametrize("odd", [{"web": 3}, {"web": {"results": [3, {"title": 4}, {}]}}, {"queryresult": [1]}])
@pytest.mark.parametrize("make", MAKERS)
def test_answers_of_another_form_do_no_harm(service: Service, run: Any, make: Callable[..., Tool], odd: Any) -> None:
    service.says(odd)
    assert isinstance(run(make(KEY, base_url=service.url), query="x"), Result)


@pytest.mark.parametrize("pods", [3, [3], [{"subpods": 4}], [{"subpods": [5, {"plaintext": 6}]}]])
def test_odd_pods_do_no_harm(service: Service, run: Any, pods: Any) -> None:
    service.says({"queryresult": {"success": True, "pods": pods}})
    assert json.loads(run(wolfram_alpha(KEY, base_url=service.url), query="x").text)["queryresult"]["pods"] == []


def test_an_error_that_wolfram_tells_is_told_without_the_key(service: Service, run: Any) -> None:
    service.says({"queryresult": {"success": False, "error": {"code": "1", "msg": f"Invalid appid {KEY}"}}})
    result = run(wolfram_alpha(KEY, base_url=service.url), query="x")
    assert result == Result("Wolfram Alpha says: Invalid appid ***.", failed=True)


@pytest.mark.parametrize("make", MAKERS)
def test_a_service_that_does_not_answer_is_given_up(
    service: Service, run: Any, make: Callable[..., Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.hold = threading.Event()
    monkeypatch.setattr(search, "_ANSWER_S", 0.2)
    assert run(make(KEY, base_url=service.url), query="x").text.endswith("did not answer within 0.2 s.")


@pytest.mark.parametrize("make", MAKERS)
def test_a_service_that_is_not_there_is_told_of(run: Any, make: Callable[..., Tool]) -> None:
    assert run(make(KEY, base_url="http://127.0.0.1:9"), query="x").text.endswith("could not be reached, or broke off.")


@pytest.mark.parametrize("make", MAKERS)
def test_the_key_shows_nowhere(
    service: Service, run: Any, make: Callable[..., Tool], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.says(BRAVE if make is brave_search else WOLFRAM)
    made = make(KEY, base_url=service.url)
    result = run(made, query="x")
    assert not result.failed and service.asked
    assert any("HTTP Request" in record.getMessage() for record in caplog.records)  # what httpx logs was seen
    for shown in (repr(made), str(vars(made)), repr(result), caplog.text):
        assert KEY not in shown


@pytest.mark.parametrize("make", MAKERS)
def test_the_key_may_come_from_the_environment(
    service: Service, run: Any, make: Callable[..., Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"{make.__name__.upper()}_API_KEY"
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigError, match=variable):
        make(base_url=service.url)
    monkeypatch.setenv(variable, f" {KEY}\n")
    run(make(base_url=service.url), query="x")
    assert KEY in str(service.asked[0])


@pytest.mark.parametrize("make", MAKERS)
def test_a_key_or_an_address_that_cannot_be_is_refused(make: Callable[..., Tool]) -> None:
    for key in ("a\nb", "ключ"):
        with pytest.raises(ConfigError) as refused:
            make(key)
        assert key not in str(refused.value)
    with pytest.raises(BadRequest, match="http"):
        make(KEY, base_url="file:///etc")


@pytest.mark.parametrize("number", [0, -1, "3", None, 1.5])
def test_a_number_of_results_that_is_none_is_refused(number: Any) -> None:
    with pytest.raises(BadRequest, match="top_k"):
        brave_search(KEY, top_k=number)
