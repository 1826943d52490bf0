"""Other programs that train, as ways of train.py; each runs in the Python in which it is installed, never in Luthier's.

    python3 -m venv peers/llamafactory && peers/llamafactory/bin/pip install llamafactory
    .venv/bin/python benchmarks/train.py --peer llamafactory=peers/llamafactory/bin/python

and the same with unsloth.

They get the rows as text and make tokens of them by the same tokenizer, with its marks of turns standing in the text.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.train_ways import Span, Task, TokenRow


def _texts(task: Task, rows: Sequence[TokenRow], folder: Path) -> int:
    """Write the rows as instructions with outputs, and return how many tokens they are when they are read again."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - the peer's own

    tokenizer, texts, count = AutoTokenizer.from_pretrained(task.model), [], 0
    for row in rows:
        asked = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
        told = row["input_ids"][len(asked) :]
        told = told[:-1] if told and told[-1] == tokenizer.eos_token_id else told
        texts.append({"instruction": tokenizer.decode(asked), "input": "", "output": tokenizer.decode(told)})
        count += (
            sum(len(tokenizer.encode(texts[-1][name], add_special_tokens=False)) for name in ("instruction", "output"))
            + 1
        )
    (folder / "rows.json").write_text(json.dumps(texts), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}), encoding="utf-8")
    return count


def _llamafactory(task: Task, rows: Sequence[TokenRow], threads: int, seed: int) -> Span:
    """LLaMA-Factory's own defaults with 16 bits, as its examples set them; rate, batch and adapter are those of all ways."""
    from llamafactory.train.tuner import run_exp  # noqa: PLC0415

    from benchmarks.train_ways import Span, _Timed  # noqa: PLC0415

    values = json.loads(Path(task.plan).read_text())["hyperparameters"]
    timed = _Timed()
    timed.watch()
    with tempfile.TemporaryDirectory() as folder:
        tokens, wanted = _texts(task, rows, Path(folder)), sum(len(row["input_ids"]) for row in rows)
        assert abs(tokens - wanted) <= 0.01 * wanted, f"{tokens} tokens instead of {wanted}"
        run_exp({
            "stage": "sft", "do_train": True, "model_name_or_path": task.model, "finetuning_type": "lora", "lora_rank": 16,
            "lora_alpha": values["lora_alpha"], "lora_target": "all", "lora_dropout": 0.0, "dataset": "rows", "dataset_dir": folder,
            "template": "empty", "cutoff_len": values["max_length"], "per_device_train_batch_size": values["per_device_train_batch_size"],
            "gradient_accumulation_steps": 1, "learning_rate": values["learning_rate"], "num_train_epochs": 1.0, "warmup_ratio": 0.1,
            "bf16": True, "use_cpu": True, "seed": seed, "output_dir": f"{folder}/out", "save_strategy": "no", "logging_steps": 10,
            "report_to": "none", "disable_tqdm": True,
        })  # fmt: skip
    return Span(timed.cpu_seconds, timed.seconds, timed.model)


def _unsloth(task: Task, rows: Sequence[TokenRow], threads: int, seed: int) -> Span:
    """Unsloth as its examples set it, on a processor, with the type of numbers that it chooses; rate, batch and adapter are those of all ways."""
    os.environ |= {"UNSLOTH_FORCE_CPU": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
    from unsloth import FastLanguageModel  # noqa: I001, PLC0415 - before trl, into which it puts its own

    from datasets import Dataset  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    from benchmarks.train_ways import Span, _Timed  # noqa: PLC0415

    values = json.loads(Path(task.plan).read_text())["hyperparameters"]
    model, tokenizer = FastLanguageModel.from_pretrained(
        task.model, max_seq_length=values["max_length"], dtype=None, load_in_4bit=False
    )
    parts = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = FastLanguageModel.get_peft_model(
        model, r=16, target_modules=parts, lora_alpha=values["lora_alpha"], lora_dropout=0, bias="none",
        use_gradient_checkpointing="unsloth", random_state=seed,
    )  # fmt: skip
    timed = _Timed()
    timed.watch()
    with tempfile.TemporaryDirectory() as folder:
        SFTTrainer(
            model=model, processing_class=tokenizer, train_dataset=Dataset.from_list([dict(row) for row in rows]),
            args=SFTConfig(
                output_dir=folder, use_cpu=True, learning_rate=values["learning_rate"], num_train_epochs=1, warmup_steps=0.1, seed=seed,
                per_device_train_batch_size=values["per_device_train_batch_size"], max_length=values["max_length"], report_to="none",
                save_strategy="no", disable_tqdm=True,
            ),
        ).train()  # fmt: skip
    return Span(timed.cpu_seconds, timed.seconds, timed.model)


PEERS: Mapping[str, Callable[[Task, Sequence[TokenRow], int, int], Span]] = {
    "llamafactory": _llamafactory,
    "unsloth": _unsloth,
}
"""One row a program."""
