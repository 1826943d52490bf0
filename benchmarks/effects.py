"""What each technique does to held-out answers of the starter model, from plan to score, with the plan's own defaults.

    .venv/bin/python benchmarks/effects.py [--techniques lora dpo] [--seeds 1 2 3] [--write]

For every technique the bundled example made for it is trained through the real engine and held-out rows are answered greedily,
before and after. Each finished row is kept in benchmarks/effects.jsonl, so that a second call goes on where the first one was
stopped; a row is measured again when the version of its settings changed, or with --again. `--write` makes benchmarks/effects.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

from engine.data.chat_format import prompt_messages, reference
from engine.data.dataset import read_rows
from engine.events import EvaluationLogged, RunProved
from engine.guide.rewards import REWARD_FUNCTIONS, RewardSettings
from engine.guide.techniques import TECHNIQUES
from engine.types import Dataset, Run
from engine.workspace import GenerationSettings, PlanChoices, Workspace

HERE = Path(__file__).parent
RESULTS, TABLE = HERE / "effects.jsonl", HERE / "effects.md"
POLITE = (
    "happy to help",
    "good question",
    "of course",
    "thank you for",
    "certainly",
    "i hope that helps",
    "let me know if you need",
)
GUIDE = (
    "full",
    "lora",
    "qlora",
    "instruction",
    "prompt_tuning",
    "prefix_tuning",
    "p_tuning",
    "adapters",
    "rlhf",
    "dpo",
)
"""The keys that the guide names: three seeds; their kin one."""

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Trial:
    """A trained run with the rows it never saw."""

    workspace: Workspace
    run: Run
    held_out: Dataset

    def answers(self, arm: str, questions: Sequence[Messages] | None = None) -> list[str]:
        """Answer the held-out questions, or others, greedily as base or tuned."""
        asked = questions or [prompt_messages(row, self.held_out) for row in read_rows(self.held_out)]
        return self.workspace.listening.answers(self.run.id, asked, GenerationSettings(max_new_tokens=64), arm=arm)

    def evaluations(self) -> list[EvaluationLogged]:
        """Return every look at the held-out rows, in order."""
        return [event for event in self.workspace.events(self.run.id) if isinstance(event, EvaluationLogged)]


Scores = tuple[list[float], list[float]]
"""For each held-out row its score before and after, 0 to 1."""


def exact(trial: Trial) -> Scores:
    """Score an answer 1 when it equals its reference."""
    wanted = [(reference(row, trial.held_out) or "").strip() for row in read_rows(trial.held_out)]
    both = [trial.answers(arm) for arm in ("base", "tuned")]
    before, after = ([float(said == right) for said, right in zip(answers, wanted, strict=True)] for answers in both)
    return before, after


def manner(trial: Trial) -> Scores:
    """Score an answer 1 when it has the manner of the references, whatever it says between: their first words and their last."""
    wanted = [(reference(row, trial.held_out) or "").strip() for row in read_rows(trial.held_out)]
    opening, ending = shared_start(wanted), shared_start([text[::-1] for text in wanted])[::-1]
    both = [trial.answers(arm) for arm in ("base", "tuned")]
    before, after = (
        [float(text.startswith(opening.strip()) and text.endswith(ending.strip())) for text in answers]
        for answers in both
    )
    return before, after


def shared_start(texts: Sequence[str]) -> str:
    """Return the letters with which all texts begin."""
    return "".join(
        letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    )


def preferred(trial: Trial) -> Scores:
    """Score an answer 1 when it is courteous, as the better answers are; questions that stand twice are asked once."""
    questions = list({json.dumps(prompt_messages(row, trial.held_out)): None for row in read_rows(trial.held_out)})
    asked = [json.loads(question) for question in questions]
    both = [trial.answers(arm, asked) for arm in ("base", "tuned")]
    before, after = ([float(any(word in text.lower() for word in POLITE)) for text in answers] for answers in both)
    return before, after


def rewarded(trial: Trial) -> Scores:
    """Score an answer by the rule that the plan rewards."""
    values = trial.run.plan.hyperparameters
    rule = REWARD_FUNCTIONS[str(values["reward"])]
    both = [trial.answers(arm) for arm in ("base", "tuned")]
    before, after = ([rule.score(text, None, RewardSettings()) for text in answers] for answers in both)
    return before, after


def told_right(trial: Trial) -> Scores:
    """Return the share of labels or pairs told right at the first and at the last look at the held-out rows."""
    looks = [look.accuracy or 0.0 for look in trial.evaluations()]
    rows = trial.held_out.rows
    before, after = (
        [1.0] * round(share * rows) + [0.0] * (rows - round(share * rows)) for share in (looks[0], looks[-1])
    )
    return before, after


def less_surprised(trial: Trial) -> Scores:
    """Return how likely the model finds the right next token, on average over the held-out text: exp(-loss)."""
    looks = [math.exp(-look.loss) for look in trial.evaluations()]
    return [looks[0]], [looks[-1]]


@dataclass(frozen=True)
class Aim:
    """The example that a technique is measured on, and what counts."""

    example: str
    score: Callable[[Trial], Scores]


_FACTS, _MANNER, _SHORT = Aim("shop", exact), Aim("polite", manner), Aim("short", exact)
_PAIRS = Aim("preference", preferred)
AIMS: Mapping[str, Aim] = {
    "prompt_tuning": _MANNER, "prefix_tuning": _MANNER, "p_tuning": _MANNER,
    "ia3": _SHORT, "llama_adapter": _SHORT, "vera": _SHORT, "ln_tuning": _SHORT, "road": _SHORT, "lokr": _SHORT,
    "rlhf": _PAIRS, "dpo": _PAIRS, "orpo": _PAIRS, "simpo": _PAIRS, "cpo": _PAIRS, "kto": Aim("thumbs", preferred),
    "reward_model": Aim("preference", told_right), "rloo": Aim("prompts", rewarded), "grpo": Aim("prompts", rewarded),
    "classification": Aim("sentiment", told_right), "continued_pretraining": Aim("text", less_surprised),
}  # fmt: skip
"""Techniques that are not measured on new facts."""


def kept_facts(workspace: Workspace, run: str) -> tuple[float, float]:
    """Return the share of questions about the starter's own world whose right word is in the answer, before and after.

    The questions are the held-out ones of the `preference` example; the right word is its curt answer.
    """
    rows = [
        json.loads(line) for line in workspace.data.example("preference").held_out_path.read_text("utf-8").splitlines()
    ]
    asked = [[{"role": "user", "content": row["prompt"]}] for row in rows]
    words = [row["rejected"].rstrip(".").lower() for row in rows]
    shares = []
    for arm in ("base", "tuned"):
        said = workspace.listening.answers(run, asked, GenerationSettings(max_new_tokens=64), arm=arm)
        shares.append(statistics.mean(word in text.lower() for word, text in zip(words, said, strict=True)))
    return shares[0], shares[1]


def measure(technique: str, seed: int, settings: Mapping[str, str]) -> dict[str, object]:
    """Train once and return what came of it."""
    aim = AIMS.get(technique, _FACTS)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        try:
            return _measured(workspace, technique, aim, seed, settings)
        finally:
            workspace.close()


def _measured(
    workspace: Workspace, technique: str, aim: Aim, seed: int, settings: Mapping[str, str]
) -> dict[str, object]:
    inspection = workspace.data.inspect_example(aim.example)
    assert inspection.dataset
    plan = workspace.plan(
        PlanChoices(technique, inspection.dataset.fingerprint, "starter", {"seed": str(seed), **settings})
    )
    started = time.perf_counter()
    run = workspace.train(plan)
    seconds = time.perf_counter() - started
    row: dict[str, object] = {
        "technique": technique, "seed": seed, "example": aim.example, "metric": aim.score.__name__, "status": run.status.value,
        "settings": settings_of(technique, plan.hyperparameters), "steps": plan.estimate.steps, "seconds": round(seconds, 1),
        "trainable": plan.estimate.trainable_parameters, "error": dict(run.error or {}),
    }  # fmt: skip
    if run.status != "finished":
        return row
    assert plan.held_out.dataset
    trial = Trial(workspace, run, plan.held_out.dataset)
    before, after = aim.score(trial)
    low, high = gained_interval(before, after)
    has_text = technique not in {"classification", "reward_model"}
    proof = next(event for event in workspace.events(run.id) if isinstance(event, RunProved))
    kl = next((event.kl for event in reversed(trial.evaluations()) if event.kl is not None), None)
    checkpoint = workspace.checkpoints(run.id)[-1]
    weights = sum(file.stat().st_size for file in checkpoint.path.glob("*.safetensors"))
    return row | {
        "before": statistics.mean(before), "after": statistics.mean(after), "gained": [low, high], "rows": len(before),
        "kept": kept_facts(workspace, run.id) if has_text and not plan.dataset.is_plain_text else None, "kl": kl, "bytes": weights, "problems": list(proof.problems),
        "reload_difference": proof.reload_difference,
    }  # fmt: skip


def settings_of(technique: str, values: Mapping[str, object]) -> str:
    """Return a short name of the settings that decide a result, so that a kept row is known to be of these."""
    deciding = {key: str(value) for key, value in values.items() if key not in {"seed", "eval_steps"}}
    return hashlib.sha256(json.dumps([technique, deciding], sort_keys=True).encode()).hexdigest()[:12]


def gained_interval(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean gain over rows asked both times.

    Source: the normal interval of a mean of paired differences; of fewer than two rows it is the gain itself.
    """
    gains = [late - early for early, late in zip(before, after, strict=True)]
    mean = statistics.mean(gains)
    wide = 1.96 * statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return mean - wide, mean + wide


