"""How each format is written, and how a stranger loads it again: transformers and PEFT alone, from the folder alone.

A writer is a row of `WRITERS`. What is written is made in float32 and rounded once, at the end. Nothing here decides where it goes or
whether it is good.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from jinja2 import TemplateError
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from engine.models.loading import DTYPES, LOAD_LOCK, end_token_ids
from engine.models.tuned import Recipe
from engine.results.export import EXPORT_FORMATS, is_converted
from engine.results.export_quantised import load_quantised, save_quantised
from engine.results.gguf_converter import TOKENIZER_FILES, convert
from engine.results.gguf_file import write_gguf
from engine.results.gguf_reading import read_gguf, read_gguf_tokenizer
from engine.results.modelfile import layout_of, modelfile

GGUF_FILE = "model.gguf"
ROUNDED_NOTE = "The embedding and the head are not rounded."
FOUR_BITS_NOTE = " Nor are layers whose width is no multiple of 64, which bitsandbytes 0.50 spoils on a processor."
WRITTEN_NOTE = (
    "Matrices whose width is no multiple of 32 keep 16 bits, and with fewer than 8 bits the embedding and the head keep 8. "
    "llama.cpp's own `llama-quantize` makes more kinds (Q4_K_M and others) from an F16 file. The file was read back by transformers, and "
    "what transformers 5.23 leaves out (stretched positions, the turns of windowed layers, Gemma's caps, the first Gemma) was added from "
    "the file; llama.cpp reads all of it. Ollama was not tried with this file. With SentencePiece's tokens llama.cpp puts "
    "a space before a text, also where the text begins with one, or before none. The name for how text is cut before it becomes tokens "
    "(`tokenizer.ggml.pre`) decides in llama.cpp how digits are cut: `smollm` and `qwen2` one by one, `llama-bpe` up to three together, `gpt-2` all together."
)
CONVERTED_NOTE = "The file was made by llama.cpp's own converter from the merged model in float32, and read back by transformers. Ollama was not tried with it."
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class Subject:
    """What is exported.

    Attributes:
        name: What the run is called.
        recipe: How its models are loaded; never in 4 bits here.
        checkpoint: The weights that speak for it.
        model: The tuned model in memory, in float32. A writer may change it.
        tokenizer: Its tokenizer.
        choice: The value of the format's setting; empty without one.
        between: Called between parts of a long writing; what it raises ends it.
    """

    name: str
    recipe: Recipe
    checkpoint: Path
    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    choice: str
    between: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Foreign:
    """A model that was loaded from an exported folder by other means than ours."""

    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    loaded_by: str


@dataclass(frozen=True)
class Writer:
    """One format's functions.

    Attributes:
        write: Writes the model and its tokenizer into a folder.
        load: Loads the folder as a stranger would.
        usage: How to load it, in Markdown for the card, with this value of the setting.
    """

    write: Callable[[Subject, Path], None]
    load: Callable[[Path, Recipe], Foreign]
    usage: Callable[[Recipe, str], str]


def write_adapter(subject: Subject, folder: Path) -> None:
    """Write a folder of PEFT: the adapter as it was sealed, with the base by its public name instead of a path of this machine."""
    for name in ADAPTER_FILES:
        shutil.copyfile(subject.checkpoint / name, folder / name)
    config = json.loads((folder / ADAPTER_FILES[0]).read_bytes())
    public = public_name(subject.recipe)
    for key in ("base_model_name_or_path", "tokenizer_name_or_path"):
        if config.get(key) is not None:
            config[key] = public
    (folder / ADAPTER_FILES[0]).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    subject.tokenizer.save_pretrained(folder)


def public_name(recipe: Recipe) -> str:
    """Return what others call the base: its id on the hub, or the name of its folder."""
    return Path(recipe.model.id).name if Path(recipe.model.id).is_absolute() else recipe.model.id


def write_merged(subject: Subject, folder: Path) -> None:
    """Write a model of its own as safetensors: added up in float32, rounded at the end."""
    merged = merged_model(subject.model)
    torch.nn.Module.to(merged, DTYPES[subject.choice or "float32"])
    merged.config.dtype = DTYPES[subject.choice or "float32"]
    with LOAD_LOCK:
        merged.save_pretrained(folder, safe_serialization=True)
    subject.tokenizer.save_pretrained(folder)


def merged_model(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """Add an adapter into the model's own weights, in place; a model of its own is returned as it is."""
    if not isinstance(model, PeftModel):
        return model
    with LOAD_LOCK, torch.no_grad():
        return cast("PreTrainedModel", model.merge_and_unload())


def write_gguf_folder(subject: Subject, folder: Path) -> None:
    """Write one GGUF file and a Modelfile for Ollama beside it."""
    merged, tokenizer = merged_model(subject.model), subject.tokenizer
    if by_converter(subject.recipe):
        _convert(subject, merged, folder)
    else:
        write_gguf(folder / GGUF_FILE, subject.name, merged, tokenizer, subject.choice, subject.between)
    ends = [str(tokenizer.convert_ids_to_tokens(number)) for number in end_token_ids(merged, tokenizer)]

    def render(turns: Sequence[Mapping[str, str]], asks: bool) -> str:
        try:
            laid = tokenizer.apply_chat_template(
                [dict(turn) for turn in turns], tokenize=False, add_generation_prompt=asks
            )
        except (TemplateError, TypeError) as error:
            raise ValueError("the template refuses these turns") from error
        return str(laid)

    begins = str(tokenizer.bos_token) if tokenizer.bos_token else ""
    layout = layout_of(render, begins) if tokenizer.chat_template else None
    (folder / "Modelfile").write_text(modelfile(GGUF_FILE, layout, ends), encoding="utf-8")


