"""Twelve people, written by someone who had not seen the advisor: what a practitioner would tell them, and why."""

from __future__ import annotations

from math import sqrt

from engine.guide.evidence import Arm, ArmScore, Facts
from engine.types import DatasetType
from tests.engine.guide.persona import Persona

GIB = 1024**3
Z = 1.96
"""Standard deviations on either side that hold 95 % of a normal distribution."""


def _score(
    arm: str, right: int, rows: int, *, tokens: float, latency: float, found: float | None = None, run: str = ""
) -> ArmScore:
    """Return the score of an arm that got `right` of `rows` rows right, with its Wilson interval."""
    share, weight = right / rows, Z * Z / rows
    middle = (share + weight / 2) / (1 + weight)
    reach = Z * sqrt(share * (1 - share) / rows + weight / (4 * rows)) / (1 + weight)
    return ArmScore(
        arm=arm, score=share, low=max(0.0, middle - reach), high=min(1.0, middle + reach), metric="exact_match",
        rows=rows, seconds=rows * latency, prompt_tokens=tokens, latency_seconds=latency, run=run, found=found,
    )  # fmt: skip


MORE_PERSONAS: tuple[Persona, ...] = (
    Persona(
        name="A lawyer whose planning rules change every week and who must cite the paragraph",
        answers={
            "gap": "knowledge", "prompting": "partly", "facts_change": "daily", "sources": "yes", "format": "free",
            "consistency": "yes", "latency": "no", "compliance": "yes", "good_enough": "90", "examples": "some",
            "preferences": "none", "hardware": "large_gpu", "privacy": "stay", "volume": "low",
        },
        verdict="retrieval",
        because="Trained-in rules would be stale within a week and cannot be cited; a search reads today's text and "
        "knows which passage it gave.",
    ),
    Persona(
        name="A lab technician with twelve filled-in reports, strict JSON to write, and prompts that only described it",
        answers={
            "gap": "behaviour", "prompting": "fails", "facts_change": "no_facts", "sources": "no", "format": "exact",
            "latency": "no", "compliance": "no", "good_enough": "90", "examples": "few", "preferences": "none",
            "hardware": "small_gpu", "privacy": "stay", "volume": "low",
        },
        verdict="few_shot",
        because="Twelve examples are far from the hundred that training a format wants, but several fit into a prompt, "
        "and the guide tries few-shot before training.",
        facts=Facts(
            rows=12, dataset_type=DatasetType.PROMPT_COMPLETION, model_parameters=1_500_000_000, device="cuda",
            memory_bytes=12 * GIB,
        ),
    ),
    Persona(
        name="A help desk with 4,000 tickets sorted into fourteen queues of its own, which no prompt gets right",
        answers={
            "gap": "behaviour", "prompting": "fails", "facts_change": "no_facts", "sources": "no", "format": "exact",
            "consistency": "yes", "latency": "yes", "good_enough": "90", "examples": "many", "preferences": "none",
            "hardware": "large_gpu", "privacy": "stay", "volume": "medium",
        },
        verdict="fine_tune",
        because="Prompting failed, the labels are fixed, and thousands of labelled rows are what a classifier is "
        "trained on.",
        technique="classification",
        facts=Facts(
            rows=4000, dataset_type=DatasetType.CLASSIFICATION, labels=14, model_parameters=500_000_000, device="cuda",
            memory_bytes=16 * GIB, techniques=("classification",),
        ),
    ),
    Persona(
        name="A shop that was about to train on its review sentiments and then measured the base model at 96 %",
        answers={
            "gap": "behaviour", "prompting": "not_tried", "facts_change": "no_facts", "sources": "no",
            "format": "exact", "latency": "no", "good_enough": "90", "examples": "many", "preferences": "none",
            "hardware": "large_gpu", "privacy": "may_leave", "volume": "medium",
        },
        verdict="prompt",
        because="Even the lower end of the interval is above the 90 % asked for, and nothing heavier scored better by "
        "more than chance.",
        facts=Facts(
            rows=2100, dataset_type=DatasetType.CLASSIFICATION, labels=3, model_parameters=3_000_000_000,
            device="cuda", memory_bytes=24 * GIB,
        ),
        evidence=(
            _score(Arm.BASE, 288, 300, tokens=90, latency=0.4),
            _score(Arm.PROMPT, 289, 300, tokens=160, latency=0.4),
            _score(Arm.FEW_SHOT, 290, 300, tokens=620, latency=0.6),
        ),
    ),
    Persona(
        name="A librarian whose catalogue entries come out right as soon as a handful of examples stand in the prompt",
        answers={
            "gap": "behaviour", "prompting": "partly", "facts_change": "no_facts", "sources": "no", "format": "exact",
            "latency": "no", "compliance": "no", "good_enough": "90", "examples": "many", "preferences": "none",
            "hardware": "large_gpu", "privacy": "may_leave", "volume": "low",
        },
        verdict="few_shot",
        because="Few-shot is above the target with its whole interval while the prompt alone is far below; at a few "
        "requests a day the longer prompt costs next to nothing.",
        facts=Facts(
            rows=900, dataset_type=DatasetType.PROMPT_COMPLETION, model_parameters=3_000_000_000, device="cuda",
            memory_bytes=24 * GIB,
        ),
        evidence=(
            _score(Arm.BASE, 141, 300, tokens=110, latency=0.9),
            _score(Arm.PROMPT, 222, 300, tokens=340, latency=1.0),
            _score(Arm.FEW_SHOT, 285, 300, tokens=1150, latency=1.3),
        ),
    ),
    Persona(
        name="A machine maker whose tuned model did no better on its monthly spare-parts list than retrieval",
        answers={
            "gap": "knowledge", "prompting": "fails", "facts_change": "monthly", "sources": "yes", "format": "free",
            "latency": "no", "good_enough": "90", "examples": "many", "preferences": "none",
            "hardware": "large_gpu", "privacy": "stay", "volume": "medium",
        },
        verdict="retrieval",
        because="Retrieval reaches the target and the tuned model is not above it, so the lighter way wins; it also "
        "follows next month's list and can name its source.",
        facts=Facts(
            rows=1500, dataset_type=DatasetType.PROMPT_COMPLETION, model_parameters=7_000_000_000, device="cuda",
            memory_bytes=48 * GIB,
        ),
        evidence=(
            _score(Arm.BASE, 45, 500, tokens=70, latency=0.9),
            _score(Arm.FEW_SHOT, 85, 500, tokens=640, latency=1.1),
            _score(Arm.RETRIEVAL, 468, 500, tokens=880, latency=1.3, found=0.97),
            _score(Arm.TUNED, 464, 500, tokens=70, latency=0.9, run="parts-lora"),
        ),
    ),
    Persona(
        name="A hotel chain whose replies sound cold however they are prompted, with 900 pairs marked by its hosts",
        answers={
            "gap": "behaviour", "prompting": "fails", "facts_change": "no_facts", "sources": "no", "format": "style",
            "consistency": "yes", "latency": "no", "compliance": "yes", "preferences": "pairs",
            "hardware": "large_gpu", "privacy": "stay", "volume": "medium",
        },
        verdict="fine_tune",
        because="Tone is taste that prompts failed to set, and pairs of a better and a worse answer teach it directly; "
        "DPO is the guide's way to learn from them.",
        technique="dpo",
        facts=Facts(
            rows=900, dataset_type=DatasetType.PREFERENCE, model_parameters=1_500_000_000, device="cuda",
            memory_bytes=24 * GIB, techniques=("dpo", "orpo", "simpo", "cpo", "reward_model"),
        ),
    ),
    Persona(
        name="Someone who answered nothing, chose 1,800 rows, and measured every way side by side",
        answers={},
        verdict="fine_tune",
        because="Only the tuned model reaches the usual 90 %; its interval lies far above those of all lighter ways, "
        "which were all tried.",
        facts=Facts(
            rows=1800, dataset_type=DatasetType.PROMPT_COMPLETION, model_parameters=1_500_000_000, device="cuda",
            memory_bytes=24 * GIB,
        ),
        evidence=(
            _score(Arm.BASE, 102, 300, tokens=85, latency=0.6),
            _score(Arm.PROMPT, 123, 300, tokens=240, latency=0.6),
            _score(Arm.FEW_SHOT, 174, 300, tokens=760, latency=0.8),
            _score(Arm.RETRIEVAL, 168, 300, tokens=810, latency=0.9, found=0.38),
            _score(Arm.FEW_SHOT_RETRIEVAL, 186, 300, tokens=1400, latency=1.1, found=0.38),
            _score(Arm.LOOKUP, 93, 300, tokens=0, latency=0.02, found=0.38),
            _score(Arm.TUNED, 285, 300, tokens=85, latency=0.6, run="first-lora"),
        ),
    ),
    Persona(
        name="A student with forty rows who held out eight and wonders whether seven right beats five",
        answers={
            "gap": "behaviour", "prompting": "partly", "facts_change": "no_facts", "sources": "no", "format": "style",
            "latency": "no", "compliance": "no", "good_enough": "90", "examples": "few", "preferences": "none",
            "hardware": "small_gpu", "privacy": "may_leave", "volume": "low",
        },
        verdict="more_data",
        because="With eight rows all three intervals overlap almost wholly and none says whether 90 % is reached; two "
        "rows of difference are chance.",
        facts=Facts(
            rows=32, dataset_type=DatasetType.PROMPT_COMPLETION, model_parameters=500_000_000, device="cuda",
            memory_bytes=8 * GIB,
        ),
        evidence=(
            _score(Arm.BASE, 5, 8, tokens=60, latency=0.3),
            _score(Arm.FEW_SHOT, 6, 8, tokens=430, latency=0.4),
            _score(Arm.TUNED, 7, 8, tokens=60, latency=0.3, run="try-1"),
        ),
    ),
    Persona(
        name="A marketplace that reads attributes from 200,000 offers a day while the seller waits",
        answers={
            "gap": "behaviour", "prompting": "partly", "facts_change": "no_facts", "sources": "no", "format": "exact",
            "consistency": "yes", "latency": "yes", "compliance": "yes", "good_enough": "90", "examples": "many",
            "preferences": "none", "hardware": "small_gpu", "privacy": "stay", "volume": "high",
        },
        verdict="fine_tune",
        because="Tuned is at least as right as few-shot with a twentieth of the prompt and a fifth of the wait, and at "
        "this volume that pays within days; a model of 7 billion fits 12 GB only in four bits.",
        technique="qlora",
        facts=Facts(
            rows=5400, dataset_type=DatasetType.PROMPT_COMPLETION, model_parameters=7_000_000_000, device="cuda",
            memory_bytes=12 * GIB, techniques=("qlora",),
        ),
        evidence=(
            _score(Arm.BASE, 228, 600, tokens=140, latency=0.5),
            _score(Arm.PROMPT, 414, 600, tokens=420, latency=0.7),
            _score(Arm.FEW_SHOT, 558, 600, tokens=3100, latency=2.6),
            _score(Arm.TUNED, 570, 600, tokens=150, latency=0.5, run="offers-qlora"),
        ),
    ),
    Persona(
        name="A club secretary with 800 old newsletters and a large card, whose prompt already writes the next one well",
        answers={
            "gap": "nothing", "prompting": "works", "facts_change": "no_facts", "sources": "no", "format": "style",
            "consistency": "no", "latency": "no", "compliance": "no", "good_enough": "80", "examples": "many",
            "preferences": "none", "hardware": "large_gpu", "privacy": "may_leave", "volume": "low",
        },
        verdict="prompt",
        because="The prompt works and none of the guide's four reasons to train holds; having data and a card is no "
        "reason.",
    ),
    Persona(
        name="An insurer whose claim letters must follow a template that prompts keep missing, and no example kept",
        answers={
            "gap": "behaviour", "prompting": "fails", "facts_change": "no_facts", "sources": "no", "format": "exact",
            "consistency": "yes", "latency": "no", "compliance": "yes", "good_enough": "95", "examples": "none",
            "preferences": "none", "hardware": "large_gpu", "privacy": "stay", "volume": "medium",
        },
        verdict="more_data",
        because="Every reason to train is there but nothing to train on, nor to show in a prompt or to measure with; "
        "first good letters have to be collected.",
    ),
)  # fmt: skip
