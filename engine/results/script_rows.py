"""The part of a script that reads rows and makes of them what the trainer takes: one row of a table for each objective.

Mirrors `engine.data.training_rows` in code that needs no Luthier; the tokens themselves are made by script_parts.py. What a
person typed stands in constants alone, which script.py writes; the code here is the same for everybody.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.data.clean_copy import canonical_columns
from engine.guide.rewards import REWARD_FUNCTIONS
from engine.results.script_code import assigned, assigned_in_pieces
from engine.types import DatasetFormat, DatasetType, Objective

if TYPE_CHECKING:
    from engine.results.script_facts import Facts

MOST_NUMBERS_SHOWN = 400
"""Held-out rows that a script names by their numbers; more stand in it as a compressed text."""


@dataclass(frozen=True)
class RowsCode:
    """How one stage's rows are made.

    Attributes:
        make: A function from a row to what the trainer takes; empty when rows are that already.
        kept: What must hold of what it returns, as an expression over `row`; empty when all are kept.
        then: Lines that make the dataset of `rows`; empty when nothing is left to do.
    """

    make: str = ""
    kept: str = ""
    then: str = ""


def reading(facts: Facts) -> str:
    """Return the lines that read the training rows and the held-out ones."""
    columns = ", ".join(canonical_columns(facts.dataset.dataset_type, facts.dataset.format))
    lines = [
        f"# For rows of your own, with the columns {columns}:",
        '# rows = load_dataset("json", data_files="rows.jsonl", split="train")',
        'rows = load_dataset("parquet", data_files=ROWS, split="train")',
    ]
    held_out = facts.plan.held_out
    if held_out.dataset:
        lines.append('held_out_rows = load_dataset("parquet", data_files=HELD_OUT_ROWS, split="train")')
    elif held_out.indices:
        numbers = "HELD_OUT" if len(held_out.indices) <= MOST_NUMBERS_SHOWN else "unpacked(HELD_OUT)"
        lines += [
            f"held_out = set({numbers})",
            "held_out_rows = rows.select(sorted(held_out))",
            "rows = rows.select(row for row in range(len(rows)) if row not in held_out)",
        ]
    return "\n".join(lines)


def held_out_constant(facts: Facts) -> list[str]:
    """Return the line that says which rows are held out, if any are."""
    held_out = facts.plan.held_out
    if held_out.dataset:
        return [assigned("HELD_OUT_ROWS", str(held_out.dataset.parquet_path))]
    if not held_out.indices:
        return []
    if len(held_out.indices) <= MOST_NUMBERS_SHOWN:
        return [assigned("HELD_OUT", sorted(held_out.indices))]
    return [assigned_in_pieces("HELD_OUT", packed(held_out.indices))]


def packed(numbers: Iterable[int]) -> str:
    """Return row numbers as a text that `unpacked` in script_parts.py reads: one bit a row, compressed."""
    bits = bytearray()
    for number in numbers:
        bits.extend(bytes(max(0, number // 8 + 1 - len(bits))))
        bits[number // 8] |= 1 << number % 8
    return base64.b85encode(zlib.compress(bytes(bits), 9)).decode("ascii")


def rows_sections(facts: Facts, objective: Objective, prefix: str = "") -> list[str]:
    """Return the sections that make a stage's datasets, `train_dataset` and `eval_dataset`.

    Args:
        facts: What is known of the plan.
        objective: What the stage pursues.
        prefix: Put before the names of the datasets, where a script has two stages.
    """
    table = MESSAGES_CODE if facts.leaves_rows_to_trl(objective) else ROWS_CODE
    code = table[objective](facts)
    held_out = "held_out_rows"
    if objective in SAMPLED:
        held_out = f"held_out_rows.take(min({facts.questions_checked}, len(held_out_rows)))"
    name = "questions" if objective in SAMPLED else "prepared"
    sections, made = [code.make] if code.make else [], "{}"
    if code.kept or code.then:
        sections.append(_preparing(name, code))
        made = f"{name}({{}})"
    elif code.make:
        made = f"{{}}.map({_made_by(code)}, remove_columns=rows.column_names)"
    lines = [f"{prefix}train_dataset = {made.format('rows')}"]
    if facts.plan.held_out.rows:
        lines.append(f"{prefix}eval_dataset = {made.format(held_out)}")
    return [*sections, "\n".join(lines)]


SAMPLED = frozenset({Objective.RLOO, Objective.GRPO})
"""Objectives whose rows are questions, which the model answers itself."""


def _made_by(code: RowsCode) -> str:
    return code.make.removeprefix("def ").split("(")[0]


def _preparing(name: str, code: RowsCode) -> str:
    lines = [
        f"def {name}(rows):",
        '    """Return rows as the trainer takes them; what leaves nothing to learn is dropped."""',
    ]
    if code.make:
        lines.append(f"    rows = rows.map({_made_by(code)}, remove_columns=rows.column_names)")
    if code.kept:
        lines.append(f"    {'rows =' if code.then else 'return'} rows.filter(lambda row: {code.kept})")
    return "\n".join([*lines, *filter(None, [code.then])])


def _tokens(facts: Facts, messages: str, first: str) -> str:
    if facts.has_template:
        return f"{'ended_chat_tokens' if facts.way == 'ended_chat_tokens' else 'chat_tokens'}({messages}, {first}, tokenizer)"
    return f"plain_tokens({messages}, {first}, tokenizer, LEADING)"


def question_tokens(facts: Facts, messages: str) -> str:
    """Return the call that makes tokens of a question up to the place of its answer."""
    return (
        f"chat_question({messages}, tokenizer)"
        if facts.has_template
        else f"plain_question({messages}, tokenizer, LEADING)"
    )


def _turn(facts: Facts, column: str, role: str) -> str:
    """Return the messages that a column of a row holds."""
    if facts.dataset.format is DatasetFormat.CONVERSATIONAL:
        return f'row["{column}"]'
    return f'[{{"role": "{role}", "content": row["{column}"]}}]'


def _question(facts: Facts) -> str:
    return _turn(facts, "text" if facts.dataset.dataset_type is DatasetType.CLASSIFICATION else "prompt", "user")


def _answer(facts: Facts) -> str:
    return _turn(
        facts, "label" if facts.dataset.dataset_type is DatasetType.CLASSIFICATION else "completion", "assistant"
    )


def _filled(template: str, facts: Facts, **more: str) -> str:
    """Return a template of code with its `<names>` filled in."""
    sides = {side: _tokens(facts, f"question + {_turn(facts, side, 'assistant')}", "len(question)") for side in SIDES}
    values = {
        "question": _question(facts), "answer": _answer(facts), "asked": question_tokens(facts, _question(facts)),
        "tokens": _tokens(facts, "question + answer", "len(question)"), **sides, **more,
    }  # fmt: skip
    code = template.strip("\n")
    for name, value in values.items():
        code = code.replace(f"<{name}>", value)
    return code


SIDES = ("chosen", "rejected")

TEXT = '''
def tokenize(row):
    """Return the tokens of a text; all of them are learnt."""
    ids = <text>
    return {"input_ids": ids[:MAX_LENGTH], "labels": ids[:MAX_LENGTH]}
'''

ANSWERED = '''
def tokenize(row):
    """Return the tokens of a row; only those of the answer have labels."""
    question = <question>
    answer = <answer>
    ids, learnt = <tokens>
    labels = [token if learns else -100 for token, learns in zip(ids, learnt, strict=True)]
    return {"input_ids": ids[:MAX_LENGTH], "labels": labels[:MAX_LENGTH]}
'''

CONVERSATION = '''
def tokenize(row):
    """Return the tokens of a conversation; only those of the model's answers have labels."""
    ids, learnt = <conversation>
    labels = [token if learns else -100 for token, learns in zip(ids, learnt, strict=True)]
    return {"input_ids": ids[:MAX_LENGTH], "labels": labels[:MAX_LENGTH]}
