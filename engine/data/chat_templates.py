"""A model's chat template at work: a conversation as its text, and where its answers lie when the template marks them.

Templates are rendered by transformers in its sandbox; data is only ever an argument of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.data.conversions import Message
from engine.data.tokenization import Span
from engine.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GENERATION_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")
_ONE_RENDERING = threading.Lock()
"""A compiled template keeps its marks in itself: two threads at once end in "AssistantTracker should not be reused before closed"
(transformers 5.23)."""


def marks_answers(template: str) -> bool:
    """Return whether a template marks answers with `{% generation %}`."""
    return _GENERATION_MARK.search(template) is not None


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, opening: bool, place: str) -> str:
    """Return a conversation as the model's template writes it, with the opening of an answer at its end when asked.

    Raises:
        DataError: When the template refuses it.
    """
    from jinja2 import TemplateError  # noqa: PLC0415  (comes with transformers, and only templates need it)

    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=opening)
    except (TemplateError, TypeError) as error:
        raise _refused(messages, error, place) from error
    return str(text)


def render_marked(
    tokenizer: PreTrainedTokenizerBase, template: str, messages: Sequence[Message], place: str
) -> tuple[str, list[Span]]:
    """Return the text, and the characters of each answer, by a template that marks them.

    Raises:
        DataError: When the template refuses it.
    """
    # `apply_chat_template` tells tokens, not characters; this is the function that it calls, in transformers 5.23
    from jinja2 import TemplateError  # noqa: PLC0415
    from transformers.utils.chat_template_utils import render_jinja_template  # noqa: PLC0415

    try:
        variables: dict[str, Any] = dict(tokenizer.special_tokens_map)
        marked = {"chat_template": template, "return_assistant_tokens_mask": True, **variables}
        with _ONE_RENDERING:
            rendered: Any = render_jinja_template([list(messages)], **marked)
    except (TemplateError, TypeError) as error:
        raise _refused(messages, error, place) from error
    texts, spans = rendered  # the function's annotation says str
    return texts[0], [(start, end) for start, end in spans[0]]


def _refused(messages: Sequence[Message], error: Exception, place: str) -> DataError:
    roles = ", ".join(turn["role"] for turn in messages[:8])
    system = "system" in str(error).lower() and any(turn["role"] == "system" for turn in messages)
    return DataError(
        "the model's chat template refuses this conversation",
        where=place,
        found=f"the turns {roles}; the template says: {str(error)[:200]}",
        expected="user and assistant turns by turns" + (", without a system turn" if system else ""),
        next_step="Move the system text into the first user turn, or choose another model."
        if system
        else "Mend the row, or choose another model.",
    )
