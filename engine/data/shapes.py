"""What a table is for: which shape its columns make, and its rows in canonical columns.

Knows the shapes and the names people give their columns. To recognise one more shape, add a row to `SHAPES`; the
first row that fits counts. Does not judge the texts themselves (checks.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from engine.data import conversions
from engine.data.conversions import CanonicalRow, CanonicalValue, Convert, Message, RowUnusable
from engine.data.intake import Batch, Row
from engine.data.problems import Problem, ProblemLog, Severity
from engine.types import DatasetFormat, DatasetType

Names: TypeAlias = tuple[str, ...]
Kind: TypeAlias = "tuple[Shape, dict[str, str]]"
"""A shape, and from each canonical column to the source column."""


@dataclass(frozen=True)
class Shape:
    """One way in which people lay out training data.

    Attributes:
        columns: For each canonical column that must be there, the names it goes by (lower case).
        optional: The same for columns that may be there.
        fits: A second look, at the first row's cells by canonical column.
        at_once: Converts a column of many rows that leave no doubt, in a fraction of the time; None when one does.
    """

    key: str
    dataset_type: DatasetType
    columns: Mapping[str, Names]
    convert: Convert
    optional: Mapping[str, Names] = field(default_factory=dict)
    fits: Callable[[conversions.Cells], bool] = lambda _: True
    at_once: Callable[[Sequence[Row], str], Sequence[CanonicalRow] | None] | None = None


def _has_key(key: str) -> Callable[[conversions.Cells], bool]:
    """Whether the first message of a chat cell has this key; chats written as text are not looked into."""

    def fits(cells: conversions.Cells) -> bool:
        chat = cells.get("messages")
        first = chat[0] if isinstance(chat, list) and chat else None
        return isinstance(first, dict) and key in first

    return fits


def _calls_tools(cells: conversions.Cells) -> bool:
    chat = cells.get("messages")
    return isinstance(chat, list) and any(map(conversions.calls_a_tool, chat))


def _is_spoken(cells: conversions.Cells) -> bool:
    return isinstance(cells.get("chosen"), str)


CHAT: Names = ("messages", "conversations", "conversation", "dialog", "dialogue", "chat")
PROMPT: Names = ("prompt", "question", "instruction", "query", "input")
COMPLETION: Names = ("completion", "response", "output", "answer", "target")
SYSTEM: Mapping[str, Names] = {"system": ("system", "system_prompt")}
CHOSEN: Mapping[str, Names] = {
    "chosen": ("chosen", "chosen_response", "preferred"),
    "rejected": ("rejected", "rejected_response", "dispreferred"),
}
THUMB: Mapping[str, Names] = {"label": ("label", "kto_tag", "thumb", "thumbs", "feedback")}

SHAPES: tuple[Shape, ...] = (
    Shape("preference", DatasetType.PREFERENCE, {"messages": CHAT[1:], **CHOSEN}, conversions.preference),
    Shape("preference", DatasetType.PREFERENCE, {"prompt": PROMPT, **CHOSEN}, conversions.preference, SYSTEM),
    Shape("human_assistant_text", DatasetType.PREFERENCE, CHOSEN, conversions.preference, fits=_is_spoken),
    Shape("preference", DatasetType.PREFERENCE, CHOSEN, conversions.preference),
    Shape("thumbs", DatasetType.UNPAIRED_PREFERENCE, {"messages": CHAT, **THUMB}, conversions.thumbs),
    Shape(
        "thumbs",
        DatasetType.UNPAIRED_PREFERENCE,
        {"prompt": PROMPT, "completion": COMPLETION, **THUMB},
        conversions.thumbs,
        SYSTEM,
    ),
    Shape("tool_calls", DatasetType.LANGUAGE_MODELING, {"messages": CHAT}, conversions.chat, fits=_calls_tools),
    Shape("sharegpt", DatasetType.LANGUAGE_MODELING, {"messages": CHAT}, conversions.chat, fits=_has_key("from")),
    Shape(
        "messages",
        DatasetType.LANGUAGE_MODELING,
        {"messages": CHAT},
        conversions.chat,
        at_once=conversions.chats_at_once,
    ),
    Shape(
        "alpaca",
        DatasetType.PROMPT_COMPLETION,
        {"prompt": ("instruction",), "completion": ("output", "response", "completion", "answer")},
        conversions.prompt_completion,
        {"input": ("input", "context"), **SYSTEM},
    ),
    Shape(
        "prompt_completion",
        DatasetType.PROMPT_COMPLETION,
        {"prompt": ("prompt", "input", "source"), "completion": COMPLETION},
        conversions.prompt_completion,
        SYSTEM,
    ),
    Shape(
        "question_answer",
        DatasetType.PROMPT_COMPLETION,
        {"prompt": ("question", "query", "q"), "completion": ("answer", "response", "completion", "output", "a")},
        conversions.prompt_completion,
        {"context": ("context", "passage"), **SYSTEM},
    ),
    Shape(
        "text_label",
        DatasetType.CLASSIFICATION,
        {
            "text": ("text", "sentence", "content", "review", "message"),
            "label": ("label", "category", "class", "intent", "sentiment", "target"),
        },
        conversions.text_label,
    ),
    Shape("text", DatasetType.LANGUAGE_MODELING, {"text": ("text", "content")}, conversions.text),
    Shape(
        "prompts",
        DatasetType.PROMPT_ONLY,
        {"prompt": ("prompt", "question", "query", "instruction")},
        conversions.prompts,
        SYSTEM,
    ),
)
"""All shapes, the most telling first."""

_ANSWER_COLUMNS = frozenset({"completion", "chosen", "rejected"})


@dataclass(frozen=True)
class CanonicalBatch:
    """The usable rows of a batch.

    Attributes:
        rows: In canonical columns.
        places: For each, its place in the batch.
        format: Whether any of them is a conversation.
    """

    batch: Batch
    rows: Sequence[CanonicalRow]
    places: Sequence[int]
    format: DatasetFormat


def recognise(columns: Sequence[str], sample: Sequence[Row], mapping: Mapping[str, str] | None = None) -> Kind | None:
    """Find the shape that columns and most of the first rows make; None when nobody can tell what the columns are.

    Args:
        columns: The columns of the file.
        sample: Some first rows.
        mapping: A person's own choice, from canonical column to source column; None lets the names decide.
    """
    if mapping:
        return _chosen_shape(columns, sample, mapping)
    found = _by_names(columns)
    kinds = _kinds_of_rows(found, sample)
    if not kinds:
        return next((kind for kind in found if kind[0].fits(_first_cells(sample, kind[1]))), None)
    most, count = kinds[0]
    return most if count >= _CLEAR_SHARE * sum(rows for _, rows in kinds) else None


_CLEAR_SHARE = 0.9
"""Of the first rows; when fewer are of one kind, a person has to say which rows are meant."""


def _by_names(columns: Sequence[str]) -> list[Kind]:
    """Every kind of row that columns of these names can make."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(_plain_name(column), column)
    return [(shape, sources) for shape in SHAPES if (sources := _sources(shape, by_name)) is not None]


