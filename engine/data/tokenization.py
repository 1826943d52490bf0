"""From a laid-out text to token ids, with full control over what may become a special token.

Knows pieces, offsets and the guard round tokenizers that panic. Does not know rows or templates (chat_format.py does).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span: TypeAlias = tuple[int, int]
"""From and up to a character."""


@dataclass(frozen=True)
class Layout:
    """A text before it becomes tokens.

    Attributes:
        trained: The characters that carry loss.
        literal: People's texts that spell a special token, to be encoded as plain text.
        cuts: Places across which no token may reach.
        joints: Places at which an answer begins without a special token before it, so that a token might reach across.
        leading: Whether the tokenizer's own first tokens (such as <s>) are put in front.
        raw: Whether no chat template was used.
    """

    text: str
    trained: tuple[Span, ...] = ()
    literal: tuple[Span, ...] = ()
    cuts: tuple[int, ...] = ()
    joints: tuple[int, ...] = ()
    leading: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Encoded:
    """Token ids, the characters each stands for, and whether it carries loss; all of one length.

    Attributes:
        leading: How many tokens in front the tokenizer added itself; they stand for no character.
    """

    token_ids: list[int]
    spans: list[Span]
    trained: list[bool]
    leading: int = 0


@contextmanager
def tokenizer_guard() -> Iterator[None]:
    """Turn a panic inside the tokenizers library, a BaseException that `except Exception` misses, into a ModelError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ModelError(
            "the model's tokenizer broke down",
            found=str(error)[:200],
            next_step="Choose another model; this one's tokenizer files are damaged.",
        ) from error


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """A pattern that matches every special token's text, the longest first; it never matches when there are none."""
    texts = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special and token.content}
    return re.compile("|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)) or "(?!)")


def leading_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The special tokens that the tokenizer puts before every text, such as <s>."""
    with_special: list[int] = tokenizer("a")["input_ids"]
    plain: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    return with_special[: with_special.index(plain[0])] if plain and plain[0] in with_special else []


def encode(layouts: Sequence[Layout], tokenizer: PreTrainedTokenizerBase) -> list[Encoded]:
    """Encode texts together, which is several times faster than one by one.

    At a joint that is encoded otherwise when the text ends there, as it does when the model is asked, a cut is put.
    """
    with tokenizer_guard():
        leading = leading_token_ids(tokenizer) if any(layout.leading for layout in layouts) else []
        encoded = _encode_pieces(layouts, tokenizer)
        cut = _with_needed_cuts(layouts, [ids for ids, _ in encoded], tokenizer)
        for index, better in zip(cut, _encode_pieces(list(cut.values()), tokenizer), strict=True):
            encoded[index] = better
    return [_finished(layout, ids, spans, leading) for layout, (ids, spans) in zip(layouts, encoded, strict=True)]


def text_token_ids(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens of a plain text that a model is to go on with, as such texts are trained on but without an end."""
    return encode([Layout(text, leading=True, raw=True)], tokenizer)[0].token_ids


def _with_needed_cuts(
    layouts: Sequence[Layout], encoded: Sequence[list[int]], tokenizer: PreTrainedTokenizerBase
) -> dict[int, Layout]:
    """Return the layouts, by their index, in which a token would reach across a joint, with cuts there."""
    joints = [(index, joint) for index, layout in enumerate(layouts) for joint in layout.joints]
    prompts = [_up_to(layouts[index], joint) for index, joint in joints]
    cut: dict[int, Layout] = {}
    for (index, joint), (ids, _) in zip(joints, _encode_pieces(prompts, tokenizer), strict=True):
        if encoded[index][: len(ids)] != ids:
            layout = cut.get(index, layouts[index])
            cut[index] = replace(layout, cuts=(*layout.cuts, joint))
    return cut


def _up_to(layout: Layout, end: int) -> Layout:
    return Layout(layout.text[:end], literal=tuple(span for span in layout.literal if span[1] <= end), cuts=layout.cuts)


def _finished(layout: Layout, ids: list[int], spans: list[Span], leading: list[int]) -> Encoded:
    front = leading if layout.leading else []
    trained = [False] * len(front) + [any(start <= at < end for start, end in layout.trained) for at, _ in spans]
    return Encoded(front + ids, [(0, 0)] * len(front) + spans, trained, len(front))


def _pieces(layout: Layout, every_start_is_cut: bool) -> list[tuple[Span, bool]]:
    """Cut a text; each piece with whether it must be read as plain text."""
    cuts = {0, len(layout.text), *layout.cuts, *(place for span in layout.literal for place in span)}
    if every_start_is_cut:
        cuts |= {place for span in layout.trained for place in span}
    places = sorted(cut for cut in cuts if 0 <= cut <= len(layout.text))
    literal = set(layout.literal)
    return [(span, span in literal) for span in pairwise(places)]


def _encode_pieces(layouts: Sequence[Layout], tokenizer: PreTrainedTokenizerBase) -> list[tuple[list[int], list[Span]]]:
    fast = bool(tokenizer.is_fast)
    pieces = [_pieces(layout, every_start_is_cut=not fast) for layout in layouts]
    results: dict[tuple[int, Span], tuple[list[int], list[Span]]] = {}
    for plain in (False, True):
        wanted = [(index, span) for index, parts in enumerate(pieces) for span, literal in parts if literal is plain]
        if wanted:
            texts = [layouts[index].text[start:end] for index, (start, end) in wanted]
            results.update(zip(wanted, _encode_texts(texts, tokenizer, plain, fast), strict=True))
    joined: list[tuple[list[int], list[Span]]] = []
    for index, parts in enumerate(pieces):
        ids: list[int] = []
        spans: list[Span] = []
        for (start, end), _ in parts:
            piece_ids, offsets = results[index, (start, end)]
            ids += piece_ids
            spans += [(start + first, start + last) for first, last in offsets]
        joined.append((ids, spans))
    return joined


def _encode_texts(
    texts: list[str], tokenizer: PreTrainedTokenizerBase, plain: bool, fast: bool
) -> list[tuple[list[int], list[Span]]]:
    output = tokenizer(
        texts,
        add_special_tokens=False,
        split_special_tokens=plain,
        return_attention_mask=False,
        return_offsets_mapping=fast,
        verbose=False,
    )
    ids: list[list[int]] = output["input_ids"]
    if fast:
        return [(found, _without_gaps(offsets)) for found, offsets in zip(ids, output["offset_mapping"], strict=True)]
    # a tokenizer in Python tells no offsets: every token stands for its whole piece
    return [(found, [(0, len(text))] * len(found)) for text, found in zip(texts, ids, strict=True)]


def _without_gaps(offsets: Sequence[Span]) -> list[Span]:
    """Give back the spaces that some tokenizers leave out of the offsets of the token that holds them."""
    spans: list[Span] = []
    reached = 0
    for start, end in offsets:
        spans.append((min(start, reached), max(end, min(start, reached))))
        reached = max(reached, start, end)
    return spans
