"""Llama's two built-in tools that ask a service: `brave_search` and `wolfram_alpha`.

A key comes from the environment or an argument. It goes to the service, and nowhere else: not into an error, a result,
a `repr`, nor the log, where httpx would write it as part of an address. Redirects are not followed.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from llama_nb.apis.messages import BuiltinTool
from llama_nb.errors import BadRequest, ConfigError
from llama_nb.tools.definition import TIMEOUT_S, Approval, Tool, builtin_tool
from llama_nb.tools.events import Result
from llama_nb.tools.results import bounded
from llama_nb.tools.running import Progress

if TYPE_CHECKING:
    import httpx

BRAVE_URL = "https://api.search.brave.com"
WOLFRAM_URL = "https://api.wolframalpha.com"
TOP_K = 3

_MAX_ANSWER = 4 << 20  # bytes
_ANSWER_S = 20.0  # from one sign of life to the next
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class _Service:
    name: str
    url: str
    variable: str  # of the environment
    key_in: Literal["header", "query"]
    key_name: str
    key: str = field(repr=False)


def brave_search(
    api_key: str | None = None,
    *,
    base_url: str = BRAVE_URL,
    top_k: int = TOP_K,
    approval: Approval = "ask",
    timeout_s: float = TIMEOUT_S,
) -> Tool:
    """The web, searched by Brave: the `top_k` first results with title, address and description.

    The key is `api_key`, or else `BRAVE_SEARCH_API_KEY` of the environment.

    Raises:
        ConfigError: there is no key.
        BadRequest: `top_k` is no number of results.
    """
    if not isinstance(top_k, int) or top_k < 1:
        raise BadRequest(f"top_k is {top_k!r}; give a whole number, 1 or more.")
    key = _key(api_key, "brave_search", "BRAVE_SEARCH_API_KEY")
    service = _Service(
        "Brave Search", _checked(base_url), "BRAVE_SEARCH_API_KEY", "header", "X-Subscription-Token", key
    )

    async def search(arguments: dict[str, Any], progress: Progress) -> Result:
        query = arguments["query"]
        answer = await _asked(service, "/res/v1/web/search", {"q": query})
        return answer if isinstance(answer, Result) else _brave_result(query, answer, top_k)

    return _tool(BuiltinTool.brave_search, search, service, approval, timeout_s)


def wolfram_alpha(
    api_key: str | None = None,
    *,
    base_url: str = WOLFRAM_URL,
    approval: Approval = "ask",
    timeout_s: float = TIMEOUT_S,
) -> Tool:
    """Answers computed by Wolfram Alpha: the text of its pods.

    The key is `api_key`, or else `WOLFRAM_ALPHA_API_KEY` of the environment.

    Raises:
        ConfigError: there is no key.
    """
    key = _key(api_key, "wolfram_alpha", "WOLFRAM_ALPHA_API_KEY")
    service = _Service("Wolfram Alpha", _checked(base_url), "WOLFRAM_ALPHA_API_KEY", "query", "appid", key)

    async def compute(arguments: dict[str, Any], progress: Progress) -> Result:
        query = arguments["query"]
        wanted = {"input": query, "format": "plaintext", "output": "json"}
        answer = await _asked(service, "/v2/query", wanted)
        return answer if isinstance(answer, Result) else _wolfram_result(query, answer, service)

    return _tool(BuiltinTool.wolfram_alpha, compute, service, approval, timeout_s)


def _tool(name: BuiltinTool, action: Any, service: _Service, approval: Approval, timeout_s: float) -> Tool:
    notice = f"Sends the query to {urlsplit(service.url).hostname}."
    return builtin_tool(name, action, approval, timeout_s, notice=notice, in_loop=True)


def _key(given: str | None, tool: str, variable: str) -> str:
    key = (given if given is not None else os.environ.get(variable, "")).strip()
    if not key:
        raise ConfigError(f"`{tool}` needs a key: set `{variable}` in the environment, or give `{tool}(api_key=…)`.")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"The key of `{tool}` holds characters that no key has; look at `{variable}` again.")
    return key


def _checked(base_url: str) -> str:
    if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
        raise BadRequest(f"base_url must be an http(s) address; it is {base_url!r}.")
    return base_url.rstrip("/")


# --- The wire ---------------------------------------------------------------------------------------------------------


async def _asked(service: _Service, path: str, wanted: Mapping[str, str]) -> dict[str, Any] | Result:
    """The service's answer, or a failed result that says what went wrong."""
    import httpx

    try:
        async with (
            httpx.AsyncClient(transport=_with_key(service), timeout=_ANSWER_S) as client,
            client.stream(
                "GET", service.url + path, params=dict(wanted), headers={"Accept": "application/json"}
            ) as response,
        ):
            if response.status_code != 200:
                return _failed(service, _refusal(service, response))
            return _parsed(service, await _bounded(response))
    except httpx.TimeoutException:
        return _failed(service, f"did not answer within {_ANSWER_S:g} s")
    except httpx.TransportError:
        return _failed(service, "could not be reached, or broke off")
    except (httpx.HTTPError, httpx.InvalidURL):
        return _failed(service, "sent an answer that cannot be read")