def _kinds_of_rows(found: Sequence[Kind], sample: Sequence[Row]) -> list[tuple[Kind, int]]:
    """The kinds that rows are of, and how many are of each, the most frequent first; a row is of the first that it fills."""
    whole = _whole_kinds(found)
    filled = [kind for row in sample if (kind := next((kind for kind in whole if _fills(row, *kind)), None))]
    firsts = {_layout(kind): kind for kind in reversed(filled)}
    return [(firsts[layout], count) for layout, count in Counter(map(_layout, filled)).most_common()]


def _whole_kinds(found: Sequence[Kind]) -> list[Kind]:
    """Without those that see only a part of what an earlier one sees: a prompt alone in rows of prompt and answer."""
    seen = [set(sources.values()) for _, sources in found]
    return [kind for place, kind in enumerate(found) if not any(seen[place] < earlier for earlier in seen[:place])]


def _fills(row: Row, shape: Shape, sources: Mapping[str, str]) -> bool:
    cells = _first_cells([row], sources)
    return all(cells[canonical] is not None for canonical in shape.columns) and shape.fits(cells)


def _layout(kind: Kind) -> tuple[Convert, tuple[str, ...]]:
    """What makes rows different: shapes that are converted alike, from the same columns, may stand side by side."""
    return kind[0].convert, tuple(kind[1].values())


def _chosen_shape(columns: Sequence[str], sample: Sequence[Row], mapping: Mapping[str, str]) -> Kind | None:
    if any(source not in columns for source in mapping.values()) or _chosen_twice(mapping):
        return None
    sources = dict(mapping)
    cells = next((row for row in (_cells(row, sources) for row in sample) if None not in row.values()), {})
    fitting = [
        shape
        for shape in SHAPES
        if set(shape.columns) <= set(sources) <= {*shape.columns, *shape.optional} and shape.fits(cells)
    ]
    if not fitting:
        return None
    return max(
        fitting, key=lambda shape: (_is_named(shape, sources), _is_named(shape, {c: c for c in sources}))
    ), sources


def _chosen_twice(mapping: Mapping[str, str]) -> str | None:
    """The source column that is chosen for several canonical ones, if there is one."""
    return next((source for source, count in Counter(mapping.values()).items() if count > 1), None)


def _is_named(shape: Shape, sources: Mapping[str, str]) -> bool:
    """Whether the columns have the names that this shape knows them by."""
    names = {**shape.columns, **shape.optional}
    return all(_plain_name(source) in names[canonical] for canonical, source in sources.items())


def _plain_name(column: str) -> str:
    return column.strip().lower().replace(" ", "_")


def _first_cells(sample: Sequence[Row], sources: Mapping[str, str]) -> conversions.Cells:
    return _cells(sample[0] if sample else {}, sources)


def _sources(shape: Shape, by_name: Mapping[str, str]) -> dict[str, str] | None:
    sources: dict[str, str] = {}
    for canonical, names in {**shape.columns, **shape.optional}.items():
        free = (by_name[name] for name in names if name in by_name and by_name[name] not in sources.values())
        source = next(free, None)
        if source is not None:
            sources[canonical] = source
        elif canonical in shape.columns:
            return None
    return sources


