"""What a table is for: which shape its columns make, and its rows in canonical columns.

Knows the shapes and the names people give their columns. To recognise one more shape, add a row to `SHAPES`; the
first row that fits counts. Does not judge the texts themselves (checks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from engine.data import conversions
from engine.data.conversions import CanonicalRow, CanonicalValue, Convert, Message, RowUnusable
from engine.data.problems import Problem, ProblemLog, Severity
from engine.data.table import Row, Table
from engine.types import DatasetFormat, DatasetType

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """One way in which people lay out training data.

    Attributes:
        columns: For each canonical column that must be there, the names it goes by (lower case).
        optional: The same for columns that may be there.
        fits: A second look, at the first row's cells by canonical column.
    """

    key: str
    dataset_type: DatasetType
    columns: Mapping[str, Names]
    convert: Convert
    optional: Mapping[str, Names] = field(default_factory=dict)
    fits: Callable[[conversions.Cells], bool] = lambda _: True


def _has_key(key: str) -> Callable[[conversions.Cells], bool]:
    """Whether the first message of a chat cell has this key; chats written as text are not looked into."""

    def fits(cells: conversions.Cells) -> bool:
        chat = cells.get("messages")
        first = chat[0] if isinstance(chat, list) and chat else None
        return isinstance(first, dict) and key in first

    return fits


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
    Shape("sharegpt", DatasetType.LANGUAGE_MODELING, {"messages": CHAT}, conversions.chat, fits=_has_key("from")),
    Shape("messages", DatasetType.LANGUAGE_MODELING, {"messages": CHAT}, conversions.chat),
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
class Recognition:
    """What a table turned out to be.

    Attributes:
        mapping: From each canonical column to the source column.
        rows: The usable rows, in canonical columns.
        sources: For each usable row, its index in the table.
    """

    dataset_type: DatasetType
    format: DatasetFormat
    shape: str
    mapping: Mapping[str, str]
    problems: tuple[Problem, ...]
    rows: tuple[CanonicalRow, ...]
    sources: tuple[int, ...]


def recognise(table: Table, mapping: Mapping[str, str] | None = None) -> Recognition | Problem:
    """Find the shape of a table and turn its rows into canonical ones.

    Args:
        table: Rows as they were read.
        mapping: A person's own choice, from canonical column to source column; None lets the names decide.

    Returns:
        The recognition, or the one problem that a person must solve: nobody can tell what the columns are.
    """
    found = _chosen_shape(table, mapping) if mapping else _shape_of(table)
    if found is None:
        return _unknown_columns(table, mapping)
    shape, sources = found
    log = ProblemLog()
    rows, indices = _converted(table, shape, sources, log)
    if not rows and table.rows and not log.has_errors:
        _log_nothing_left(table, sources, log)
    _note_unused(table, sources, log)
    rows, data_format = _in_one_format(rows)
    return Recognition(shape.dataset_type, data_format, shape.key, sources, log.problems(), tuple(rows), tuple(indices))


def _shape_of(table: Table) -> tuple[Shape, dict[str, str]] | None:
    by_name: dict[str, str] = {}
    for column in table.columns:
        by_name.setdefault(column.strip().lower().replace(" ", "_"), column)
    for shape in SHAPES:
        sources = _sources(shape, by_name)
        if sources is not None and shape.fits(_first_cells(table, sources)):
            return shape, sources
    return None


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


def _first_cells(table: Table, sources: Mapping[str, str]) -> conversions.Cells:
    first = table.rows[0] if table.rows else {}
    return {canonical: first.get(source) for canonical, source in sources.items()}


def _chosen_shape(table: Table, mapping: Mapping[str, str]) -> tuple[Shape, dict[str, str]] | None:
    if any(source not in table.columns for source in mapping.values()):
        return None
    sources = dict(mapping)
    for shape in SHAPES:
        fits = set(shape.columns) <= set(sources) <= {*shape.columns, *shape.optional}
        if fits and shape.fits(_first_cells(table, sources)):
            return shape, sources
    return None


def _unknown_columns(table: Table, mapping: Mapping[str, str] | None) -> Problem:
    listed = ", ".join(f"'{column}'" for column in table.columns[:12]) + (", ..." if len(table.columns) > 12 else "")
    asked = f" The choice {dict(mapping)} does not fit them." if mapping else ""
    return Problem(
        "unknown_columns",
        Severity.CHOICE,
        f"{table.name}: the columns {listed} do not say what they hold.{asked} Say which one is the prompt and which the "
        "completion, or rename them to a known pair such as prompt and completion, or to messages, or to text.",
    )


def _converted(
    table: Table, shape: Shape, sources: Mapping[str, str], log: ProblemLog
) -> tuple[list[CanonicalRow], list[int]]:
    rows: list[CanonicalRow] = []
    indices: list[int] = []
    place = _Place(table, sources, log)
    labels_are_words = table.file_format in {"csv", "tsv"} and shape.dataset_type is DatasetType.UNPAIRED_PREFERENCE
    for index, row in enumerate(table.rows):
        place.index = index
        try:
            rows.append(shape.convert(_cells(row, sources, labels_are_words), place.report))
            indices.append(index)
        except RowUnusable as reason:
            place.report(reason.kind, reason.severity, reason.text, reason.column)
    return rows, indices


def _cells(row: Row, sources: Mapping[str, str], labels_are_words: bool) -> conversions.Cells:
    cells = {canonical: row.get(source) for canonical, source in sources.items()}
    if labels_are_words:
        cells["label"] = conversions.delimited_truth(cells["label"])
    return cells


@dataclass
class _Place:
    """Puts file, line, row and the source's own column name round what a conversion reports."""

    table: Table
    sources: Mapping[str, str]
    log: ProblemLog
    index: int = 0

    def report(self, kind: str, severity: Severity, text: str, column: str) -> None:
        source = self.sources.get(column, column)
        said = text.replace("{column}", f"'{source}'")
        self.log.add(self.table.problem(self.index, kind, severity, said, source))


def _log_nothing_left(table: Table, sources: Mapping[str, str], log: ProblemLog) -> None:
    missing = next((source for source in sources.values() if all(row.get(source) is None for row in table.rows)), None)
    text = f"the column '{missing}' is empty in every row" if missing else "no row is complete"
    log.add(Problem("nothing_left", Severity.ERROR, f"{table.name}: {text}, so nothing can be learnt.", column=missing))


def _note_unused(table: Table, sources: Mapping[str, str], log: ProblemLog) -> None:
    unused = [column for column in table.columns if column not in sources.values()]
    if unused:
        listed = ", ".join(f"'{column}'" for column in unused[:8]) + (", ..." if len(unused) > 8 else "")
        log.add(Problem("unused_columns", Severity.NOTE, f"{table.name}: not used for training: {listed}."))


def _in_one_format(rows: list[CanonicalRow]) -> tuple[list[CanonicalRow], DatasetFormat]:
    """Write all rows as conversations when one of them is one."""
    if not any(isinstance(value, list) for row in rows for value in row.values()):
        return rows, DatasetFormat.STANDARD
    return [{name: _as_turns(name, value) for name, value in row.items()} for row in rows], DatasetFormat.CONVERSATIONAL


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
