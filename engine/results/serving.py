"""One model served to other programs of this machine: who it is, what a request may ask, and its answer piece by piece.

Requests have the form of OpenAI's chat completions. How they arrive is not known here; see `ui/serving.py`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from engine.errors import RunError, UsageError
from engine.models.generation_settings import GenerationSettings
from engine.results.seating import Asked, Seating

MOST_MESSAGES, MOST_STOPS, MOST_TOKENS, MOST_STOP_LENGTH = 200, 4, 4096, 200
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
KNOWN = {
    "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "stream", "stream_options",
}  # fmt: skip
IGNORED = {"user", "metadata", "store"}
IDLE: Mapping[str, tuple[object, ...]] = {
    "n": (1,), "logprobs": (False,), "tools": ([],), "frequency_penalty": (0,), "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
}  # fmt: skip
"""What is not supported, with the values that ask for nothing."""


@dataclass(frozen=True)
class Served:
    """What is served now.

    Attributes:
        title: What people call it, with its run.
        model: What requests call it.
        key: Drawn anew at every start.
        address: Under which programs reach it, as whoever started it has said.
    """

    run: str
    chair: str
    title: str
    model: str
    key: str
    address: str = ""


@dataclass(frozen=True)
class Order:
    """What one request asks for, checked. `counts` is whether a stream ends with how many tokens it took."""

    messages: tuple[Mapping[str, str], ...]
    settings: GenerationSettings
    stops: tuple[str, ...]
    stream: bool
    counts: bool = False


@dataclass(frozen=True)
class Said:
    """A piece of an answer.

    Attributes:
        finish_reason: Empty until the last, then "stop" or "length".
        tokens: How many were written until now, with those that are not shown: the end of the turn, and what a stop cut off.
        prompt_tokens: How many were read before.
    """

    text: str
    finish_reason: str
    tokens: int
    prompt_tokens: int


class Serving:
    """Serves one model at a time, and nothing until somebody starts it.

    Attributes:
        served: Who is served, or None.
        answered: How many requests were answered to their end since the start.
    """

    def __init__(self, seating: Seating) -> None:
        self._seating = seating
        self._turn = threading.Lock()
        self.served: Served | None = None
        self.answered = 0

    def start(self, run: str, chair: str, address: str = "") -> Served:
        """Serve a chair of a run, instead of whoever was served before.

        Raises:
            UsageError: When there is no such run or chair, or it gives no text.
        """
        found = next((one for one in self._seating.chairs(run) if one.key == chair), None)
        if found is None:
            raise UsageError(
                "there is nobody of that name to serve", found=chair[:60], next_step="Choose from the list."
            )
        if found.gives != "words":
            raise UsageError(
                "this model writes no text", found=found.gives, next_step="Choose a model that answers in words."
            )
        title, key = self._seating.full_title(run, chair), f"luthier-{secrets.token_urlsafe(24)}"
        self.served = Served(run, chair, title, f"{run}/{chair}", key, address)
        self.answered = 0
        return self.served

    def stop(self) -> None:
        """Serve nobody; an answer that is being written ends at its next token."""
        self.served = None

    def take_turn(self, seconds: float) -> bool:
        """Wait for one's turn to be answered; whoever gets it gives it back with `end_turn`."""
        return self._turn.acquire(timeout=seconds)

    def end_turn(self) -> None:
        """Let the next one be answered."""
        self._turn.release()

    def answer(self, served: Served, order: Order, stopped: Callable[[], bool]) -> Iterator[Said]:
        """Answer piece by piece; the last piece has a `finish_reason`.

        Raises:
            TuningError: When the model or the accelerator cannot be used, or serving is stopped before the answer is whole.
        """
        given, ended = "", False

        def end() -> bool:
            return ended or stopped() or self.served is not served

        asked = [Asked(served.chair, order.messages)]
        for chunk in self._seating.answers(served.run, asked, order.settings, stopped=end):
            safe, hit = before_stop(chunk.text, order.stops, whole=chunk.finished)
            if self.served is not served and not hit and chunk.finish_reason == "stopped":
                raise RunError("serving was stopped in the window before the answer was whole")
            ended = hit or chunk.finished
            reason = "" if not ended else "length" if chunk.finish_reason == "length" and not hit else "stop"
            piece = safe[len(given) :] if safe.startswith(given) else ""
            if piece or reason:
                yield Said(piece, reason, chunk.tokens, chunk.prompt_tokens)
            given += piece
            if ended:
                self.answered += not stopped() and self.served is served
                return


