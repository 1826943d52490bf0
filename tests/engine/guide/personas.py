"""People who ask whether to train, and what each of them should hear. The advisor is held to these rows.

Rows only, grouped by what decides. Every `because` rests on the guide or on a finding that is common in the field.
"""

from __future__ import annotations

from math import sqrt

from engine.guide.evidence import ARM_TITLES, Arm, ArmScore, Evidence, Facts
from engine.types import DatasetType
from tests.engine.guide.persona import Persona

_GIB = 2**30
_HALF_BILLION, _ONE_AND_A_HALF_BILLION, _EIGHT_BILLION = 494_032_768, 1_543_714_304, 8_030_261_248
_ON_CPU = ("lora", "full", "instruction", "prompt_tuning", "adapters", "ia3", "dora")
_ON_GPU = ("lora", "qlora", "full", "instruction", "prompt_tuning", "adapters", "ia3", "dora")
_FROM_PAIRS = ("dpo", "orpo", "simpo", "cpo", "reward_model")

_COSTS = {
    Arm.BASE: (60, 0.6), Arm.PROMPT: (240, 0.8), Arm.FEW_SHOT: (1100, 1.9), Arm.RETRIEVAL: (900, 1.7), Arm.FEW_SHOT_RETRIEVAL: (1900, 2.9),
    Arm.LOOKUP: (0, 0.02), Arm.TUNED: (60, 0.6),
}  # fmt: skip
"""From an arm to the tokens of its prompt and the seconds until its answer ends, of a size that a small model has."""


def _measured(rows: int, *, found: float | None = None, **right: int) -> Evidence:
    """Return the scores of arms by how many of the same held-out rows each of them got right."""
    return tuple(_arm(arm, count, rows, found) for arm, count in right.items())


def _arm(arm: str, right: int, rows: int, found: float | None) -> ArmScore:
    low, high = _wilson(right, rows)
    prompt_tokens, latency_seconds = _COSTS[arm]
    return ArmScore(
        arm=arm, score=right / rows, low=low, high=high, metric="exact_match", rows=rows,
        seconds=rows * latency_seconds, prompt_tokens=prompt_tokens, latency_seconds=latency_seconds,
        run="20260301-tuned" if arm == Arm.TUNED else "", title=ARM_TITLES[arm],
        found=found if arm in {Arm.RETRIEVAL, Arm.FEW_SHOT_RETRIEVAL, Arm.LOOKUP} else None,
    )  # fmt: skip


