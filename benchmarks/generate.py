"""How many tokens a second Luthier answers with, beside plain transformers on the same model and the same questions.

    python benchmarks/generate.py [--rounds 5] [--prompts 96] [--new-tokens 48] [--static]

The starter model, tuned shortly with LoRA, answers questions of all bundled examples, greedily: one after the other as a plain
`generate` would, in batches of 32 as they come, and as Luthier does it. The ways are taken in turns, in one process with one thread.
Tokens are those of the answers, without padding; the ratio is of tokens a processor second, on a card a second. `--static` adds plain batches
with a cache of fixed size, for which transformers compiles each step on a card: Luthier does not do so, and this tells whether it should.
It also counts how many answers are the
same as one by one: padding moves the last digits of a number, and a draw between two tokens may fall the other way. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 - the repository is not installed
from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from engine.data.chat_format import prompt_messages, prompt_token_ids  # noqa: E402
from engine.data.dataset import read_rows  # noqa: E402
from engine.types import DatasetType  # noqa: E402
from engine.workspace import ASSETS, GenerationSettings, PlanChoices, Workspace  # noqa: E402

Messages = Sequence[dict[str, str]]
ROWS = 32
ANSWERED = {DatasetType.PROMPT_COMPLETION, DatasetType.PROMPT_ONLY}


def questions(workspace: Workspace, most: int) -> list[Messages]:
    """Return questions of the bundled examples, every third behind others that were asked before it, so that lengths are mixed."""
    found = [workspace.data.inspect_example(example.key).dataset for example in workspace.data.examples()]
    columns = [
        [prompt_messages(row, one) for row in read_rows(one)] for one in found if one and one.dataset_type in ANSWERED
    ]
    mixed = [column[place] for place in range(most) for column in columns if place < len(column)][:most]
    return [[*_before(mixed, place), *question] for place, question in enumerate(mixed)]


def _before(mixed: Sequence[Messages], place: int) -> Messages:
    asked = mixed[:0] if place % 3 else mixed[place // 2 : place // 2 + 1 + place % 12]
    said = " ".join(message["content"] for question in asked for message in question)
    return [{"role": "system", "content": said}] if said else []


class Plain:
    """The tuned model as a script of transformers and PEFT would hold it."""

    def __init__(self, starter: Path, checkpoint: Path, new_tokens: int, device: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(starter)
        base = AutoModelForCausalLM.from_pretrained(starter).to(device)
        self.model = cast(Any, PeftModel.from_pretrained(base, checkpoint).eval())
        self.new_tokens = new_tokens

    def answer(self, prompts: Sequence[Messages], rows: int, **more: str) -> list[str]:
        """Answer in batches of so many rows, as they come, padded on the left; `more` goes to `generate`."""
        answers, fill = [], self.tokenizer.pad_token_id
        for start in range(0, len(prompts), rows):
            encoded = [prompt_token_ids(list(messages), self.tokenizer) for messages in prompts[start : start + rows]]
            longest = max(map(len, encoded))
            device = self.model.device
            ids = torch.tensor([[fill] * (longest - len(one)) + one for one in encoded], device=device)
            mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in encoded], device=device)
            with torch.inference_mode():
                output = self.model.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=self.new_tokens, do_sample=False, pad_token_id=fill, **more
                )  # fmt: skip
            answers += [self.tokenizer.decode(row, skip_special_tokens=True).strip() for row in output[:, longest:]]
        return answers


def main() -> None:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--static", action="store_true", help="plain batches with a cache of fixed size, too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    workspace = Workspace.open(Path(tempfile.mkdtemp(prefix="luthier-generate-")) / "workspace")
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    run = workspace.train(workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {"max_steps": 60}))).id
    prompts = questions(workspace, asked.prompts)
    device = workspace.hardware().device
    clock = time.process_time if device == "cpu" else time.perf_counter
    plain = Plain(ASSETS / "starter", workspace.checkpoints(run)[-1].path, asked.new_tokens, device)
    settings = GenerationSettings(max_new_tokens=asked.new_tokens)
    ways: dict[str, Callable[[], list[str]]] = {
        "plain transformers, one after the other": lambda: plain.answer(prompts, 1),
        f"plain transformers, batches of {ROWS} as they come": lambda: plain.answer(prompts, ROWS),
        "Luthier": lambda: workspace.listening.answers(run, prompts, settings, arm="tuned"),
    }
    if asked.static:
        ways["plain transformers, batches, cache of fixed size"] = lambda: plain.answer(prompts, ROWS, cache_implementation="static")  # fmt: skip
    answers = {way: answer() for way, answer in ways.items()}  # warm
    first, *_ = answers.values()
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(asked.rounds):
        for way, answer in ways.items():
            began = clock()
            tokens = sum(len(plain.tokenizer.encode(text, add_special_tokens=False)) + 1 for text in answer())
            speeds[way].append(tokens / (clock() - began))
    print(
        f"{len(prompts)} questions of {min(map(lengths(plain), prompts))} to {max(map(lengths(plain), prompts))} tokens, {asked.rounds} rounds in turns\n"
    )
    print(
        f"| way | tokens / {'processor second' if device == 'cpu' else 'second'} | of plain batches | same answers as one by one |\n|---|---|---|---|"
    )
    batches = list(speeds.values())[1]
    for way, found in speeds.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(found, batches, strict=True))
        same = sum(mine == theirs for mine, theirs in zip(answers[way], first, strict=True))
        print(f"| {way} | {statistics.median(found):.0f} | {ratio:.2f} | {same} of {len(prompts)} |")
    workspace.close()


def lengths(plain: Plain) -> Callable[[Messages], int]:
    """Return what counts the tokens of a question."""
    return lambda messages: len(prompt_token_ids(list(messages), plain.tokenizer))


if __name__ == "__main__":
    main()