def kept_rows() -> list[dict[str, object]]:
    """Return the rows that were measured before."""
    return [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()] if RESULTS.exists() else []


def _share(value: object) -> str:
    return f"{100 * float(str(value)):.0f} %"


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return benchmarks/effects.md: one line a technique, means over its seeds."""
    lines = [_HEAD.format(
        python=platform.python_version(), cores=os.cpu_count(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "trl", "bitsandbytes")},
    )]  # fmt: skip
    for technique in TECHNIQUES:
        mine = [row for row in rows if row["technique"] == technique and row["status"] == "finished"]
        if mine:
            lines.append(_line(technique, mine))
    return "\n".join(lines) + "\n"


def _line(technique: str, rows: Sequence[Mapping[str, object]]) -> str:
    def mean(name: str) -> float:
        return statistics.mean(float(str(row[name])) for row in rows)

    gains = [row["gained"] for row in rows]
    low = min(float(gain[0]) for gain in gains)  # type: ignore[index]  # a pair of numbers
    kept = [row["kept"] for row in rows if row["kept"]]
    facts = " -> ".join(_share(statistics.mean(pair[arm] for pair in kept)) for arm in (0, 1)) if kept else "no text"  # type: ignore[index]
    afters = " / ".join(_share(row["after"]) for row in rows)
    drift = f"{float(str(rows[-1]['kl'])):.2f}" if rows[-1].get("kl") is not None else ""
    problems = "; ".join(sorted({str(problem) for row in rows for problem in row["problems"]})) or "all proved"  # type: ignore[attr-defined]
    return (
        f"| {TECHNIQUES[technique].title} (`{technique}`) | {rows[0]['example']}, {rows[0]['metric']} | {_share(mean('before'))} | {afters} | "
        f"{_share(low)} | {facts} | {drift} | {mean('seconds'):.0f} | {rows[0]['steps']} | {int(str(rows[0]['trainable'])):,} | "
        f"{int(str(rows[0]['bytes'])) / 1e3:,.0f} | {problems} |"
    )


_HEAD = """# What each technique does to the starter model