def _wilson(right: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    z, share = 1.959964, right / rows
    middle, widening = share + z * z / (2 * rows), z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return (middle - widening) / (1 + z * z / rows), (middle + widening) / (1 + z * z / rows)


def _rows(
    rows: int, kind: DatasetType = DatasetType.PROMPT_COMPLETION, techniques: tuple[str, ...] = _ON_GPU, *,
    labels: int = 0, plain_text: bool = False, parameters: int = _ONE_AND_A_HALF_BILLION, device: str = "cuda",
    gib: int = 24,
) -> Facts:  # fmt: skip
    return Facts(
        rows=rows, dataset_type=kind, labels=labels, plain_text=plain_text, model_parameters=parameters, device=device,
        memory_bytes=gib * _GIB, techniques=techniques,
    )  # fmt: skip


_LITTLE_SAID = (
    Persona(
        "A visitor who has answered nothing and chosen nothing", {}, "prompt",
        "The guide asks for the lightest means first, and nothing is lighter than a prompt.",
    ),
    Persona(
        "A student with an old laptop who has only heard that fine-tuning is the thing to do",
        {"hardware": "cpu"}, "prompt",
        "A machine is no reason to train: the guide tries lighter means before, and a prompt needs no hardware at all.",
    ),
    Persona(
        "A café owner whose chatbot does not know the opening hours; the rest is left open",
        {"gap": "knowledge"}, "retrieval",
        "Facts are put into the prompt when they are needed, one of the lighter means that the guide wants first.",
    ),
    Persona(
        "A pastor who finds the model's prayers too chatty and has gone no further",
        {"gap": "behaviour"}, "prompt",
        "A tone is first asked for in words; the guide trains only once prompting has failed.",
    ),
    Persona(
        "A founder who wants to train because there is a GPU and a pile of old e-mails, and names no fault",
        {"gap": "nothing", "examples": "many", "hardware": "large_gpu", "volume": "medium"}, "prompt",
        "The guide trains to mend a behaviour that prompts cannot mend, and here nothing is known to be broken.",
        facts=_rows(8000),
    ),
    Persona(
        "An app maker whose prompt already works, under strict rules and in a hurry",
        {"gap": "behaviour", "prompting": "works", "consistency": "yes", "latency": "yes", "compliance": "yes",
         "examples": "many", "volume": "medium"},
        "prompt",
        "Training is for prompts that fail, by the guide; this one works and is the lightest means there is.",
    ),
)  # fmt: skip

_FACTS_MISSING = (
    Persona(
        "A travel agency that answers by today's prices and has thousands of old chats",
        {"gap": "knowledge", "facts_change": "daily", "prompting": "fails", "examples": "many", "latency": "yes",
         "volume": "high", "hardware": "large_gpu"},
        "retrieval", "Trained-in facts stay as they were on the day of training, so prices that move daily have to be looked up.",
    ),
    Persona(
        "A law firm whose answers must name the paragraph; nothing may leave the house",
        {"gap": "knowledge", "facts_change": "never", "sources": "yes", "compliance": "yes", "consistency": "yes",
         "examples": "many", "privacy": "stay", "hardware": "large_gpu"},
        "retrieval", "A search knows which passage it handed over; a tuned model cannot say where it learnt something.",
    ),
    Persona(
        "A journalist who cannot name the fault, but needs this week's figures with their sources",
        {"gap": "unsure", "facts_change": "daily", "sources": "yes", "prompting": "partly"}, "retrieval",
        "Fresh figures with a source can only come from a search, whatever else may be wrong.",
    ),
    Persona(
        "A personnel office with a handbook that changes once in years and 900 questions from it",
        {"gap": "knowledge", "facts_change": "never", "sources": "no", "prompting": "fails", "examples": "many",
         "good_enough": "90"},
        "retrieval", "RAG is one of the lighter means that the guide tries first, and for facts it usually beats fine-tuning.",
        facts=_rows(900),
    ),
    Persona(
        "A bank whose model knows neither the monthly rates nor the house's tone",
        {"gap": "both", "facts_change": "monthly", "prompting": "fails", "format": "style", "compliance": "yes",
         "consistency": "yes", "examples": "some"},
        "retrieval", "Rates that change each month make a tuned model stale within weeks, so they have to be searched for first.",
    ),
    Persona(
        "A museum that lacks its own catalogue's facts and its guides' voice, with 300 written answers",
        {"gap": "both", "facts_change": "never", "sources": "no", "prompting": "fails", "format": "style",
         "examples": "some"},
        "retrieval", "The guide puts RAG before training, and it has not been tried here; what a prompt failed at may have been the facts.",
    ),
)  # fmt: skip

_MANNER_MISSING = (
    Persona(
        "A shop owner with a dozen product texts in her own voice who has not yet tried a prompt",
        {"gap": "behaviour", "prompting": "not_tried", "format": "style", "examples": "few", "volume": "low"}, "few_shot",
        "Few-shot learning is among the guide's lighter means, and a voice is easier shown than described.",
    ),
    Persona(
        "An insurer with 5,000 model letters and every reason to train, who has never tried a prompt",
        {"gap": "behaviour", "prompting": "not_tried", "format": "style", "consistency": "yes", "compliance": "yes",
         "examples": "many", "hardware": "large_gpu"},
        "few_shot", "Strict needs speak for training only after the lighter means; five of those letters in a prompt are tried in an hour.",
    ),
    Persona(
        "A volunteer who moderates a forum and has no examples and no prompt yet",
        {"gap": "behaviour", "prompting": "not_tried", "examples": "none", "format": "exact", "volume": "low"}, "prompt",
        "Prompt engineering comes first in the guide, and with no example at hand there is nothing else to show.",
    ),
    Persona(
        "A teacher with twenty marked essays whose prompt gets the tone of the remarks half right",
        {"gap": "behaviour", "prompting": "partly", "format": "style", "examples": "few", "hardware": "none"}, "few_shot",
        "Twenty examples are too few to train on and plenty for a prompt, where a handful often closes such a gap.",
    ),
    Persona(
        "A translator with thirty sample pages who does not say what was tried",
        {"gap": "behaviour", "examples": "few", "facts_change": "no_facts"}, "few_shot",
        "As long as no prompt is known to have failed, the guide's lighter means come first, and samples are at hand.",
    ),
    Persona(
        "An accountant who needs exact JSON from invoices, with 25 examples and a prompt that fails",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "examples": "few", "consistency": "yes"}, "few_shot",
        "A format wants about a hundred rows to be trained, but 25 are enough to be shown; the guide tries few-shot before training.",
    ),
    Persona(
        "A start-up with a strict house style, a prompt that fails and not one example",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "examples": "none", "compliance": "yes"}, "more_data",
        "Prompting has failed, and neither few-shot nor training can start without an example.",
    ),
    Persona(
        "A support team whose prompt holds the tone on most days; 300 good replies, no file chosen yet",
        {"gap": "behaviour", "prompting": "partly", "format": "style", "consistency": "yes", "examples": "some",
         "preferences": "none", "hardware": "large_gpu", "privacy": "stay"},
        "fine_tune", "Prompts vary from run to run, and steady quality over many requests is the guide's first reason to train.",
        technique="lora",
    ),
    Persona(
        "A logistics company that turns e-mails into a fixed JSON order form, 3,000 pairs, prompt fails",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "consistency": "yes", "latency": "yes",
         "examples": "many", "volume": "high", "hardware": "large_gpu"},
        "fine_tune", "Prompting fails at an exact form and every second counts: two of the guide's reasons to train.",
        technique="lora", facts=_rows(3000),
    ),
    Persona(
        "A help desk that sorts tickets into fourteen queues and gets made-up queues from the prompt",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "facts_change": "no_facts", "examples": "many"},
        "fine_tune", "Where prompting fails, train; a classification head can only answer with labels that exist.",
        technique="classification", facts=_rows(2200, DatasetType.CLASSIFICATION, ("classification",), labels=14),
    ),
    Persona(
        "A publisher whose editors chose the better of two blurbs 800 times, after prompts helped only a little",
        {"gap": "behaviour", "prompting": "partly", "format": "style", "preferences": "pairs", "hardware": "large_gpu"},
        "fine_tune", "Taste that a prompt cannot put into words is learnt from pairs, for which the guide names DPO.",
        technique="dpo", facts=_rows(800, DatasetType.PREFERENCE, _FROM_PAIRS),
    ),
    Persona(
        "A chat app with 6,000 thumbs up and down under its answers; three rewrites of the prompt failed",
        {"gap": "behaviour", "prompting": "fails", "preferences": "thumbs", "volume": "high"},
        "fine_tune", "Prompting fails to mend the behaviour, and thumbs without a counterpart are what KTO was made for.",
        technique="kto", facts=_rows(6000, DatasetType.UNPAIRED_PREFERENCE, ("kto",)),
    ),
    Persona(
        "A game studio with pairs of better and worse dialogue in a drawer, nothing chosen yet, prompts failed",
        {"gap": "behaviour", "prompting": "fails", "format": "style", "examples": "some", "preferences": "pairs",
         "hardware": "large_gpu"},
        "fine_tune", "The guide trains where prompting fails, and lists DPO for learning from preferences.", technique="dpo",
    ),
    Persona(
        "A recipe site that stored a thumb for each of its answers, nothing chosen yet, prompts failed",
        {"gap": "behaviour", "prompting": "fails", "examples": "many", "preferences": "thumbs", "hardware": "large_gpu"},
        "fine_tune", "Prompting fails, and single thumbs need an objective that does without pairs.", technique="kto",
    ),
    Persona(
        "A tutor with 1,200 sums whose results can be checked, but without worked answers; prompts fail",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "facts_change": "no_facts", "hardware": "large_gpu"},
        "fine_tune", "Where prompting fails and an answer can be checked but not written out, a reward can teach it.",
        facts=_rows(1200, DatasetType.PROMPT_ONLY, ("grpo", "rloo")),
    ),
    Persona(
        "A dialect society with 4,000 plain pages; the model slips back into the standard language",
        {"gap": "behaviour", "prompting": "fails", "format": "style", "facts_change": "no_facts", "privacy": "stay"},
        "fine_tune", "Prompts do not make up for a way of writing that a model hardly ever read; going on with pre-training does.",
        technique="continued_pretraining",
        facts=_rows(4000, DatasetType.LANGUAGE_MODELING, ("continued_pretraining", *_ON_GPU), plain_text=True),
    ),
    Persona(
        "A hobbyist who wants an 8-billion model to write like his letters, on a 12 GB card; prompts fail",
        {"gap": "behaviour", "prompting": "fails", "format": "style", "hardware": "small_gpu", "privacy": "stay"},
        "fine_tune", "Where prompting fails start with PEFT, and by the guide QLoRA's quantised weights need less memory still.",
        technique="qlora",
        facts=_rows(400, DatasetType.LANGUAGE_MODELING, ("qlora",), parameters=_EIGHT_BILLION, gib=12),
    ),
    Persona(
        "An agency without a machine of its own that may send its 700 examples away; prompts fail",
        {"gap": "behaviour", "prompting": "fails", "consistency": "yes", "examples": "many", "hardware": "none",
         "privacy": "may_leave"},
        "fine_tune", "Prompting fails and steadiness is asked for, and models such as GPT-4o can be tuned at their provider.",
    ),
    Persona(
        "A hospital that needs its discharge letters in one template, on a computer without a graphics card",
        {"gap": "behaviour", "prompting": "partly", "format": "exact", "compliance": "yes", "examples": "some",
         "hardware": "cpu", "privacy": "stay"},
        "fine_tune", "Strict compliance is one of the guide's reasons to train, and LoRA on half a billion weights runs on a CPU.",
        technique="lora", facts=_rows(350, techniques=_ON_CPU, parameters=_HALF_BILLION, device="cpu", gib=16),
    ),
)  # fmt: skip