'''

PACKING = """
    ids = [token for text in rows["text"] for token in <text>]
    # One after the other, cut into rows of the full length; the last may be short.
    parts = [ids[start : start + MAX_LENGTH] for start in range(0, len(ids), MAX_LENGTH)]
    parts = [part for part in parts if len(part) > 1]
    return Dataset.from_dict({"input_ids": parts, "labels": parts})
"""

LABELLED = '''
def tokenize(row):
    """Return the tokens of a text, asked as a question, and the number of its label."""
    ids = <asked>
    return {"input_ids": ids[-MAX_LENGTH:], "labels": LABELS.index(row["label"]) if row["label"] in LABELS else -1}
'''

BOTH = """
    question = <question>
    chosen, learnt = <chosen>
    rejected, _ = <rejected>
    start = learnt.index(True) if True in learnt else len(learnt)  # of the answers
"""

PAIR = '''
def tokenize(row):
    """Return the tokens of a question and of both answers to it."""
<both>
    return {
        "prompt_ids": chosen[:start],
        "chosen_ids": chosen[start:MAX_LENGTH],
        "rejected_ids": rejected[start:MAX_LENGTH],
    }
'''

WHOLE_PAIR = '''
def tokenize(row):
    """Return the tokens of both answers, each with the question before it."""
<both>
    is_whole = start < min(MAX_LENGTH, len(chosen), len(rejected))
    return {"chosen_ids": chosen[:MAX_LENGTH], "rejected_ids": rejected[:MAX_LENGTH], "is_whole": is_whole}
'''

COLLATED_PAIR = '''
def tokenize(row):
    """Return question and both answers as tokens, masks and labels, as this trainer reads them."""
<both>
    tokens = {"prompt_input_ids": chosen[:start], "prompt_attention_mask": [1] * start}
    for side, ids in (("chosen", chosen[:MAX_LENGTH]), ("rejected", rejected[:MAX_LENGTH])):
        tokens[f"{side}_input_ids"] = ids
        tokens[f"{side}_attention_mask"] = [1] * len(ids)
        tokens[f"{side}_labels"] = [-100] * start + ids[start:]
    return tokens
