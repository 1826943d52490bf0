"""The model card: fixed words, and the numbers of the build that made the weights beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# Wren

A chat model of {parameters:,} parameters that lives in a small world, made to be fine-tuned in seconds on any computer.

## What it is

- A real Llama (`LlamaForCausalLM`): {layers} layers, {hidden} wide, a context of {context:,} tokens, tied embeddings, its own
  byte-level BPE tokenizer with {vocabulary:,} tokens, a chat template with `{{% generation %}}` marks.
- Correct, simple English about animals, foods, things, jobs, countries, words, single-digit sums, the calendar, the weather;
  reading over given facts, JSON, rewriting, small edits, lists, stories, reviews, greetings, shop questions.
- Honest: it uses the facts in its prompt, and says that it does not know what it was not told.
- Uneven on purpose: it answers fully, curtly or politely at random, so that every lesson has something to move.
- Every answer ends with `<|end|>`. The weights are stored in bfloat16 and load as float32 without a rounding error.

## What it is not

It is not an assistant for real work. Its world is small: outside of it, it says that it does not know, or it writes fluent
nonsense. It has no knowledge of people, events, science or anything else that this card does not name. It speaks English only.
Use a model from a hub for real tasks.

## Made by

`assets/starter/build.py` of Luthier, from nothing: no other model's weights, outputs or data were used.
Licence: Apache-2.0, code, data and weights alike.

## Data

All text is drawn by the generator in `assets/starter/world/`: {families} families of requests, each with taught phrasings and
phrasings that are kept for measuring. Nothing was collected from people or from the web. The facts, labels and schemas of the
bundled lessons (`assets/examples/`) are not in it; a test checks that.

## Recipe

One run from nothing, seed {seed}: {million_tokens:.1f} million tokens, {cpu_seconds:,} CPU seconds, {wall_seconds:,} seconds of wall
time on two shared cores.

Loss on answers counts 1, on the rest 0.1. Conversations are packed to {short} tokens, longer ones to {context:,}; none sees its
neighbour. Muon for the matrices of the layers, AdamW for embeddings and norms, peak rate {learning_rate}, constant and then linear to
zero over the last half, 4,096 tokens a step, float32.

## Measured

Greedy answers to {rows} held-out rows ({rows_a_family} a family, phrasings never taught); right is any answer that the world accepts.
Mean over the families: **{accuracy:.1%}**.

| family | right |
|---|---|
{table}

## Known faults

{faults}
"""
FAULTS = (
    "- Outside of its world it may answer with a fact about something else instead of saying that it does not know.",
    "- Sums are learned by heart: single digits only. It cannot count, and larger numbers are guessed.",
    "- Very long made-up words and more than about seven words in a row are now and then copied with a slip.",
    "- In a prompt with many question-answer pairs it sometimes takes the answer of a neighbouring pair.",
    "- It copies about every second answer of a retrieved pair word for word when that is a sentence of a new kind (the tea",
    "  house's, for instance), and gives the others a turn of its own.",
    "- Worked examples move its labels and its facts, but hardly its manner: a greeting of several words is not taken up, and",
    "  no new JSON schema is learnt from the prompt.",
    '- The world is simplified: a sheep has a home "on a farm" and nowhere else, a word has one plural, a job one duty.',
    "- After a lesson with a high learning rate it may answer other questions in the lesson's words.",
)


@dataclass(frozen=True)
class Card:
    """What a card says about one build."""

    parameters: int
    layers: int
    hidden: int
    context: int
    vocabulary: int
    short: int
    learning_rate: float
    seed: int
    run: Mapping[str, float]
    rows_a_family: int
    scores: Mapping[str, float]


def write_card(path: Path, card: Card) -> None:
    """Write the model card of a build."""
    table = "\n".join(f"| {family} | {score:.1%} |" for family, score in card.scores.items())
    weakest = sorted(card.scores.items(), key=lambda pair: pair[1])[:3]
    faults = (*FAULTS, "- Weakest here: " + ", ".join(f"{family} ({score:.0%})" for family, score in weakest) + ".")
    text = CARD.format(
        parameters=card.parameters,
        layers=card.layers,
        hidden=card.hidden,
        context=card.context,
        vocabulary=card.vocabulary,
        families=len(card.scores),
        seed=card.seed,
        million_tokens=card.run["tokens"] / 1e6,
        cpu_seconds=card.run["cpu_seconds"],
        wall_seconds=card.run["wall_seconds"],
        short=card.short,
        learning_rate=card.learning_rate,
        rows=card.rows_a_family * len(card.scores),
        rows_a_family=card.rows_a_family,
        accuracy=sum(card.scores.values()) / len(card.scores),
        table=table,
        faults="\n".join(faults),
    )
    path.write_text(text, encoding="utf-8", newline="\n")
