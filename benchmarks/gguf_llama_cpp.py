"""A trained run as GGUF in llama.cpp itself: whether it cuts the questions into the same tokens and gives the run's own answers.

PYTHONPATH=. .venv/bin/python benchmarks/gguf_llama_cpp.py PYTHON

PYTHON is an interpreter in which llama-cpp-python is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from engine.models.decoding import Message
from engine.models.loading import end_token_ids, load_tokenizer
from engine.results.export_making import probes_of, reference_recipe
from engine.results.round_trip import own_prompts, witness
from engine.training.checkpoints import result_of
from engine.workspace import PlanChoices, Workspace

SHOP = {
    "learning_rate": 0.003, "max_steps": 150, "lora_rank": 16, "lora_alpha": 32, "per_device_train_batch_size": 8,
}  # fmt: skip
KINDS = ("F32", "F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
ASK = """
import json, sys
import llama_cpp
order = json.load(sys.stdin)
model = llama_cpp.Llama(order["file"], n_ctx=1024, verbose=False, n_threads=1)
answers = []
for text, tokens in order["prompts"]:
    cut = model.tokenize(text.encode(), add_bos=False, special=True)
    said = []
    model.reset()
    for token in model.generate(tokens, temp=0.0, top_k=1, repeat_penalty=1.0):
        said.append(token)
        if token in order["ends"] or len(said) == 64:
            break
    answers.append((cut == tokens, said))
json.dump(answers, sys.stdout)
"""


def main(python: str) -> None:
    """Print a row for each kind of numbers."""
    with tempfile.TemporaryDirectory() as folder, closing(Workspace.open(Path(folder) / "workspace")) as workspace:
        data = workspace.data.inspect_example("shop").dataset
        assert data
        run = workspace.train(workspace.plan(PlanChoices("lora", data.fingerprint, "starter", SHOP)))
        recipe = reference_recipe(run)
        tokenizer, model = load_tokenizer(recipe.model), recipe.tuned(result_of(run).path)
        probes = probes_of(run, recipe)
        tokens = own_prompts(tokenizer, probes)
        ours = witness(model, tokenizer, tokens, probes)
        texts = [laid_out(tokenizer, turns) for turns in probes.conversations]
        ends = end_token_ids(model.get_base_model(), tokenizer)
        print("| GGUF | same tokens of a question | same answers |\n|---|---|---|")
        for kind in KINDS:
            place = Path(folder) / kind
            for _ in workspace.exports.steps(run.id, "gguf", place, {"quantisation": kind}):
                pass
            order = {"file": str(place / "model.gguf"), "prompts": list(zip(texts, tokens, strict=True)), "ends": ends}
            done = subprocess.run(
                [python, "-c", ASK], input=json.dumps(order), capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout)
            same = sum(tuple(said) == answer for (_, said), answer in zip(found, ours.answers, strict=True))
            cut = sum(alike for alike, _ in found)
            print(f"| {kind} | {cut} of {len(texts)} | {same} of {len(texts)} |", flush=True)


def laid_out(tokenizer: PreTrainedTokenizerBase, turns: tuple[Message, ...]) -> str:
    """Return a question as the model's template lays it out."""
    return str(
        tokenizer.apply_chat_template([dict(turn) for turn in turns], tokenize=False, add_generation_prompt=True)
    )


if __name__ == "__main__":
    main(sys.argv[1])
