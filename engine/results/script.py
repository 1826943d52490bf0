"""A run as a plain Python script of transformers, peft, trl and datasets, which an engineer could have written by hand.

It is made from the tables by which the run itself is made, and says what it cannot express. Nothing is executed here, and the
script needs no Luthier. The tokens, the order of rows, the arguments and the seed are those of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from engine.guide.methods import METHODS
from engine.guide.techniques import technique_of
from engine.results.script_code import assigned, remark, script
from engine.results.script_rows import held_out_constant, reading, rows_sections
from engine.training.stages import compiles, whole
from engine.types import Objective, TrainingPlan

if TYPE_CHECKING:
    from engine.results.script_facts import Facts

LIBRARIES = ("torch", "transformers", "peft", "trl", "datasets")


@dataclass(frozen=True)
class Script:
    """A run as a script.

    Attributes:
        text: The whole file; empty where plain libraries cannot express the run, which `differences` then explain.
        differences: What differs between the run and the script, a sentence each; they stand at its head, too.
    """

    text: str
    differences: tuple[str, ...]

    @property
    def can_run(self) -> bool:
        """Whether there is a script at all."""
        return bool(self.text)


def script_of(plan: TrainingPlan, runs: Path | None = None) -> Script:
    """Return the script that does what a run of this plan does.

    Args:
        plan: The plan.
        runs: The folder in which runs lie; needed only where a reward model of another run judges.

    Raises:
        TuningError: When the model's tokenizer or the rows cannot be read.
    """
    from engine.results.script_facts import facts_of  # noqa: PLC0415 - brings torch, and only whoever asks waits for it

    facts = facts_of(plan, runs)
    obstacle = _obstacle(facts)
    if obstacle:
        return Script("", (obstacle,))
    differences = tuple(_differences(facts))
    return Script(script(_head(facts, differences), _constants(facts), _flow(facts)), differences)


def _obstacle(facts: Facts) -> str | None:
    """Return why no script can be written, or None when one can."""
    from engine.results.script_arguments import is_plain_peft  # noqa: PLC0415 - as above

    title = METHODS[facts.recipe.method].title
    if not is_plain_peft(facts.recipe, facts):
        return (
            f"{title} are no method of peft: Luthier brings the layers itself, so a script of peft and trl alone cannot train "
            "them. LoRA is the nearest method of which there is a script."
        )
    if not facts.has_places and facts.unlike == facts.tried > 0:
        return (
            "The tokenizer of this model is written in Python and does not tell which characters a token stands for, so a few "
            "plain lines cannot say which tokens are learnt."
        )
    return None


def _differences(facts: Facts) -> list[str]:
    found = []
    if facts.unlike:
        found.append(
            f"{facts.unlike} of the first {facts.tried} rows become other tokens here: a text spells a special token of the model, "
            "which Luthier reads as plain text, or an answer melts into what stands before it. Losses differ a little."
        )
    if facts.plan.device != "cpu":
        found.append("A card adds numbers up in an order of its own; losses are close, not equal.")
    if compiles(facts.plan):
        found.append("It does not compile the layers: it is slower than the run, and rounds a little differently.")
    if facts.stages[-1].facts.generates:
        found.append(
            "The model's own answers are drawn at random: they are those of the run only with the same versions on the same kind "
            "of processor; elsewhere compare the curve of the reward, not single steps."
        )
    found += _looking(facts)
    if _needs_reward_folder(facts) and facts.judge is None:
        found.append("The folder of the reward model is not known here: fill in REWARD_MODEL.")
    return found


def _looking(facts: Facts) -> list[str]:
    """Return what differs in what is made of the looks at the held-out rows."""
    ends_early = facts.plan.held_out.rows > 0 and facts.plan.hyperparameters.get("early_stopping_patience", 0) != 0
    if ends_early and facts.stages[-1].facts.generates:
        return ["It does not end early: trl does not tell the reward to what would end it."]
    if ends_early or facts.plan.keeps_best:
        return [
            "The untrained model does not count when the best step is kept or the run ends early. Where the held-out rows like no "
            "trained one better, the run ends sooner, and may keep another step."
        ]
    return []


def _needs_reward_folder(facts: Facts) -> bool:
    return facts.plan.hyperparameters.get("reward") == "reward_model"


def _head(facts: Facts, differences: tuple[str, ...]) -> str:
    plan, technique = facts.plan, technique_of(facts.plan.technique)
    method = METHODS[facts.recipe.method].title
    title = technique.title if technique.title == method else f"{technique.title} ({method})"
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    alone = " CUDA_VISIBLE_DEVICES=0" if plan.device == "cuda" else ""
    lines = [
        remark(f"A run of Luthier as a plain script: {title} of {plan.model.title} on {plan.dataset.name}."),
        remark(f"Made for {versions}."),
        remark(f"Start it with:{alone} python script.py"),
    ]
    if facts.tried and not facts.unlike:
        lines.append(remark(f"Checked: its first {facts.tried} rows become the same tokens as in the run."))
    if differences:
        lines += [
            "#",
            "# It differs from the run in this:",
            *(remark(f"- {sentence}", "  ") for sentence in differences),
        ]
    return "\n".join(lines)


def _constants(facts: Facts) -> list[str]:
    values = facts.plan.hyperparameters
    lines = [
        assigned("MODEL", str(facts.plan.model.path)),
        assigned("ROWS", str(facts.dataset.parquet_path)),
        *held_out_constant(facts),
        assigned("OUTPUT", f"{facts.plan.technique}-tuned"),
    ]
    if len(facts.stages) > 1:
        lines.append(assigned("REWARD_MODEL", f"{facts.plan.technique}-reward-model"))
    if _needs_reward_folder(facts):
        lines.append(assigned("REWARD_MODEL", str(facts.judge.folder) if facts.judge else "fill in"))
    if not all(stage.facts.generates for stage in facts.stages):
        lines.append(assigned("MAX_LENGTH", whole(values, "max_length")))
    if facts.stages[-1].facts.generates:
        room = facts.plan.model.context_length_tokens - whole(values, "max_completion_length")
        lines.append(assigned("LONGEST_QUESTION", min(whole(values, "max_length"), room)) + "  # tokens")
    if facts.objective is Objective.CLASSIFICATION:
        lines.append(assigned("LABELS", facts.plan.labels))
    if facts.puts_leading:
        lines.append(assigned("LEADING", facts.leading) + "  # tokens with which every text begins")
    return [*lines, *_reward_constants(facts)]


def _reward_constants(facts: Facts) -> list[str]:
    values = facts.plan.hyperparameters
    return {
        "length": [assigned("TARGET_WORDS", whole(values, "reward_target_words"))] if "reward" in values else [],
        "matches_pattern": [assigned("PATTERN", str(values.get("reward_pattern")))],
    }.get(str(values.get("reward")), [])


def _flow(facts: Facts) -> list[str]:
    from engine.results.script_training import Names, training_sections  # noqa: PLC0415 - as above

    start = ["tokenizer = AutoTokenizer.from_pretrained(MODEL)"]
    if not facts.pads:
        start.append("tokenizer.pad_token = tokenizer.eos_token")
    if facts.threads:
        start.insert(0, f"torch.set_num_threads({facts.threads})  # as many as the run takes: sums come out the same")
    sections = ["\n".join(start), reading(facts)]
    for stage, recipe in zip(facts.stages, facts.recipes, strict=True):
        is_last = stage is facts.stages[-1]
        if len(facts.stages) > 1:
            sections.append(PART_BEGINS[is_last])
        names = Names() if is_last else Names("reward_", "REWARD_MODEL")
        sections += rows_sections(facts, stage.objective, names.prefix)
        sections += training_sections(facts, stage, recipe, names)
    return sections


PART_BEGINS = {
    False: "# Part 1: a reward model learns from the pairs which answers are better.",
    True: "# Part 2: the model answers, the reward model judges, and what was judged better becomes likelier.",
}
"""By whether the part is the last."""
