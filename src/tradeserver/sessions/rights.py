"""Ask a venue what a key may do, over REST: its clock first, then the question. One try; the caller repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tradeserver.net.http import HttpClient, NoAnswerError, NotSentError
from tradeserver.venues.base import Credentials, HttpRequest, KeyRights
from tradeserver.venues.registry import RIGHTS

TOO_MANY: Final = (403, 418, 429)
SILENCE_S: Final = 30.0
"""After one of these without a `Retry-After`: KuCoin's window."""


class NoRightsError(Exception):
    """The venue has not said. `refused`: it does not accept the key at all, so nothing can be done with it either.
    `silence_s`: how long it wants not to be asked (429, 418).
    """

    def __init__(self, reason: str, refused: bool = False, silence_s: float = 0.0) -> None:
        super().__init__(reason)
        self.refused = refused
        self.silence_s = silence_s


async def key_rights(venue: str, settings: Any, credentials: Credentials, timeout_s: float) -> KeyRights:
    """What the key may do. Raises NoRightsError, ValueError (a secret that is no key)."""
    client = HttpClient()
    timeout_ns = int(timeout_s * 1e9)
    module = RIGHTS[venue]

    async def get(request: HttpRequest) -> bytes:
        status, headers, body = await client.request(
            request.method, request.url, request.headers, request.body, timeout_ns
        )
        if status != 200:
            wanted = _silence_s(headers) if status in TOO_MANY else 0.0
            raise NoRightsError(f"{request.label} answered HTTP {status}", module.refuses_key(body), wanted)
        return body

    try:
        clock = await get(module.clock(settings))
        try:
            venue_ms = module.read_clock(clock)
        except ValueError:
            raise NoRightsError("the answer about its clock cannot be read") from None
        body = await get(module.ask(settings, credentials, venue_ms))
    except (NotSentError, NoAnswerError) as error:
        raise NoRightsError(str(error)) from None
    finally:
        await client.close()
    try:
        return module.read(body)
    except ValueError:  # the body is not repeated: it names the key
        raise NoRightsError("the answer about the key cannot be read", refused=module.refuses_key(body)) from None


def _silence_s(headers: Mapping[str, str]) -> float:
    """{"retry-after": "5"} -> 5.0."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else SILENCE_S