def unknown_columns(
    name: str, columns: Sequence[str], mapping: Mapping[str, str] | None, sample: Sequence[Row] = ()
) -> Problem:
    """The one problem that a person must solve: nobody can tell what the columns are, or which rows are meant."""
    kinds = [] if mapping else _kinds_of_rows(_by_names(columns), sample)
    if len(kinds) > 1:
        return _mixed_rows(name, kinds)
    listed = ", ".join(f"'{column}'" for column in columns[:12]) + (", ..." if len(columns) > 12 else "")
    twice = _chosen_twice(mapping or {})
    asked = f" The choice {dict(mapping)} does not fit them." if mapping else ""
    asked = f" The column '{twice}' was chosen twice; it can hold only one of them." if twice else asked
    return Problem(
        "unknown_columns",
        Severity.CHOICE,
        f"{name}: the columns {listed} do not say what they hold.{asked} Say which one is the prompt and which the "
        "completion, or rename them to a known pair such as prompt and completion, or to messages, or to text.",
    )


def _mixed_rows(name: str, kinds: Sequence[tuple[Kind, int]]) -> Problem:
    said = ", ".join(f"{count:,} with {' and '.join(map(repr, sources.values()))}" for (_, sources), count in kinds)
    return Problem(
        "mixed_rows",
        Severity.CHOICE,
        f"{name}: the first rows are of different kinds: {said}. They cannot be learnt together. Say which columns to "
        "use, and the other rows are skipped; or give each kind a file of its own.",
    )


def convert(batch: Batch, shape: Shape, sources: Mapping[str, str], log: ProblemLog) -> CanonicalBatch:
    """Turn a batch into canonical rows; what cannot be used goes to the log."""
    if shape.at_once and len(sources) == 1:
        source = next(iter(sources.values()))
        plain = shape.at_once(batch.rows, source)
        if plain is not None:
            return CanonicalBatch(batch, plain, range(len(plain)), DatasetFormat.CONVERSATIONAL)
    rows: list[CanonicalRow] = []
    places: list[int] = []
    place = _Place(batch, sources, log)
    labels_are_words = batch.cells_are_texts and shape.dataset_type is DatasetType.UNPAIRED_PREFERENCE
    for number, row in enumerate(batch.rows):
        place.number = number
        try:
            rows.append(shape.convert(_cells(row, sources, labels_are_words), place.report))
            places.append(number)
        except RowUnusable as reason:
            place.report(reason.kind, reason.severity, reason.text, reason.column)
    return CanonicalBatch(batch, rows, places, _format_of(rows))


def _format_of(rows: Sequence[CanonicalRow]) -> DatasetFormat:
    for row in rows:
        for value in row.values():
            if type(value) is list:
                return DatasetFormat.CONVERSATIONAL
    return DatasetFormat.STANDARD


def _cells(row: Row, sources: Mapping[str, str], labels_are_words: bool = False) -> conversions.Cells:
    cells = {canonical: row.get(source) for canonical, source in sources.items()}
    if labels_are_words:
        cells["label"] = conversions.delimited_truth(cells["label"])
    return cells


@dataclass
class _Place:
    """Puts file, line, row and the source's own column name round what a conversion reports."""

    batch: Batch
    sources: Mapping[str, str]
    log: ProblemLog
    number: int = 0

    def report(self, kind: str, severity: Severity, text: str, column: str) -> None:
        source = self.sources.get(column, column)
        said = text.replace("{column}", f"'{source}'")
        self.log.add(self.batch.problem(self.number, kind, severity, said, source))


def unused_columns(name: str, columns: Sequence[str], sources: Mapping[str, str]) -> list[Problem]:
    """A note on the columns that training does not use, if there are any."""
    unused = [column for column in columns if column not in sources.values()]
    if not unused:
        return []
    listed = ", ".join(f"'{column}'" for column in unused[:8]) + (", ..." if len(unused) > 8 else "")
    problems = [Problem("unused_columns", Severity.NOTE, f"{name}: not used for training: {listed}.")]
    if "tools" in unused and "messages" in sources:
        said = "'tools' describes tools and is left out; write what the model must know of them into the system turn."
        problems.append(Problem("tools_column", Severity.WARNING, f"{name}: {said}", column="tools"))
    return problems


def as_conversations(rows: Sequence[CanonicalRow]) -> list[CanonicalRow]:
    """Write all texts as turns, as one conversation among the rows demands."""
    if all(type(value) is list and len(row) == 1 for row in rows[:1] for value in row.values()):
        return list(rows)  # chats: nothing but turns
    return [{name: _as_turns(name, value) for name, value in row.items()} for row in rows]


def _as_turns(column: str, value: CanonicalValue) -> CanonicalValue:
    if not isinstance(value, str):
        return value
    message: Message = {"role": "assistant" if column in _ANSWER_COLUMNS else "user", "content": value}
    return [message]


def without_choices(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems after a person has answered: open choices become notes."""
    return tuple(
        replace(problem, severity=Severity.NOTE) if problem.severity is Severity.CHOICE else problem
        for problem in problems
    )