_MEASURED_FACTS = (
    Persona(
        "A university whose search reaches the target; the tuned model is a hair better",
        {"gap": "knowledge", "facts_change": "never", "sources": "no", "good_enough": "90", "examples": "many"},
        "retrieval", "Both are good enough, and then the guide takes the lighter one.",
        facts=_rows(1500), evidence=_measured(200, found=0.97, base=22, prompt=60, retrieval=185, tuned=187),
    ),
    Persona(
        "A town hall with standard answers that a small model garbles; search alone gets them right",
        {"gap": "knowledge", "facts_change": "never", "good_enough": "90", "volume": "medium"}, "retrieval",
        "Handing out the answer that was found reaches the target with no model at all, lighter than anything trained.",
        facts=_rows(600), evidence=_measured(200, found=0.96, base=14, retrieval=166, lookup=183),
    ),
    Persona(
        "A broker with daily prices whose tuned model beat the search on last month's questions",
        {"gap": "knowledge", "facts_change": "daily", "good_enough": "90", "examples": "many"}, "retrieval",
        "The tuned model's lead is over yesterday's facts and is gone with the next price.",
        facts=_rows(2500), evidence=_measured(200, found=0.88, base=10, prompt=16, retrieval=150, tuned=184),
    ),
    Persona(
        "A manufacturer whose part numbers confuse the search, while a tuned model knows them",
        {"gap": "knowledge", "facts_change": "never", "sources": "no", "good_enough": "90", "examples": "many"},
        "fine_tune", "The lighter means was tried and is clearly too weak, the tuned one clearly better, and the facts stay.",
        technique="lora", facts=_rows(2400, DatasetType.LANGUAGE_MODELING),
        evidence=_measured(200, found=0.64, base=8, prompt=12, retrieval=118, tuned=182),
    ),
    Persona(
        "A standards body: the right passage is found, and the model still misreads its terms; nothing trained yet",
        {"gap": "knowledge", "facts_change": "never", "sources": "no", "good_enough": "80", "examples": "many"},
        "fine_tune", "RAG was tried as the guide asks and fails with the passage in hand: the model keeps misunderstanding.",
        technique="lora", facts=_rows(600),
        evidence=_measured(200, found=0.92, base=30, prompt=48, retrieval=96, few_shot_retrieval=104),
    ),
    Persona(
        "A phone company with fixed tariff terms, a search that is good but slow, and a million calls",
        {"gap": "knowledge", "facts_change": "never", "sources": "no", "latency": "yes", "volume": "high",
         "good_enough": "90"},
        "fine_tune", "Low latency is one of the guide's reasons: a tuned model answers faster than RAG, at every one of many requests.",
        technique="lora", facts=_rows(5000),
        evidence=_measured(200, found=0.97, base=20, prompt=52, retrieval=186, tuned=188),
    ),
    Persona(
        "A club with 800 questions on its history that has measured prompts and not yet a search",
        {"gap": "knowledge", "facts_change": "never", "good_enough": "80", "examples": "many"}, "retrieval",
        "A prompt cannot hold what it was not given; of the guide's lighter means the one made for facts has not been tried.",
        facts=_rows(800), evidence=_measured(100, base=22, prompt=31),
    ),
)  # fmt: skip

