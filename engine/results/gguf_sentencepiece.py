"""SentencePiece's pairs as llama.cpp cuts with them: scores in place of a list of pairs, and the cutting itself, to try them. Pure; no torch.

llama.cpp joins the two neighbours that make the token of the highest score, the leftmost first; tokenizer.json joins by a list of pairs.
The two are the same where the list holds every way to make each token, as lists made from SentencePiece's models do. That is checked.

Source: src/llama-vocab.cpp of llama.cpp, `llm_tokenizer_spm_session` and `llama_vocab::impl::tokenize`.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.results.gguf_tokenizer_kinds import SPACE

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Kinds of tokens, in the numbers of GGUF."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class Pieces:
    """What llama.cpp cuts with.

    Attributes:
        tokens: By their numbers.
        scores: Of each, the highest is joined first.
        types: The kind of each.
        adds_space: Whether a space is put before a text, and after every token that is no text.
    """

    tokens: tuple[str, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]
    adds_space: bool

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """From each token to its number."""
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def marks(self) -> re.Pattern[str]:
        """Find the tokens that are never cut, the longest first."""
        kept = [
            token
            for token, kind in zip(self.tokens, self.types, strict=True)
            if kind in (UNKNOWN, CONTROL, USER_DEFINED)
        ]
        return re.compile("(" + "|".join(map(re.escape, sorted(kept, key=len, reverse=True))) + ")")

    def cut(self, text: str) -> list[int]:
        """Cut a text as llama.cpp does, without the token that begins it."""
        found: list[int] = []
        after_mark = True
        for position, part in enumerate(self.marks.split(text)):
            if position % 2:
                found.append(self.numbers[part])
                after_mark = True
            elif part:
                spaced = (" " if self.adds_space and after_mark else "") + part
                found += self._cut_plain(spaced.replace(" ", SPACE))
                after_mark = False
        return found

    def _cut_plain(self, text: str) -> list[int]:
        parts, queue = list(text), list[tuple[float, int, int, str]]()
        left, right = [*range(-1, len(parts) - 1)], [*range(1, len(parts)), -1]

        def offer(first: int, second: int) -> None:
            joined = parts[first] + parts[second] if min(first, second) >= 0 else ""
            if joined in self.numbers:
                heapq.heappush(queue, (-self.scores[self.numbers[joined]], first, second, joined))

        for place in range(1, len(parts)):
            offer(place - 1, place)
        while queue:
            _, first, second, joined = heapq.heappop(queue)
            if (
                not parts[first]
                or not parts[second]
                or parts[first] + parts[second] != joined
                or right[first] != second
            ):
                continue
            parts[first], parts[second] = joined, ""
            right[first] = right[second]
            if right[first] >= 0:
                left[right[first]] = first
            offer(left[first], first)
            offer(first, right[first])
        return [number for part in parts if part for number in self._numbers_of(part)]

    def _numbers_of(self, part: str) -> list[int]:
        if part in self.numbers:
            return [self.numbers[part]]
        return [self.numbers[f"<0x{byte:02X}>"] for byte in part.encode()]


def scores_of(tokens: Sequence[str], types: Sequence[int], merges: Sequence[tuple[str, str]]) -> tuple[float, ...]:
    """Return the score of each token: the earlier it is made, the higher.

    Args:
        tokens: By their numbers.
        types: The kind of each.
        merges: Pairs that become one, the first first.

    Raises:
        ValueError: When the pairs cannot be told by scores.
    """
    places: dict[str, int] = {}
    for first, second in merges:
        places.setdefault(first + second, len(places))
    plain = {token for token, kind in zip(tokens, types, strict=True) if kind == NORMAL}
    known = set(merges)
    if not known.issuperset(_possible(plain)):
        raise ValueError("a SentencePiece whose list of pairs does not hold every way to make its tokens")
    lowest = float(len(places))
    return tuple(-float(places.get(token, lowest)) for token in tokens)


def _possible(plain: set[str]) -> Iterable[tuple[str, str]]:
    for token in plain:
        for cut in range(1, len(token)):
            if token[:cut] in plain and token[cut:] in plain:
                yield token[:cut], token[cut:]


def kind_of_token(token: str, added: bool | None, unknown: str | None) -> int:
    """Return the kind of a token.

    Args:
        token: Its text.
        added: Whether it is special, of one that was added to the vocabulary; None of others.
        unknown: The token for what has none.
    """
    if token == unknown:
        return UNKNOWN
    if _BYTE.fullmatch(token):
        return BYTE
    if added:
        return CONTROL
    return NORMAL if added is None or SPACE in token else USER_DEFINED  # a mark for spaces never stands in typed text
