"""How an answer is drawn; apart from the code that draws it, so that screens can name it without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GenerationSettings:
    """The same for every model that is compared. Temperature 0 always takes the likeliest token."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 256
    seed: int = 0
    repetition_penalty: float = 1.0