def _with_key(service: _Service) -> httpx.AsyncBaseTransport:
    """A transport that adds the key on the way out, below the place where httpx logs what it asks for."""
    import httpx

    class WithKey(httpx.AsyncBaseTransport):
        def __init__(self) -> None:
            self.wire = httpx.AsyncHTTPTransport(proxy=_proxy(service.url))

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            url, headers = request.url, request.headers.copy()
            if service.key_in == "header":
                headers[service.key_name] = service.key
            else:
                url = url.copy_add_param(service.key_name, service.key)
            sent = httpx.Request(request.method, url, headers=headers, extensions=request.extensions)
            return await self.wire.handle_async_request(sent)

        async def aclose(self) -> None:
            await self.wire.aclose()

    return WithKey()


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for `url`."""
    address = urlsplit(url)
    proxies = getproxies()
    if proxy_bypass(address.hostname or ""):
        return None
    return proxies.get(address.scheme) or proxies.get("all")


async def _bounded(response: httpx.Response) -> bytes | None:
    """The body; None for one that is too large."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MAX_ANSWER:
            return None
    return bytes(body)


def _parsed(service: _Service, body: bytes | None) -> dict[str, Any] | Result:
    if body is None:
        return _failed(service, f"sent more than {_MAX_ANSWER >> 20} MiB")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return _failed(service, "answered with something other than JSON")
    if not isinstance(answer, dict):
        return _failed(service, "answered in another form than it should")
    return answer


def _refusal(service: _Service, response: httpx.Response) -> str:
    status = response.status_code
    if status in (401, 403):
        return f"refused the key (HTTP {status}); look at `{service.variable}`"
    if status == 429:
        wait = response.headers.get("Retry-After", "")
        return "has had too many requests (HTTP 429)" + (f"; try again in {wait} s" if wait.isdigit() else "")
    if status >= 500:
        return f"has a problem of its own (HTTP {status}); try again later"
    return f"did not take the request (HTTP {status})"


def _failed(service: _Service, what: str) -> Result:
    return Result(f"{service.name} {what}.", failed=True)


# --- What the model reads: Llama Stack's forms ------------------------------------------------------------------------


def _brave_result(query: str, answer: dict[str, Any], top_k: int) -> Result:
    web = answer.get("web")
    found = web.get("results") if isinstance(web, dict) else None
    results = [_brave_item(item) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    told = {"query": query, "top_k": [item for item in results if item][:top_k]}
    return bounded(Result(json.dumps(told, ensure_ascii=False)))


def _brave_item(item: dict[str, Any]) -> dict[str, str]:
    return {
        name: html.unescape(_TAG.sub("", item[name]))  # Brave marks the words it found with tags
        for name in ("title", "url", "description")
        if isinstance(item.get(name), str)
    }


def _wolfram_result(query: str, answer: dict[str, Any], service: _Service) -> Result:
    told = answer.get("queryresult")
    if not isinstance(told, dict):
        return _failed(service, "answered in another form than it should")
    error = told.get("error")
    if isinstance(error, dict):
        says = str(error.get("msg", "an error")).replace(service.key, "***")
        return _failed(service, f"says: {says[:200]}")
    pods = told.get("pods")
    kept = [_pod(pod) for pod in pods if isinstance(pod, dict)] if isinstance(pods, list) else []
    shown = {
        "success": bool(told.get("success")),
        "inputstring": query,
        "pods": [pod for pod in kept if pod["subpods"]],
    }
    return bounded(Result(json.dumps({"queryresult": shown}, ensure_ascii=False)))


def _pod(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod's texts; its pictures, and what it says of itself, are nothing to read."""
    subpods = pod.get("subpods")
    texts = [
        {"title": str(subpod.get("title", "")), "plaintext": subpod["plaintext"]}
        for subpod in (subpods if isinstance(subpods, list) else [])
        if isinstance(subpod, dict) and isinstance(subpod.get("plaintext"), str) and subpod["plaintext"]
    ]
    return {"title": str(pod.get("title", "")), "subpods": texts}
