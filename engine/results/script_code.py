"""Pieces of Python as text: values, calls and remarks that stay what they are whatever they hold, and pasted functions.

Knows how Python is written; knows no plan and no trainer. Whatever a person typed reaches a script through `literal` or
`remark` and nowhere else. Nothing is executed here.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

WIDTH = 110
"""Columns of a script's lines, as far as they can be broken."""

IMPORT_WIDTH = 88
"""Columns of an import, above which sorters of imports break it."""

PARTS_FILE = Path(__file__).with_name("script_parts.py")


@dataclass(frozen=True)
class Code:
    """A value that is code already: a name, or an expression of names."""

    text: str


def literal(value: object) -> str:
    """Return a value as Python writes it, in double quotes where that is the same.

    Raises:
        TypeError: When no script can hold such a value.
    """
    if isinstance(value, Code):
        return value.text
    if isinstance(value, str):
        is_simple = value.isprintable() and not set('"\\') & set(value)
        return f'"{value}"' if is_simple else ascii(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"no such value in a script: {type(value).__name__}")


def assigned(name: str, value: object) -> str:
    """Return `name = value`, a long list broken into lines."""
    line = f"{name} = {literal(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | tuple):
        return line
    return "\n".join([f"{name} = [", *_packed([f"{literal(one)}," for one in value]), "]"])


def assigned_in_pieces(name: str, text: str) -> str:
    """Return `name = text` for a text of any length, as literals that Python puts together."""
    parts = [text[start : start + WIDTH - 8] for start in range(0, len(text), WIDTH - 8)]
    return "\n".join([f"{name} = (", *(f"    {literal(part)}" for part in parts or [""]), ")"])


def call(name: str, arguments: Mapping[str, object], *first: str) -> str:
    """Return a call, on one line when it is short, else with one argument a line."""
    written = [*first, *(f"{key}={literal(value)}" for key, value in arguments.items())]
    short = f"{name}({', '.join(written)})"
    if len(short) + 16 <= WIDTH and len(written) <= 4:
        return short
    return "\n".join([f"{name}(", *(f"    {one}," for one in written), ")"])


def remark(text: str, indent: str = "") -> str:
    """Return a text as comment lines, all but the first indented. What cannot be seen in it becomes a space, so that no line of it is code."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return "\n".join(textwrap.wrap(plain, WIDTH, initial_indent="# ", subsequent_indent=f"# {indent}")) or "#"


def script(head: str, constants: Sequence[str], flow: Sequence[str]) -> str:
    """Return a whole script: its imports, constants, the functions of script_parts.py that it uses, and what it does.

    Args:
        head: Remarks.
        constants: Lines that give names a value; they stand in for values of script_parts.py with the same names.
        flow: Sections, in their order.
    """
    values, body = "\n".join(constants), _spaced(flow)
    pasted = _spaced(_pasted(_names(body), _assigned_names(values)))
    imports = _imports(_names("\n".join((values, pasted, body))))
    return _spaced([f"{head}\n\n{imports}\n\n{values}", *([pasted] if pasted else []), body]) + "\n"


def _spaced(sections: Sequence[str]) -> str:
    """Join sections by one empty line, and by two beside a function or class."""
    text = ""
    for before, section in pairwise(("", *sections)):
        gap = "\n\n\n" if _ends_in_definition(before) or _is_definition(section) else "\n\n"
        text += (gap if before else "") + section
    return text


def _is_definition(section: str) -> bool:
    return section.startswith(("def ", "class "))


def _ends_in_definition(section: str) -> bool:
    """Whether the last line is indented below a `def` or `class` at the margin."""
    starts = [line for line in section.splitlines() if line and not line[0].isspace() and line[0] not in ")]}"]
    return bool(starts) and _is_definition(starts[-1])


def _packed(pieces: Sequence[str]) -> list[str]:
    """Put pieces into lines, as many as fit."""
    lines = ["   "]
    for piece in pieces:
        if len(lines[-1]) + 1 + len(piece) > WIDTH and lines[-1].strip():
            lines.append("   ")
        lines[-1] += f" {piece}"
    return lines


def _names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _assigned_names(code: str) -> set[str]:
    return {
        node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _pasted(wanted: set[str], given: set[str]) -> list[str]:
    """Return the parts that a script uses, and those that these use, in the order of their file."""
    parts = _parts()
    used: set[str] = set()
    waiting = sorted(wanted & set(parts) - given)
    while waiting:
        name = waiting.pop()
        used.add(name)
        waiting += sorted(_names(parts[name]) & set(parts) - given - used)
    return [source for name, source in parts.items() if name in used]


@lru_cache(maxsize=1)
def _parts() -> Mapping[str, str]:
    """Return the functions, classes and values of script_parts.py by name, in their order."""
    text = PARTS_FILE.read_text(encoding="utf-8")
    lines, found = text.splitlines(), {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = _as_written_by_hand(node, lines)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return found


def _as_written_by_hand(node: ast.FunctionDef | ast.ClassDef, lines: Sequence[str]) -> str:
    """Return a part word for word but for its annotations, which a script does not need."""
    heads = {inner.lineno: inner for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef)}
    written, number = [], node.lineno
    while number <= (node.end_lineno or node.lineno):
        line = lines[number - 1]
        if number in heads:
            indent = line[: len(line) - len(line.lstrip())]
            written.append(f"{indent}def {heads[number].name}({_bare(heads[number].args)}):")
            number = heads[number].body[0].lineno
        else:
            written.append(re.sub(r"  # type: ignore\S*.*", "", line))
            number += 1
    return "\n".join(written)


def _bare(arguments: ast.arguments) -> str:
    bare = ast.parse(f"def f({ast.unparse(arguments)}): ...").body[0]
    for argument in ast.walk(bare):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    assert isinstance(bare, ast.FunctionDef)
    return ast.unparse(bare.args)


def _imports(names: set[str]) -> str:
    """Return import lines, the standard library's first, as a sorter of imports would leave them."""
    modules = sorted(names & MODULES, key=str.lower)
    taken: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names & set(HOMES)):
        taken[HOMES[name]].append(name)
    lines = [(module, f"import {module}") for module in modules]
    lines += [(module, _from(module, members)) for module, members in sorted(taken.items())]
    groups = [
        [line for module, line in lines if (module.split(".")[0] in sys.stdlib_module_names) is own]
        for own in (True, False)
    ]
    return "\n\n".join("\n".join(group) for group in groups if group)


