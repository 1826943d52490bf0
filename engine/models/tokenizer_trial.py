"""Trying an unknown tokenizer and chat template in a process of their own, which can be ended.

A pattern such as `(a+)+$` in tokenizer.json, or loops inside loops in a chat template, would hang this process for good:
neither library knows a limit. It says nothing of whether the tokenizer is any good; loading it does.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from engine.errors import ModelError

CPU_SECONDS = 30
"""The largest tokenizers in use (250,000 words) take about two."""
WALL_SECONDS = 180
MEMORY_BYTES = 8 * 2**30

PROGRAM = f"""
import json, pathlib, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({CPU_SECONDS}, {CPU_SECONDS}))
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
except ImportError:  # Windows: the wall clock alone
    pass
folder = pathlib.Path(sys.argv[1])
words = "Hello, how are you? " + "a" * 64 + "!" + " " * 64 + "\\n1234567890 x = (y + z) * 2; \\u00e9\\u4e2d\\u6587\\U0001f600"
from tokenizers import Tokenizer
if (folder / "tokenizer.json").is_file():
    Tokenizer.from_file(str(folder / "tokenizer.json")).encode(words * 4)
settings = folder / "tokenizer_config.json"
template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.is_file() else None
if (folder / "chat_template.jinja").is_file():
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
from transformers.utils.chat_template_utils import render_jinja_template
templates = [row["template"] for row in template] if isinstance(template, list) else [template] if template else []
talk = [{{"role": "user", "content": words}}, {{"role": "assistant", "content": words}}, {{"role": "user", "content": "?"}}]
for template in templates:
    render_jinja_template([talk], chat_template=template, add_generation_prompt=True)
"""


def try_tokenizer(folder: Path) -> None:
    """Make sure that a folder's tokenizer and chat template come to an end; a second of work, done once a folder.

    Raises:
        ModelError: When they do not.
    """
    files = (folder / name for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"))
    _try(folder, tuple(file.stat().st_mtime_ns for file in files if file.is_file()))


@lru_cache(maxsize=64)
def _try(folder: Path, changed: tuple[int, ...]) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _endless(folder) from None
    if done.returncode < 0:  # ended by a signal, as the limits do; an ordinary error is told by the real load
        raise _endless(folder)


def _endless(folder: Path) -> ModelError:
    return ModelError(
        "the tokenizer or the chat template does not come to an end",
        where=str(folder),
        expected=f"an ordinary sentence within {CPU_SECONDS} seconds",
        next_step="Choose another model; do not trust this one.",
    )