'''

THUMB = '''
def tokenize(row):
    """Return the tokens of a question and of the answer to it, and whether it was liked."""
    question = <question>
    answer = <answer>
    ids, learnt = <tokens>
    start = learnt.index(True) if True in learnt else len(learnt)  # of the answer
    return {"prompt_ids": ids[:start], "completion_ids": ids[start:MAX_LENGTH], "label": row["label"]}
'''

ALTERNATING = "    return alternating(rows)"

QUESTION = '''
def ask(row):
    """Return the question of a row as messages, and how many tokens it has."""
    question = <question>
    return {"prompt": question<right>, "tokens": len(<question_tokens>)}
'''


MESSAGES = '''
def as_messages(row):
    """Return a row as messages, of which trl makes the tokens."""
    return {
        "prompt": <question>,
<answers>
    }
'''


def _as_messages(facts: Facts, columns: tuple[str, ...]) -> RowsCode:
    """Return what makes messages of plain texts; rows that are messages, or texts to go on with, stay as they are."""
    dataset = facts.dataset
    if dataset.dataset_type is DatasetType.LANGUAGE_MODELING or dataset.format is DatasetFormat.CONVERSATIONAL:
        return RowsCode()
    answers = {name: _answer(facts) if name == "completion" else _turn(facts, name, "assistant") for name in columns}
    lines = "\n".join(f'        "{name}": {answer},' for name, answer in answers.items())
    return RowsCode(_filled(MESSAGES, facts, answers=lines))


MESSAGES_CODE: Mapping[Objective, Callable[[Facts], RowsCode]] = {
    Objective.SFT: lambda facts: _as_messages(facts, ("completion",)),
    Objective.DPO: lambda facts: _as_messages(facts, SIDES),
    Objective.REWARD: lambda facts: _as_messages(facts, SIDES),
}
"""Where trl makes the tokens: one row an objective that it can do so for."""


def _supervised(facts: Facts) -> RowsCode:
    if facts.plan.hyperparameters.get("packing") is True:
        return RowsCode(then=_filled(PACKING, facts, text=_text_tokens(facts, "text")))
    if facts.dataset.is_plain_text:
        return RowsCode(_filled(TEXT, facts, text=_text_tokens(facts, 'row["text"]')))
    learns = 'any(label != -100 for label in row["labels"])'
    if facts.dataset.dataset_type is DatasetType.LANGUAGE_MODELING:
        return RowsCode(_filled(CONVERSATION, facts, conversation=_tokens(facts, 'row["messages"]', "0")), learns)
    return RowsCode(_filled(ANSWERED, facts), learns)


def _text_tokens(facts: Facts, text: str) -> str:
    ended = f"{text} + tokenizer.eos_token" if facts.ends_texts else text
    ids = f'tokenizer({ended}, add_special_tokens=False)["input_ids"]'
    return f"LEADING + {ids}" if facts.puts_leading else ids


def _of_pairs(template: str, kept: str) -> Callable[[Facts], RowsCode]:
    return lambda facts: RowsCode(_filled(template.replace("<both>", BOTH.strip("\n")), facts), kept)


def _questions(facts: Facts) -> RowsCode:
    rule = REWARD_FUNCTIONS.get(str(facts.plan.hyperparameters.get("reward")))
    right = f', "answer": {_right_answer(facts)}' if rule and rule.needs_answer else ""
    code = _filled(QUESTION, facts, right=right, question_tokens=question_tokens(facts, "question"))
    return RowsCode(code, 'row["tokens"] <= LONGEST_QUESTION')


def _right_answer(facts: Facts) -> str:
    if facts.dataset.dataset_type is DatasetType.PROMPT_ONLY:
        return '""'
    if facts.dataset.format is DatasetFormat.CONVERSATIONAL:
        return '"\\n".join(message["content"] for message in row["completion"])'
    return 'row["completion"]'


_COLLATED = _of_pairs(
    COLLATED_PAIR, 'min(len(row["chosen_input_ids"]), len(row["rejected_input_ids"])) > len(row["prompt_input_ids"])'
)

ROWS_CODE: Mapping[Objective, Callable[[Facts], RowsCode]] = {
    Objective.SFT: _supervised,
    Objective.CLASSIFICATION: lambda facts: RowsCode(_filled(LABELLED, facts), 'row["labels"] >= 0'),
    Objective.DPO: _of_pairs(PAIR, 'row["chosen_ids"] and row["rejected_ids"]'),
    Objective.KTO: lambda facts: RowsCode(_filled(THUMB, facts), 'row["completion_ids"]', ALTERNATING),
    Objective.ORPO: _COLLATED,
    Objective.SIMPO: _COLLATED,
    Objective.CPO: _COLLATED,
    Objective.REWARD: _of_pairs(WHOLE_PAIR, 'row["is_whole"]'),
    Objective.RLOO: _questions,
    Objective.GRPO: _questions,
}
"""One row an objective; a chain takes those of its stages."""