def before_stop(text: str, stops: tuple[str, ...], *, whole: bool) -> tuple[str, bool]:
    """Return the text before the first stop, and whether there is one; what may be a stop's beginning waits until the text is whole."""
    places = [text.find(stop) for stop in stops if stop in text]
    if places:
        return text[: min(places)], True
    if whole:
        return text, False
    held = max((size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0)
    return text[: len(text) - held], False


def order_of(body: object, model: str) -> Order:
    """Read a request's body.

    Raises:
        UsageError: With the name of the field as its place, when something is wrong or not supported.
    """
    if not isinstance(body, dict):
        raise UsageError("the body is no JSON object", expected='{"model": ..., "messages": [...]}')
    for name, value in body.items():
        if name not in KNOWN | IGNORED and value is not None and value not in IDLE.get(name, ()):
            raise UsageError("this is not supported", where=str(name)[:60], next_step="Leave it out.")
    if body.get("model") != model:
        raise UsageError("no such model is served", where="model", expected=model)
    most = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    settings = GenerationSettings(
        temperature=float(_number(body, "temperature", 1.0, 0, 2)), top_p=float(_number(body, "top_p", 1.0, 0.01, 1)),
        max_new_tokens=_whole(body, most, 256, 1, MOST_TOKENS), seed=_whole(body, "seed", secrets.randbelow(2**31), 0, 2**31 - 1),
    )  # fmt: skip
    stream = body.get("stream")
    if stream not in (None, True, False):
        raise UsageError("this is neither true nor false", where="stream")
    counts = _counts(body.get("stream_options"), stream=stream is True)
    return Order(_messages(body.get("messages")), settings, _stops(body.get("stop")), stream is True, counts)


def _counts(options: object, *, stream: bool) -> bool:
    if options is None:
        return False
    counts = options.get("include_usage") if isinstance(options, dict) else None
    if not stream or not isinstance(counts, bool):
        raise UsageError(
            "this cannot be used", where="stream_options", expected='{"include_usage": true}, and "stream": true beside it'
        )  # fmt: skip
    return counts


def _number(body: Mapping[str, object], name: str, default: float, low: float, high: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError("this value cannot be used", where=name, expected=f"a number from {low} to {high}")
    return value


def _whole(body: Mapping[str, object], name: str, default: int, low: int, high: int) -> int:
    value = _number(body, name, default, low, high)
    if value != int(value):
        raise UsageError("this value cannot be used", where=name, expected=f"a whole number from {low} to {high}")
    return int(value)


def _stops(given: object) -> tuple[str, ...]:
    stops = [] if given is None else [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(
        isinstance(stop, str) and 0 < len(stop) <= MOST_STOP_LENGTH for stop in stops
    ):  # fmt: skip
        raise UsageError("this value cannot be used", where="stop", expected=f"a text, or up to {MOST_STOPS} texts")
    return tuple(stops)


def _messages(given: object) -> tuple[Mapping[str, str], ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_MESSAGES:
        raise UsageError("these are no messages", where="messages", expected=f"a list of 1 to {MOST_MESSAGES} messages")
    messages = tuple(_message(message, f"messages[{place}]") for place, message in enumerate(given))
    if messages[-1]["role"] != "user":
        raise UsageError("the last message is no question", where="messages", expected='one with the role "user"')
    return messages


def _message(given: object, where: str) -> Mapping[str, str]:
    role = given.get("role") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(role, str) or role not in ROLES:
        raise UsageError("this is no message", where=where, expected=f"a role of {', '.join(ROLES)}, and content")
    content = given.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        for part in (parts if isinstance(parts, list) else [None])
    ]
    if given.get("tool_calls") or not all(isinstance(text, str) for text in texts):
        raise UsageError("only text can be answered", where=where, next_step="Leave images, sound and tools out.")
    return {"role": ROLES[role], "content": "".join(str(text) for text in texts)}