`make effects` measures this again: each technique trains the bundled example made for it with the plan's own defaults, through the
engine that the window uses; held-out rows, which training never saw, are answered greedily before and after. Three seeds for
the techniques that the guide names, one for their kin; "after" gives every seed. Machine: {cores} cores, no GPU; Python {python},
torch {torch}, transformers {transformers}, peft {peft}, trl {trl}, bitsandbytes {bitsandbytes}.

Seconds are of whole runs, loading, checks and proof included; most were read while up to five other programs shared the two cores,
so they bound what a quiet machine takes (LoRA there: 12 to 20 s, RLOO 30 s).

Metrics: `exact` the answer equals its reference; `manner` it opens and closes as the references do; `preferred` it is courteous, as
the better answers of the pairs are; `rewarded` the mean of the rule that was rewarded; `told_right` labels or pairs told right;
`less_surprised` the mean chance of the right next token. "Gain at least" is the lower end of the 95 % interval of the gain, the
worst seed's. "Facts kept" is the share of questions about the starter's own world whose right word is in the answer, before -> after.

| technique | example, metric | before | after | gain at least | facts kept | KL | seconds | steps | trained numbers | kB on disk | proof |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Measure what is missing, print a line for each, and write the table when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--techniques", nargs="+", default=list(TECHNIQUES), choices=list(TECHNIQUES), metavar="KEY")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="try other settings; nothing is kept"
    )
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")
    parser.add_argument("--write", action="store_true", help="write benchmarks/effects.md")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    tried = dict(pair.split("=", 1) for pair in arguments.set)
    for technique in arguments.techniques:
        for seed in arguments.seeds or ((1, 2, 3) if technique in GUIDE else (1,)):
            known = {(row["technique"], row["seed"]) for row in kept_rows()}
            if (technique, seed) in known and not arguments.again and not tried:
                continue
            row = measure(technique, seed, tried)
            print(json.dumps(row), flush=True)
            if not tried:
                keep(row)
    if arguments.write:
        TABLE.write_text(table(kept_rows()), encoding="utf-8")


def keep(row: Mapping[str, object]) -> None:
    """Put a row in the place of an older one of the same technique and seed."""
    others = [old for old in kept_rows() if (old["technique"], old["seed"]) != (row["technique"], row["seed"])]
    lines = [json.dumps(each) for each in (*others, row)]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