def by_converter(recipe: Recipe) -> bool:
    """Whether the model is made GGUF by llama.cpp's own converter."""
    return is_converted(EXPORT_FORMATS["gguf"], recipe.model.family, recipe.model.path)


def _convert(subject: Subject, merged: PreTrainedModel, folder: Path) -> None:
    """Write the merged model for the converter, have it read, and take it away again."""
    base = cast(Path, subject.recipe.model.path)
    with tempfile.TemporaryDirectory(prefix="tmp.", dir=folder) as place:
        write_merged(replace(subject, model=merged, choice="float32"), Path(place))
        for name in TOKENIZER_FILES:
            if (base / name).is_file():
                shutil.copyfile(base / name, Path(place) / name)
        subject.between()
        convert(Path(place), folder / GGUF_FILE, subject.choice, subject.between)


def load_gguf(folder: Path, recipe: Recipe) -> Foreign:
    """Load the file with transformers, which makes floats of its numbers again."""
    model, tokenizer = read_gguf(folder / GGUF_FILE), read_gguf_tokenizer(folder / GGUF_FILE)
    return Foreign(model, tokenizer, "transformers, from the GGUF file alone")


def _quantised(key: str, package: str) -> Writer:
    """Return how a model is written that is rounded while transformers loads it."""

    def write(subject: Subject, folder: Path) -> None:
        save_quantised(key, merged_model(subject.model), folder, subject.between)
        subject.tokenizer.save_pretrained(folder)

    def load(folder: Path, recipe: Recipe) -> Foreign:
        return Foreign(load_quantised(folder), _tokenizer(folder), f"transformers and {package}")

    def usage(recipe: Recipe, choice: str) -> str:
        note = ROUNDED_NOTE + (FOUR_BITS_NOTE if key == "bnb_4bit" else "")
        return f"Needs the package {package}.\n\n{_merged_usage(recipe, choice)}\n\n{note}"

    return Writer(write, load, usage)


def load_adapter(folder: Path, recipe: Recipe) -> Foreign:
    """Load the base with transformers and the folder's adapter with PEFT."""
    path = cast(Path, recipe.model.path)
    more: dict[str, object] = {}
    if recipe.outputs:
        more = {"num_labels": len(recipe.outputs)}
    with LOAD_LOCK:
        base = _auto(recipe).from_pretrained(
            path, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True, **more
        )
        tokenizer = _tokenizer(folder)
        if recipe.outputs:
            base.config.pad_token_id = tokenizer.pad_token_id
        model = PeftModel.from_pretrained(base, str(folder), local_files_only=True)
    return Foreign(model, tokenizer, "transformers and PEFT")


def load_merged(folder: Path, recipe: Recipe) -> Foreign:
    """Load the folder with transformers."""
    with LOAD_LOCK:
        model = _auto(recipe).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
        return Foreign(model, _tokenizer(folder), "transformers")


def _auto(recipe: Recipe) -> type[AutoModelForCausalLM] | type[AutoModelForSequenceClassification]:
    return AutoModelForSequenceClassification if recipe.outputs else AutoModelForCausalLM


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _adapter_usage(recipe: Recipe, choice: str) -> str:
    kind, more = _kind(recipe), ""
    if recipe.outputs:
        more = f", num_labels={len(recipe.outputs)}"
    return _python(
        "from peft import PeftModel", f"from transformers import {kind}, AutoTokenizer", "",
        f'base = {kind}.from_pretrained("{public_name(recipe)}"{more})  # the base, by its name or its folder',
        'model = PeftModel.from_pretrained(base, "THIS FOLDER")', 'tokenizer = AutoTokenizer.from_pretrained("THIS FOLDER")',
    )  # fmt: skip


def _merged_usage(recipe: Recipe, choice: str) -> str:
    kind = _kind(recipe)
    return _python(
        f"from transformers import {kind}, AutoTokenizer", "", f'model = {kind}.from_pretrained("THIS FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("THIS FOLDER")',
    )  # fmt: skip


def _gguf_usage(recipe: Recipe, choice: str) -> str:
    how = CONVERTED_NOTE if by_converter(recipe) else WRITTEN_NOTE
    return "\n".join([
        "```sh", f"llama-cli -m {GGUF_FILE} --jinja --temp 0", "ollama create my-model -f Modelfile && ollama run my-model", "```", "",
        _python(
            "from transformers import AutoModelForCausalLM, AutoTokenizer", "",
            f'model = AutoModelForCausalLM.from_pretrained("THIS FOLDER", gguf_file="{GGUF_FILE}")',
            f'tokenizer = AutoTokenizer.from_pretrained("THIS FOLDER", gguf_file="{GGUF_FILE}")',
        ), "",
        how,
    ])  # fmt: skip


def _kind(recipe: Recipe) -> str:
    return "AutoModelForSequenceClassification" if recipe.outputs else "AutoModelForCausalLM"


def _python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


WRITERS: Mapping[str, Writer] = {
    "adapter": Writer(write_adapter, load_adapter, _adapter_usage),
    "merged": Writer(write_merged, load_merged, _merged_usage),
    "bnb_8bit": _quantised("bnb_8bit", "bitsandbytes"),
    "bnb_4bit": _quantised("bnb_4bit", "bitsandbytes"),
    "torchao_int8": _quantised("torchao_int8", "torchao"),
    "gguf": Writer(write_gguf_folder, load_gguf, _gguf_usage),
}
"""How each format is written and read back."""
