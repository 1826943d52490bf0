"""What Ollama needs beside a GGUF file: a Modelfile with the chat template in its own language, worked out by trying the model's own. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Render = Callable[[Sequence[Mapping[str, str]], bool], str]
"""Lays a conversation out as text, with or without what comes before an answer."""

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Layout:
    """A chat template that puts the same words round every turn of a role.

    Attributes:
        around: From each role to what stands before and after what it says.
        answer: What stands before an answer that is to be written.
    """

    around: Mapping[str, tuple[str, str]]
    answer: str

    def laid_out(self, turns: Sequence[Mapping[str, str]]) -> str:
        """Lay out a conversation, up to where an answer begins."""
        parts = [self.around[turn["role"]][0] + turn["content"] + self.around[turn["role"]][1] for turn in turns]
        return "".join(parts) + self.answer


def layout_of(render: Render, begins_with: str = "") -> Layout | None:
    """Find out how a template lays turns out, by trying it; None when it does more than put words round them.

    Args:
        render: The template.
        begins_with: Text of the token that a program puts before every prompt itself; left out here.
    """

    def rendered(turns: Sequence[Mapping[str, str]], asks: bool = False) -> str:
        return render(turns, asks).removeprefix(begins_with)

    try:
        user, answered = rendered([_turn("user", "UUU")]), rendered([_turn("user", "UUU"), _turn("assistant", "AAA")])
        told = rendered([_turn("system", "SSS"), _turn("user", "UUU")])
        answer = rendered([_turn("user", "UUU")], True)
        if not (answered.startswith(user) and answer.startswith(user) and told.endswith(user)):
            return None
        around = {
            "user": _split(user, "UUU"), "assistant": _split(answered[len(user) :], "AAA"),
            "system": _split(told[: len(told) - len(user)], "SSS"),
        }  # fmt: skip
        layout = Layout(around, answer[len(user) :])
        proof = [_turn(role, f"{role} {number}") for number, role in enumerate((*ROLES, "user", "assistant", "user"))]
        return layout if layout.laid_out(proof) == rendered(proof, True) else None
    except ValueError:
        return None


def modelfile(file: str, layout: Layout | None, stops: Sequence[str]) -> str:
    """Return the Modelfile of Ollama.

    Args:
        file: The name of the GGUF file beside it.
        layout: How turns are laid out; without one Ollama is left to guess.
        stops: Texts that end an answer.
    """
    lines = ["# ollama create NAME -f Modelfile", f"FROM ./{file}"]
    if layout is None:
        lines.append("# The chat template in the GGUF file has no simple form; Ollama takes its own guess.")
    else:
        branches = "".join(
            f'{{{{ {"if" if not number else "else if"} eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
            for number, (role, (before, after)) in enumerate((role, layout.around[role]) for role in ROLES)
        )
        lines.append(f'TEMPLATE """{{{{ range .Messages }}}}{branches}{{{{ end }}}}{{{{ end }}}}{layout.answer}"""')
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    return "\n".join([*lines, ""])


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _split(text: str, content: str) -> tuple[str, str]:
    before, after = text.split(content)
    if '"""' in text or "{{" in text:
        raise ValueError("no text for a Modelfile")
    return before, after
