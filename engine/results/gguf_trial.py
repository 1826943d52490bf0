"""A GGUF file asked in llama.cpp itself, through the package llama-cpp-python where that is installed.

llama.cpp works in a process of its own, which can be ended, and whose fall does not take ours with it. It gets the texts and the tokens of
the prompts, and answers until it finds itself that an answer ends. Knows nothing of how the file was written.
"""

from __future__ import annotations

import json
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from engine.results.export import LlamaCppTrip
from engine.results.other_programs import run_program
from engine.results.round_trip import MOST_NEW_TOKENS, Probes, Stopped, Witness

PACKAGE = "llama_cpp"
NOT_INSTALLED = "the package llama-cpp-python is not installed where it was written"
WALL_SECONDS = 900
"""For all prompts together; transformers, which is asked before, is slower."""

BOUND = frozenset({"F32", "F16", "Q8_0"})
"""Kinds of numbers so fine that llama.cpp has to load them and answer alike; what it says of others is told only."""

LEAST = 0.7
"""Share of the answers that must be alike, where the kind asks for no less: llama.cpp keeps attention's keys in 16 bits and rounds between layers."""

NO_FAULT_OF_THE_FILE = (-signal.SIGILL, -signal.SIGKILL) if sys.platform != "win32" else ()
"""How a process ends that was built for another processor, or that the system had no memory for."""

PROGRAM = """
import json, sys
import llama_cpp
is_end, vocabulary_of = llama_cpp.llama_vocab_is_eog, llama_cpp.llama_model_get_vocab
print("llama-cpp-python " + llama_cpp.__version__, flush=True)
order = json.load(sys.stdin)
model = llama_cpp.Llama(order["file"], n_ctx=order["context"], n_gpu_layers=0, verbose=True)
vocabulary, answers = vocabulary_of(model.model), []
for text, tokens, most in order["prompts"]:
    cut = None if text is None else model.tokenize(text.encode(), add_bos=order["begins"], special=True)
    said = []
    model.reset()
    for token in model.generate(tokens, temp=0.0, top_k=1, repeat_penalty=1.0):
        said.append(int(token))
        if is_end(vocabulary, token) or len(said) == most:
            break
    answers.append((cut, said))
print(json.dumps(answers), flush=True)
"""


def ask_llama_cpp(
    file: Path, tokenizer: PreTrainedTokenizerBase, probes: Probes, ours: Witness, choice: str, same: float
) -> LlamaCppTrip:  # fmt: skip
    """Ask a file the same as the run, in llama.cpp.

    Args:
        file: The GGUF file.
        tokenizer: The run's, whose template lays out the texts.
        probes: What is asked.
        ours: What the run said.
        choice: The kind of numbers.
        same: Share of the prompts that the kind asks to be answered alike.

    Raises:
        Stopped: When the person does not want it any more.
    """
    if find_spec(PACKAGE) is None:
        return LlamaCppTrip("", NOT_INSTALLED)

    def between() -> None:
        if probes.stopped():
            raise Stopped

    command = [sys.executable, "-P", "-c", PROGRAM]
    done = run_program(command, WALL_SECONDS, between, _order(file, tokenizer, probes, ours))
    if done is None:
        return LlamaCppTrip("", f"it had not finished after {WALL_SECONDS // 60} minutes")
    status, said, told = done.status, done.said, done.told
    if not said:
        return LlamaCppTrip("", f"it is installed but does not start ({_reason(status, told, file)})")
    if status in NO_FAULT_OF_THE_FILE:
        return LlamaCppTrip("", f"it was ended by the system ({signal.Signals(-status).name})")
    least = min(LEAST, same) if choice in BOUND else None
    if status:
        return LlamaCppTrip(said[0], f"could not answer from this file: {_reason(status, told, file)}", least=least)
    answers = json.loads(said[-1])
    alike = sum(tuple(one) == other for (_, one), other in zip(answers, ours.answers, strict=True))
    cut = [None if one is None else tuple(one) == other for (one, _), other in zip(answers, ours.prompts, strict=True)]
    return LlamaCppTrip(said[0], "", len(answers), alike, None if None in cut else sum(map(bool, cut)), least)


def _order(file: Path, tokenizer: PreTrainedTokenizerBase, probes: Probes, ours: Witness) -> str:
    """Return what the process is to do, as JSON."""
    room = probes.context_length_tokens
    prompts = [
        (_text(tokenizer, turns, probes.plain_text), tokens, max(1, min(MOST_NEW_TOKENS, room - len(tokens))))
        for turns, tokens in zip(probes.conversations, ours.prompts, strict=True)
    ]
    context = max(map(len, ours.prompts)) + MOST_NEW_TOKENS
    return json.dumps({"file": str(file), "context": context, "begins": probes.plain_text, "prompts": prompts})


def _text(tokenizer: PreTrainedTokenizerBase, turns: tuple[dict[str, str], ...], plain_text: bool) -> str | None:
    """Return a prompt before it becomes tokens; None where only we know how it is laid out, without a template."""
    if plain_text:
        return turns[-1]["content"]
    if not tokenizer.chat_template:
        return None
    return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True))


def _reason(status: int, told: str, file: Path) -> str:
    """Return why a process ended in its own words, without the path of a file that may be moved or made public."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    if status < 0:
        lines.append(f"ended by {signal.Signals(-status).name}")
    last = next((line for line in reversed(lines) if "error loading model" in line), lines[-1] if lines else "")
    plain = last.replace(f"{file.parent}/", "").rpartition("error loading model: ")[2]
    return (plain or f"it ended with {status}")[:200].rstrip(".")