_MEASURED_MANNER = (
    Persona(
        "A marketer who is sure that prompting fails, while the model as it is scores 92 of 100",
        {"gap": "behaviour", "prompting": "fails", "good_enough": "90", "examples": "many"}, "prompt",
        "The measurement contradicts the impression: the lightest means of all is already good enough.",
        facts=_rows(1000), evidence=_measured(100, base=92, prompt=93),
    ),
    Persona(
        "A delivery service in a hurry whose prompt passes a modest target and whose tuned model shines",
        {"gap": "behaviour", "prompting": "partly", "latency": "yes", "volume": "high", "good_enough": "80",
         "facts_change": "no_facts"},
        "prompt", "The lightest means that is good enough wins, and a short prompt is no slower to speak of.",
        facts=_rows(3000), evidence=_measured(200, base=92, prompt=172, few_shot=178, tuned=192),
    ),
    Persona(
        "A newsroom whose summaries come out right once four examples stand in the prompt",
        {"gap": "behaviour", "prompting": "partly", "format": "style", "good_enough": "90", "volume": "low"}, "few_shot",
        "Few-shot learning reaches the target, and the guide trains only where the lighter means do not.",
        facts=_rows(450), evidence=_measured(200, base=70, prompt=136, few_shot=186),
    ),
    Persona(
        "A voice assistant with millions of short commands, for which the examples' long prompt is too slow",
        {"gap": "behaviour", "prompting": "partly", "format": "exact", "latency": "yes", "volume": "high",
         "facts_change": "no_facts", "sources": "no", "good_enough": "90"},
        "fine_tune", "Few-shot is good but pays for its long prompt at each request; low latency is the guide's reason to train.",
        technique="lora", facts=_rows(3000), evidence=_measured(200, base=40, prompt=142, few_shot=188, tuned=192),
    ),
    Persona(
        "A small surgery that wants quick answers, sixty a day, and has a few-shot prompt that is good enough",
        {"gap": "behaviour", "prompting": "partly", "latency": "yes", "volume": "low", "facts_change": "no_facts",
         "good_enough": "90"},
        "few_shot", "A second saved sixty times a day does not pay for training when a lighter means reaches the target.",
        facts=_rows(500), evidence=_measured(200, base=64, prompt=140, few_shot=186),
    ),
    Persona(
        "A ministry that sorts letters into twelve subjects and has measured all the light means",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "facts_change": "no_facts", "good_enough": "90"},
        "fine_tune", "Prompts and examples were tried and miss the target by far, which is the guide's case for training.",
        technique="classification",
        facts=_rows(400, DatasetType.CLASSIFICATION, ("classification",), labels=12),
        evidence=_measured(200, base=62, prompt=128, few_shot=149),
    ),
    Persona(
        "A beekeepers' paper with 35 rows to learn from and no means that is good enough",
        {"gap": "behaviour", "prompting": "partly", "examples": "few", "good_enough": "90"}, "more_data",
        "The light means fall short, and a manner takes about a hundred rows to train.",
        facts=_rows(35), evidence=_measured(25, base=5, prompt=12, few_shot=15),
    ),
    Persona(
        "A physiotherapist who measured on twelve rows, ten of them right",
        {"gap": "behaviour", "prompting": "partly", "examples": "some", "good_enough": "90"}, "more_data",
        "Ten of twelve may be 55 or 95 of 100, so the measurement cannot tell whether the prompt is enough.",
        facts=_rows(60), evidence=_measured(12, base=6, prompt=10),
    ),
    Persona(
        "A laboratory that measured on sixteen rows only, of which its best prompt got four",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "facts_change": "no_facts", "good_enough": "90"},
        "fine_tune", "Few rows, but even the upper end of the interval is far below the target: prompting fails.",
        technique="lora", facts=_rows(200), evidence=_measured(16, base=1, prompt=3, few_shot=4),
    ),
    Persona(
        "An archive whose training brought nothing over the examples in the prompt",
        {"gap": "behaviour", "prompting": "partly", "format": "style", "good_enough": "90"}, "few_shot",
        "All miss the target, but training was tried and did not help, so the lighter means stays.",
        facts=_rows(700), evidence=_measured(200, base=88, prompt=131, few_shot=158, tuned=151),
    ),
    Persona(
        "A drug maker that asks for 99 of 100 and got to 94 by training, far above any prompt",
        {"gap": "behaviour", "prompting": "fails", "format": "exact", "compliance": "yes", "consistency": "yes",
         "good_enough": "99"},
        "fine_tune", "Compliance asks for more than prompts reach, and training has closed most of the gap.",
        technique="lora", facts=_rows(2000), evidence=_measured(200, base=60, prompt=120, few_shot=140, tuned=188),
    ),
    Persona(
        "A podcaster who measured the bare model only and wrote no prompt yet, with 300 good show notes",
        {"gap": "behaviour", "prompting": "not_tried", "format": "style", "examples": "some", "good_enough": "80"},
        "few_shot", "A bare model's score says nothing against prompting, and the guide tries examples in a prompt before training.",
        facts=_rows(300), evidence=_measured(100, base=48),
    ),
)  # fmt: skip

PERSONAS: tuple[Persona, ...] = (*_LITTLE_SAID, *_FACTS_MISSING, *_MANNER_MISSING, *_MEASURED_FACTS, *_MEASURED_MANNER)
