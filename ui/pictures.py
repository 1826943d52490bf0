"""A small picture of a model, from the text to its answer, in which the parts that a technique trains are marked. Pure.

What moves is told three ways: by colour, by hatching and a thicker line, and in words beside the picture. Parts that a
technique adds are drawn only where it adds them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ui.markup import text

MIDDLE, BOX_HEIGHT, GAP, SQUARE = 108, 44, 14, 13
BOTTOM = 172
ROOM_ABOVE = {True: 22, False: 72}
"""Where a block begins: higher up when something stands over its boxes."""

NAMES: Mapping[str, tuple[str, int]] = {
    "embedding": ("Embedding", 82),
    "norm": ("Norm", 48),
    "attention": ("Attention", 88),
    "after attention": ("Small layer", 82),
    "mlp": ("MLP", 88),
    "after mlp": ("Small layer", 82),
    "head": ("Head", 58),
}
"""The boxes in a row: what is written in them and how wide they are."""

_BLOCK = ("norm", "attention", "after attention", "norm", "mlp", "after mlp")
_ADDED = frozenset({"after attention", "after mlp"})


@dataclass
class _Drawing:
    """What is drawn so far, and where the next thing goes."""

    moving: Collection[str]
    x: int = 1
    body: str = ""

    def line_to(self, x: int) -> None:
        """Draw the way from one box to the next."""
        self.body += f'<path class="way-on" d="M{self.x} {MIDDLE}H{x}"/>'
        self.x = x

    def box(self, part: str) -> tuple[int, int]:
        """Draw the box of a part and return where it begins and ends."""
        name, width = NAMES[part]
        left, top = self.x, MIDDLE - BOX_HEIGHT // 2
        moves = part in self.moving
        self.body += f'<rect class="{"moves" if moves else "stays"}" x="{left}" y="{top}" width="{width}" height="{BOX_HEIGHT}" rx="7"/>'
        if moves:
            self.body += f'<rect class="hatched" x="{left + 5}" y="{top + BOX_HEIGHT - 13}" width="{width - 10}" height="8" rx="3"/>'
        rises = 2 if moves else -4
        self.body += _words(left + width // 2, MIDDLE - rises, name, moves)
        self.x = left + width
        return left, self.x


def model_picture(moving: Collection[str], *, meaning: str, layers: int, gives: str, quantised: bool) -> str:
    """Return the picture as SVG.

    Args:
        moving: The parts that are trained, by their keys.
        meaning: What it shows, in words, for those who do not see it.
        layers: Blocks of the model; 0 when unknown.
        gives: What comes out of the head, in a word or two.
        quantised: Whether the model's own numbers are kept in 4 bits.
    """
    drawing = _Drawing(moving)
    _text_squares(drawing)
    drawing.line_to(drawing.x + GAP)
    drawing.box("embedding")
    _block(drawing, layers, quantised)
    drawing.line_to(drawing.x + GAP + 12)
    drawing.box("head")
    drawing.line_to(drawing.x + GAP)
    drawing.body += f'<text class="gives" x="{drawing.x + 4}" y="{MIDDLE + 4}">{text(gives)}</text>'
    width, top = drawing.x + 12 + 7 * len(gives), _top(moving) - 2
    return (
        f'<svg class="model-picture" viewBox="0 {top} {width} {BOTTOM - top}" width="{width}" height="{BOTTOM - top}" role="img" aria-label="{text(meaning)}">'
        '<defs><pattern id="trained-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="6" height="6"/><path d="M0 0V6"/></pattern></defs>{drawing.body}</svg>'
    )


def _top(moving: Collection[str]) -> int:
    return ROOM_ABOVE[any(part == "prefix" or part.startswith("beside ") for part in moving)]


def _words(x: int, y: int, words: str, moves: bool) -> str:
    return f'<text class="{"moving-name" if moves else ""}" x="{x}" y="{y}" text-anchor="middle">{text(words)}</text>'


def _squares(x: int, number: int, classes: str) -> str:
    top = MIDDLE - SQUARE // 2
    return "".join(
        f'<rect class="{classes}" x="{x + place * (SQUARE + 3)}" y="{top}" width="{SQUARE}" height="{SQUARE}" rx="3"/>'
        for place in range(number)
    )


def _text_squares(drawing: _Drawing) -> None:
    """Draw the tokens of the text, and before them those that are trained."""
    wide = 3 * (SQUARE + 3)
    if "input" in drawing.moving:
        drawing.x += 10  # the name is wider than the squares
        drawing.body += _squares(drawing.x, 3, "hatched small")
        drawing.body += _words(drawing.x + wide // 2, MIDDLE - 18, "virtual", True)
        drawing.body += _words(drawing.x + wide // 2, MIDDLE + 26, "tokens", True)
        drawing.x += wide + 8
    drawing.body += _squares(drawing.x, 3, "stays")
    drawing.body += _words(drawing.x + wide // 2 - 1, MIDDLE + 26, "text", False)
    drawing.x += wide


def _block(drawing: _Drawing, layers: int, quantised: bool) -> None:
    """Draw one block with what a technique puts into it, in a frame that says how many there are."""
    drawing.line_to(drawing.x + GAP)
    begins = drawing.x
    for part in _BLOCK:
        if part in _ADDED and part not in drawing.moving:
            continue
        drawing.line_to(drawing.x + GAP)
        left, right = drawing.box(part)
        if f"beside {part}" in drawing.moving:
            drawing.body += _beside(left, right)
        if part == "attention" and "prefix" in drawing.moving:
            drawing.body += _prefix(left, right)
    drawing.line_to(drawing.x + GAP)
    says = f"one of {layers} blocks, all alike" if layers else "a block; the model has many alike"
    says += " · kept in 4 bits" if quantised else ""
    top = _top(drawing.moving)
    drawing.body += (
        f'<rect class="block {"coarse" if quantised else ""}" x="{begins}" y="{top}" width="{drawing.x - begins}" height="{148 - top}" rx="10"/>'
        f'<text x="{begins + 2}" y="165">{text(says)}</text>'
    )


def _beside(left: int, right: int) -> str:
    """Draw two small matrices over a box: wide, narrow, wide again."""
    middle, top, bottom = (left + right) // 2, 46, 68
    return (
        f'<path class="aside" d="M{left - 7} {MIDDLE}V57H{middle - 28}M{middle + 28} 57H{right + 7}V{MIDDLE}"/>'
        f'<path class="hatched small" d="M{middle - 26} {top}L{middle} {top + 7}L{middle + 26} {top}V{bottom}L{middle} {bottom - 7}L{middle - 26} {bottom}Z"/>'
        + _words(middle, 38, "small matrices", True)
    )


def _prefix(left: int, right: int) -> str:
    """Draw keys and values that attention sees before those of the text."""
    middle = (left + right) // 2
    stack = "".join(
        f'<rect class="hatched small" x="{middle - 30 + place * 16}" y="52" width="{SQUARE}" height="{SQUARE}" rx="3"/>'
        for place in range(4)
    )
    return f'<path class="aside" d="M{middle} 65V{MIDDLE - BOX_HEIGHT // 2}"/>{stack}{_words(middle, 43, "trained prefix", True)}'
