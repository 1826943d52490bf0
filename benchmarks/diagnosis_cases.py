"""The runs on which the diagnosis is judged, and the faults that are put into some of them; see diagnosis.py beside this file."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Changed:
    """Rows of an example after a fault was put into them."""

    training: Rows
    held_out: Rows


Spoil = Callable[[Rows, Rows, random.Random], Changed]


def few(count: int) -> Spoil:
    """Keep so many training rows."""
    return lambda rows, held_out, _: Changed(rows[:count], held_out)


def leak(rows: Rows, held_out: Rows, _: random.Random) -> Changed:
    """Put the held-out rows among the training rows."""
    return Changed(rows + held_out, held_out)


def leak_only(rows: Rows, held_out: Rows, _: random.Random) -> Changed:
    """Train on the held-out rows."""
    return Changed(list(held_out), held_out)


def shuffled(*columns: str) -> Spoil:
    """Give each row the answer or label of another one, in training and held-out rows."""

    def spoil(rows: Rows, held_out: Rows, chance: random.Random) -> Changed:
        return Changed(_exchanged(rows, columns, chance), _exchanged(held_out, columns, chance))

    return spoil


def _exchanged(rows: Rows, columns: Sequence[str], chance: random.Random) -> Rows:
    others = chance.sample(rows, len(rows))
    return [row | {column: other[column] for column in columns} for row, other in zip(rows, others, strict=True)]


def shuffled_answers(rows: Rows, held_out: Rows, chance: random.Random) -> Changed:
    """Give each chat the answer of another one."""

    def exchanged(chats: Rows) -> Rows:
        others = chance.sample(chats, len(chats))
        return [
            {"messages": [*chat["messages"][:-1], other["messages"][-1]]}  # type: ignore[index]
            for chat, other in zip(chats, others, strict=True)
        ]

    return Changed(exchanged(rows), exchanged(held_out))


def swapped_pairs(rows: Rows, held_out: Rows, chance: random.Random) -> Changed:
    """Turn half of the pairs round, in training and held-out rows."""

    def turned(pairs: Rows) -> Rows:
        return [
            pair | {"chosen": pair["rejected"], "rejected": pair["chosen"]} if chance.random() < 0.5 else pair
            for pair in pairs
        ]

    return Changed(turned(rows), turned(held_out))


def mostly(label: str, others: int) -> Spoil:
    """Keep all rows of one label and so many in all of the others, whose texts are exchanged so that they cannot be told."""

    def keep(rows: Rows, most: int, chance: random.Random) -> Rows:
        rare = [row for row in rows if row["label"] != label][:most]
        return _exchanged([row for row in rows if row["label"] == label] + rare, ("text",), chance)

    return lambda rows, held_out, chance: Changed(
        keep(rows, others, chance), keep(held_out, max(4, others // 3), chance)
    )


@contextmanager
def slowed(after: int = 50, seconds: float = 0.35) -> Iterator[None]:
    """Simulate a busy machine: sleep before each step beyond `after`."""
    from engine.training.reporter import Reporter  # noqa: PLC0415 - brings torch

    def sleep(self: object, args: object, state: object, control: object, **_: object) -> None:
        if state.global_step >= after:  # type: ignore[attr-defined]
            time.sleep(seconds)

    Reporter.on_step_begin = sleep  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del Reporter.on_step_begin  # the library's own, which does nothing, again


@contextmanager
def leaking(mebibytes_a_second: float = 40.0) -> Iterator[None]:
    """Simulate a leak: memory of this process is taken and never given back while the run lasts."""
    held: list[bytearray] = []
    ended = threading.Event()

    def take() -> None:
        while not ended.wait(0.1):
            held.append(bytearray(b"\1") * int(mebibytes_a_second * 2**20 / 10))

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def unpacked() -> Iterator[None]:
    """Keep bitsandbytes 0.50 from packing 4-bit weights, which on a CPU with AVX-512 wants widths that 64 divides."""
    import bitsandbytes.nn.modules as modules  # noqa: PLC0415 - brings torch

    usual = modules.has_avx512bf16
    modules.has_avx512bf16 = lambda: False
    try:
        yield
    finally:
        modules.has_avx512bf16 = usual


@dataclass(frozen=True)
class Case:
    """A run to train.

    Attributes:
        example: The bundled example whose rows it learns from.
        fault: What is wrong with it; empty for a healthy run.
        wanted: Keys of findings of which one must be there; a fault is found when one of them is.
        rate: The default learning rate is multiplied by this.
        spoil: Puts the fault into the rows.
        around: What goes on beside the training.
    """

    set: str
    technique: str
    example: str
    seed: int
    fault: str = ""
    wanted: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    rate: float = 1.0
    spoil: Spoil | None = None
    around: Callable[[], object] = nullcontext

    @property
    def name(self) -> str:
        """The name of its file."""
        fault = "-".join(self.fault.replace(",", "").replace("/", " of ").split())
        return "-".join(part for part in (self.example, self.technique, fault, str(self.seed)) if part)


def _healthy(set_: str, *chosen: tuple[str, str, int]) -> tuple[Case, ...]:
    def made(technique: str, example: str, seed: int) -> Case:
        return Case(set_, technique, example, seed, around=unpacked if technique == "qlora" else nullcontext)

    return tuple(made(*case) for case in chosen)


HIGH = ("learning_rate_too_high", "exploding_gradient")
LOW = ("learning_rate_too_low",)
FITTED = ("overfitting", "memorised")
NO_PATTERN = ("overfitting", "memorised", "no_pattern", "only_training_improves")
PAIRS_BROKEN = (*HIGH, "likelihood_displacement", "margin_collapse", "drift")
PAIRS_FITTED = ("pairs_memorised", "overfitting", "memorised")
HACKED = ("reward_hacking", "drift", "answers_at_limit", "answers_vanish", "entropy_collapse")
FREE = {"beta": "0"}

CASES = (
    *_healthy(
        "calibration",
        ("lora", "shop", 11), ("lora", "sentiment", 12), ("full", "persona", 13), ("ia3", "sentiment", 14), ("lora", "short", 15),
        ("adapters", "json", 16), ("prefix_tuning", "polite", 17), ("dpo", "preference", 18), ("kto", "thumbs", 19),
        ("rloo", "prompts", 20), ("grpo", "prompts", 21), ("reward_model", "preference", 22), ("classification", "sentiment", 23),
        ("continued_pretraining", "text", 24), ("cpo", "preference", 25), ("qlora", "sentiment", 26), ("rlhf", "preference", 27),
        ("p_tuning", "polite", 28), ("full", "polite", 61), ("ia3", "polite", 62), ("prompt_tuning", "short", 63), ("full", "json", 64),
        ("lora", "json", 65), ("dpo", "preference", 66), ("grpo", "prompts", 67), ("simpo", "preference", 68), ("prefix_tuning", "persona", 69),
    ),
    Case("calibration", "lora", "sentiment", 31, "rate x100", HIGH, rate=100),
    Case("calibration", "full", "persona", 32, "rate x30", HIGH, rate=30),
    Case("calibration", "full", "short", 33, "rate x100", HIGH, rate=100),
    Case("calibration", "lora", "persona", 34, "rate /1000", LOW, rate=1e-3),
    Case("calibration", "classification", "sentiment", 35, "rate /1000", LOW, rate=1e-3),
    Case("calibration", "lora", "json", 36, "16 rows", FITTED, {"max_steps": "150"}, spoil=few(16)),
    Case("calibration", "full", "sentiment", 37, "12 rows", FITTED, {"max_steps": "120"}, spoil=few(12)),
    Case("calibration", "full", "shop", 38, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("calibration", "lora", "polite", 39, "trained on the held-out rows", ("leakage",), spoil=leak_only),
    Case("calibration", "lora", "short", 40, "shuffled answers", NO_PATTERN, spoil=shuffled_answers),
    Case("calibration", "classification", "sentiment", 41, "shuffled labels", NO_PATTERN, spoil=shuffled("label")),
    Case("calibration", "reward_model", "preference", 42, "half of the pairs turned", NO_PATTERN, spoil=swapped_pairs),
    Case("calibration", "dpo", "preference", 43, "rate x100", PAIRS_BROKEN, rate=100),
    Case("calibration", "dpo", "preference", 44, "no text weight, rate x10", PAIRS_BROKEN, {"sft_weight": "0"}, rate=10),
    Case("calibration", "dpo", "preference", 45, "half of the pairs turned", PAIRS_FITTED, {"max_steps": "120"}, spoil=swapped_pairs),
    Case("calibration", "kto", "thumbs", 46, "rate x100", PAIRS_BROKEN, rate=100),
    Case("calibration", "grpo", "prompts", 47, "beta 0, rate x30", HACKED, FREE, rate=30),
    Case("calibration", "rloo", "prompts", 48, "length rewarded, beta 0, rate x10", HACKED,
         FREE | {"reward": "length", "reward_target_words": "1"}, rate=10),
    Case("calibration", "rloo", "prompts", 49, "reward that is never earned", ("rewards_alike",),
         {"reward": "matches_pattern", "reward_pattern": "^zebra zebra$"}),
    Case("calibration", "lora", "persona", 50, "slowed from step 50", ("slowdown",), around=slowed),
    Case("calibration", "lora", "polite", 51, "memory leak", ("memory_growing",), around=leaking),
    Case("calibration", "classification", "sentiment", 52, "one label", ("one_class",), spoil=mostly("neutral", 15)),
    Case("calibration", "rloo", "prompts", 71, "rate x30", HACKED, rate=30),
    Case("calibration", "rloo", "prompts", 72, "length rewarded, beta 0.001, rate x3", HACKED,
         {"beta": "0.001", "reward": "length", "reward_target_words": "1"}, rate=3),
    Case("calibration", "grpo", "prompts", 73, "beta 0.001, rate x5", HACKED, {"beta": "0.001"}, rate=5),
    Case("calibration", "full", "short", 74, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("calibration", "classification", "sentiment", 75, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("calibration", "lora", "persona", 76, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("calibration", "orpo", "preference", 77, "rate x100", PAIRS_BROKEN, rate=100),
    Case("calibration", "full", "shop", 79, "rate x100, no gradient limit", HIGH, {"max_grad_norm": "0"}, rate=100),
    Case("calibration", "reward_model", "preference", 80, "rate x100", (*HIGH, "margin_collapse"), rate=100),
    Case("calibration", "lora", "shop", 81, "rate x10", HIGH, rate=10),
    Case("calibration", "full", "polite", 53, "rate x30, no gradient limit", HIGH, {"max_grad_norm": "0"}, rate=30),
    *_healthy(
        "calibration",
        ("lora", "shop", 101), ("full", "shop", 102), ("qlora", "shop", 103), ("lora", "json", 104), ("full", "json", 105),
        ("lora", "persona", 106), ("ia3", "persona", 107), ("prompt_tuning", "persona", 108), ("full", "short", 109),
        ("ia3", "short", 110), ("lora", "polite", 111), ("prompt_tuning", "sentiment", 112), ("full", "sentiment", 113),
        ("dpo", "preference", 114), ("kto", "thumbs", 115), ("rloo", "prompts", 116), ("grpo", "prompts", 117),
        ("reward_model", "preference", 118), ("classification", "sentiment", 119), ("continued_pretraining", "text", 120),
    ),
    Case("calibration", "lora", "shop", 201, "rate x100", HIGH, rate=100),
    Case("calibration", "full", "json", 202, "rate x30", HIGH, rate=30),
    Case("calibration", "classification", "sentiment", 203, "rate x100", HIGH, rate=100),
    Case("calibration", "full", "shop", 204, "rate x100, no gradient limit", HIGH, {"max_grad_norm": "0"}, rate=100),
    Case("calibration", "lora", "json", 205, "rate /1000", LOW, rate=1e-3),
    Case("calibration", "full", "short", 206, "rate /1000", LOW, rate=1e-3),
    Case("calibration", "lora", "shop", 207, "16 rows", FITTED, {"max_steps": "150"}, spoil=few(16)),
    Case("calibration", "full", "persona", 208, "12 rows", FITTED, {"max_steps": "120"}, spoil=few(12)),
    Case("calibration", "lora", "short", 209, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("calibration", "full", "json", 210, "trained on the held-out rows", ("leakage",), spoil=leak_only),
    Case("calibration", "lora", "shop", 211, "shuffled answers", NO_PATTERN, spoil=shuffled("output")),
    Case("calibration", "classification", "sentiment", 212, "shuffled labels", NO_PATTERN, spoil=shuffled("label")),
    Case("calibration", "dpo", "preference", 213, "rate x100", PAIRS_BROKEN, {"sft_weight": "0"}, rate=100),
    Case("calibration", "dpo", "preference", 214, "half of the pairs turned", PAIRS_FITTED, {"max_steps": "150"}, spoil=swapped_pairs),
    Case("calibration", "rloo", "prompts", 215, "beta 0, rate x30", HACKED, FREE, rate=30),
    Case("calibration", "grpo", "prompts", 216, "length rewarded, beta 0, rate x10", HACKED,
         FREE | {"reward": "length", "reward_target_words": "1"}, rate=10),
    Case("calibration", "grpo", "prompts", 217, "reward that is never earned", ("rewards_alike",),
         {"reward": "matches_pattern", "reward_pattern": "^zebra zebra$"}),
    Case("calibration", "lora", "json", 218, "slowed from step 70", ("slowdown",), around=lambda: slowed(after=70)),
    Case("calibration", "full", "polite", 219, "memory leak", ("memory_growing",), around=leaking),
    Case("calibration", "classification", "sentiment", 220, "one label", ("one_class",), spoil=mostly("positive", 15)),
    *_healthy(
        "healthy",
        ("lora", "shop", 301), ("qlora", "shop", 302), ("full", "json", 303), ("adapters", "json", 304), ("full", "persona", 305),
        ("prompt_tuning", "persona", 306), ("ia3", "persona", 307), ("lora", "short", 308), ("full", "short", 309), ("ia3", "short", 310),
        ("full", "polite", 311), ("lora", "sentiment", 312), ("prompt_tuning", "sentiment", 313), ("dpo", "preference", 314),
        ("kto", "thumbs", 315), ("rloo", "prompts", 316), ("grpo", "prompts", 317), ("reward_model", "preference", 318),
        ("classification", "sentiment", 319), ("continued_pretraining", "text", 320),
    ),
    Case("faulty", "lora", "persona", 401, "rate x100", HIGH, rate=100),
    Case("faulty", "full", "polite", 402, "rate x50", HIGH, rate=50),
    Case("faulty", "ia3", "short", 403, "rate x50", HIGH, rate=50),
    Case("faulty", "classification", "sentiment", 404, "rate x100", HIGH, rate=100),
    Case("faulty", "full", "json", 405, "rate /1000", LOW, rate=1e-3),
    Case("faulty", "lora", "sentiment", 406, "rate /1000", LOW, rate=1e-3),
    Case("faulty", "lora", "persona", 407, "12 rows", FITTED, {"max_steps": "150"}, spoil=few(12)),
    Case("faulty", "full", "shop", 408, "20 rows", FITTED, {"max_steps": "150"}, spoil=few(20)),
    Case("faulty", "full", "persona", 409, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("faulty", "lora", "polite", 410, "held-out rows leaked", ("leakage",), spoil=leak),
    Case("faulty", "full", "short", 411, "shuffled answers", NO_PATTERN, spoil=shuffled_answers),
    Case("faulty", "classification", "sentiment", 412, "shuffled labels", NO_PATTERN, spoil=shuffled("label")),
    Case("faulty", "reward_model", "preference", 413, "half of the pairs turned", (*NO_PATTERN, "pairs_memorised"), spoil=swapped_pairs),
    Case("faulty", "dpo", "preference", 414, "rate x100", PAIRS_BROKEN, rate=100),
    Case("faulty", "dpo", "preference", 415, "half of the pairs turned", PAIRS_FITTED, {"max_steps": "150"}, spoil=swapped_pairs),
    Case("faulty", "rloo", "prompts", 416, "beta 0, rate x30", HACKED, FREE, rate=30),
    Case("faulty", "grpo", "prompts", 417, "length rewarded, beta 0.001, rate x5", HACKED,
         {"beta": "0.001", "reward": "length", "reward_target_words": "1"}, rate=5),
    Case("faulty", "lora", "shop", 418, "slowed from step 60", ("slowdown",), around=lambda: slowed(after=60)),
    Case("faulty", "lora", "short", 419, "memory leak", ("memory_growing",), around=leaking),
    Case("faulty", "classification", "sentiment", 420, "one label", ("one_class",), spoil=mostly("negative", 15)),
)  # fmt: skip
"""Every run that is trained; the calibration set first."""
