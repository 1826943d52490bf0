"""Other programs that train on a card, as ways of gpu_speed.py: trl, and Unsloth in the Python where it is installed.

    PYTHON benchmarks/gpu_ways.py TASK      (a file of JSON that gpu_speed.py wrote)

It prints one line of JSON with tokens a second and memory. Nothing of Luthier is imported here, so that PYTHON needs no more than its
own program. Each program is set as its own examples set it, and once more for speed; rate, rank, rows of a batch and steps are Luthier's.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]

WARM_STEPS = 3
PROFILED_STEPS = 10


@dataclass(frozen=True)
class GpuTask:
    """What every way of a row of the table trains.

    Attributes:
        way: A key of `WAYS`.
        model: The folder of a model.
        rows: A file of JSON Lines with questions and answers, or texts.
        technique: "lora", "qlora" or "full".
        packed: Whether every way packs its rows.
        tokens_a_row: Tokens of a row, in the mean.
        fill_tokens: Tokens of a packed row.
        steps: Optimizer steps.
        rank: Of the adapter.
        learning_rate: Of the optimizer.
        batch_rows: Rows of a batch.
        profiled: Whether ten steps are profiled.
    """

    way: str
    model: str
    rows: str
    technique: str
    packed: bool
    tokens_a_row: float
    fill_tokens: int
    steps: int
    rank: int
    learning_rate: float
    batch_rows: int
    profiled: bool = False


@dataclass
class Watch:
    """Stands round a trainer's step; counts real tokens and seconds after the first steps."""

    profiled: bool = False
    moments: list[float] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    profiler: Any = None

    def begin(self) -> None:
        """Put itself round the library's own method."""
        from transformers import Trainer  # noqa: PLC0415 - seconds, and Unsloth wants to be imported before it

        step, watch = Trainer.training_step, self

        def watched(trainer: Trainer, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            watch.arrive(inputs)
            return step(trainer, model, inputs, *args, **kwargs)

        Trainer.training_step = watched  # type: ignore[method-assign]

    def arrive(self, inputs: Mapping[str, Any]) -> None:
        """Note that a step begins, when all before it is done."""
        import torch  # noqa: PLC0415

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.moments.append(time.perf_counter())
        mask = inputs.get("attention_mask")
        whole = mask is None or mask.dim() != 2
        self.tokens.append(inputs["input_ids"].numel() if whole else mask.sum())
        if self.profiled and len(self.moments) == WARM_STEPS + 1:
            self.profiler = torch.profiler.profile()
            self.profiler.start()
        if self.profiler and len(self.moments) == WARM_STEPS + 1 + PROFILED_STEPS:
            self.profiler.stop()
            order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
            print(self.profiler.key_averages().table(sort_by=order, row_limit=10), file=sys.stderr)
            self.profiler = None

    def figures(self) -> Record:
        """Return tokens a second from the first counted step to the begin of the last one, and the memory of the card."""
        import torch  # noqa: PLC0415

        seconds = self.moments[-1] - self.moments[WARM_STEPS]
        found: Record = {"tokens_a_second": sum(int(count) for count in self.tokens[WARM_STEPS:-1]) / seconds}
        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            found |= {"reserved_bytes": torch.cuda.max_memory_reserved(), "driver_bytes": total - free}
        return found


def _rows(task: GpuTask) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(task.rows).read_text(encoding="utf-8").splitlines()]


def _settings(task: GpuTask, folder: str, *, packs: bool) -> Record:
    """Return what all ways are told; a way that packs by itself gets about as many tokens a step as the others."""
    import torch  # noqa: PLC0415

    fewer = max(1, round(task.batch_rows * task.tokens_a_row / task.fill_tokens))
    packed: Record = {"packing": True, "max_length": task.fill_tokens} if packs or task.packed else {}
    return {
        "output_dir": folder, "max_steps": task.steps, "report_to": "none", "save_strategy": "no", "use_cpu": not torch.cuda.is_available(),
        "disable_tqdm": True, "learning_rate": task.learning_rate,
        "per_device_train_batch_size": fewer if packs and not task.packed else task.batch_rows, **packed,
    }  # fmt: skip