def _from(module: str, unsorted: Sequence[str]) -> str:
    members = sorted(unsorted, key=lambda name: (not name[0].isupper(), name.lower()))  # classes, then functions
    line = f"from {module} import {', '.join(members)}"
    if len(line) <= IMPORT_WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in members), ")"])


MODULES = frozenset({"base64", "json", "math", "shutil", "zlib", "peft", "regex", "torch"})
"""What scripts import whole."""

HOMES: Mapping[str, str] = {
    **dict.fromkeys(("Dataset", "load_dataset"), "datasets"),
    "Sampler": "torch.utils.data",
    "BatchRebalanceSampler": "transformers.trainer_pt_utils",
    **dict.fromkeys(
        ("AutoModelForCausalLM", "AutoModelForSequenceClassification", "AutoTokenizer", "BitsAndBytesConfig",
         "DataCollatorForSeq2Seq", "DataCollatorWithPadding", "EarlyStoppingCallback", "GenerationConfig", "Trainer", "TrainerCallback", "TrainingArguments",
         "set_seed"),
        "transformers",
    ),
    **dict.fromkeys(("PeftModel", "get_peft_model"), "peft"),
    **dict.fromkeys(
        (f"{name}{kind}" for name in ("SFT", "DPO", "KTO", "Reward", "RLOO", "GRPO") for kind in ("Config", "Trainer")), "trl"
    ),
    **dict.fromkeys(("ORPOConfig", "ORPOTrainer"), "trl.experimental.orpo"),
    **dict.fromkeys(("CPOConfig", "CPOTrainer"), "trl.experimental.cpo"),
    **dict.fromkeys(
        ("AdaLoraConfig", "AdaptionPromptConfig", "BOFTConfig", "DeloraConfig", "FourierFTConfig", "HRAConfig", "IA3Config",
         "LNTuningConfig", "LoHaConfig", "LoKrConfig", "LoraConfig", "MissConfig", "OFTConfig", "PrefixTuningConfig",
         "PromptEncoderConfig", "PromptTuningConfig", "RandLoraConfig", "RoadConfig", "ShiraConfig", "VeraConfig"),
        "peft",
    ),
}  # fmt: skip
"""Where the other names of scripts come from."""