def _with_trl(task: GpuTask, *, best: bool) -> None:
    """Train by trl's own trainer: its defaults, or packed, in bfloat16, with nothing recomputed and a fused optimizer."""
    from importlib.util import find_spec  # noqa: PLC0415

    import torch  # noqa: PLC0415
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    card, tokenizer = torch.cuda.is_available(), AutoTokenizer.from_pretrained(task.model)
    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(
        task.model, dtype=torch.bfloat16 if card else torch.float32, device_map={"": 0} if card else None,
        quantization_config=four if task.technique == "qlora" else None,
    )  # fmt: skip
    more: Record = {"bf16": True, "gradient_checkpointing": False} if best else {}
    if best and card:
        more |= {"optim": "adamw_torch_fused", "use_liger_kernel": find_spec("liger_kernel") is not None}
    adapter = LoraConfig(r=task.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with tempfile.TemporaryDirectory() as folder:
        SFTTrainer(
            model=model, args=SFTConfig(**_settings(task, folder, packs=best), **more), train_dataset=Dataset.from_list(_rows(task)),
            processing_class=tokenizer, peft_config=None if task.technique == "full" else adapter,
        ).train()  # fmt: skip


def _with_unsloth(task: GpuTask, *, best: bool) -> None:
    """Train as Unsloth's examples do, on texts; or packed, with nothing recomputed."""
    from unsloth import FastLanguageModel  # noqa: I001, PLC0415 - before trl, into which it puts its own

    from datasets import Dataset  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    model, tokenizer = FastLanguageModel.from_pretrained(
        task.model, max_seq_length=task.fill_tokens, dtype=None, load_in_4bit=task.technique == "qlora",
        full_finetuning=task.technique == "full",
    )  # fmt: skip
    if task.technique != "full":
        parts = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        model = FastLanguageModel.get_peft_model(
            model, r=task.rank, target_modules=parts, lora_alpha=task.rank, lora_dropout=0, bias="none",
            use_gradient_checkpointing=False if best else "unsloth",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        settings = {"max_length": task.fill_tokens, **_settings(task, folder, packs=best)}
        settings |= {} if settings["use_cpu"] else {"optim": "adamw_8bit"}
        SFTTrainer(
            model=model, args=SFTConfig(dataset_text_field="text", **settings), processing_class=tokenizer,
            train_dataset=Dataset.from_list([{"text": " ".join(row.values()) + tokenizer.eos_token} for row in _rows(task)]),
        ).train()  # fmt: skip


WAYS: Mapping[str, tuple[Callable[..., None], bool]] = {
    "trl, its defaults": (_with_trl, False),
    "trl at its best": (_with_trl, True),
    "unsloth, its examples": (_with_unsloth, False),
    "unsloth at its best": (_with_unsloth, True),
}
"""By name: what trains, and whether it is set for speed."""


def versions() -> dict[str, str]:
    """Return what is installed beside this Python of what a way may use."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    found = {}
    for name in ("unsloth", "torch", "transformers", "trl", "peft", "liger_kernel"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main(words: Sequence[str]) -> None:
    """Train one task and print its figures."""
    task = GpuTask(**json.loads(Path(words[0]).read_text(encoding="utf-8")))
    train, best = WAYS[task.way]
    if train is _with_unsloth:
        os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"  # it would ask a server; the room may have no internet
        import unsloth  # noqa: F401, PLC0415 - before transformers
    watch = Watch(task.profiled)
    watch.begin()
    train(task, best=best)
    print(json.dumps({**watch.figures(), "versions": versions()}))


if __name__ == "__main__":
    main(sys.argv[1:])
