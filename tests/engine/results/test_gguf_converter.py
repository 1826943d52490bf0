"""llama.cpp's own converter: what is said without it, what is left to it, how it fails, and a run of another family that it makes GGUF."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from engine.errors import ModelError
from engine.results.export import EXPORT_FORMATS, note_on, reason_against, reason_against_choice
from engine.results.gguf_converter import CONVERTER, VARIABLE, convert, find_converter
from engine.results.round_trip import Stopped
from engine.workspace import PlanChoices, Workspace

GGUF = EXPORT_FORMATS["gguf"]
REAL = find_converter()
WORDS = REAL.parent / "models" / "ggml-vocab-gpt-2.gguf" if REAL else Path("none")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a script in the place of the converter, and give a folder to convert."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    merged = tmp_path / "merged"
    merged.mkdir()
    (merged / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "code.Config"}, "model_type": "opt"}))

    def place(code: str) -> Path:
        (tmp_path / CONVERTER).write_text(f"import os, sys, time\nmerged, out = sys.argv[1], sys.argv[3]\n{code}\n")
        return merged

    return place


def test_without_the_converter_a_refused_family_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    reason = reason_against(GGUF, "lora", {}, "opt")
    assert "family opt" in reason and f"set {VARIABLE} to the folder of llama.cpp" in reason
    assert note_on(GGUF, "opt", None) == ""


def test_a_refused_family_is_left_to_the_converter_in_the_kinds_that_it_writes(
    stand_in: Callable[[str], Path],
) -> None:
    stand_in("")
    assert reason_against(GGUF, "lora", {}, "opt") == "" and "own converter" in note_on(GGUF, "opt", None)
    assert reason_against_choice(GGUF, "Q8_0", "opt", None) == ""
    assert "and not Q4_0" in reason_against_choice(GGUF, "Q4_0", "opt", None)
    assert "cannot be added" in reason_against(GGUF, "prompt_tuning", {}, "opt")


def test_families_that_are_written_here_are_not_left_to_the_converter(stand_in: Callable[[str], Path]) -> None:
    stand_in("")
    assert note_on(GGUF, "llama", None) == "" and reason_against_choice(GGUF, "Q4_0", "llama", None) == ""


def test_the_converter_reads_no_code_of_the_model_and_has_no_network(stand_in: Callable[[str], Path]) -> None:
    merged = stand_in("open(out, 'w').write(os.environ['HF_HUB_OFFLINE'] + open(merged + '/config.json').read())")
    convert(merged, merged / "model.gguf", "F16")
    found = (merged / "model.gguf").read_text()
    assert found[0] == "1" and json.loads(found[1:]) == {"model_type": "opt"}


@pytest.mark.parametrize(
    ("code", "found"),
    [("raise NotImplementedError('no such tokenizer')", "NotImplementedError: no such tokenizer"), ("", "it said nothing")],
)  # fmt: skip
def test_a_converter_that_fails_is_told_by_its_last_line(
    stand_in: Callable[[str], Path], code: str, found: str
) -> None:
    merged = stand_in(code)
    with pytest.raises(ModelError, match=f"cannot make GGUF of this model.*{found}"):
        convert(merged, merged / "model.gguf", "F16")


def test_a_converter_is_ended_by_what_is_raised_meanwhile(stand_in: Callable[[str], Path]) -> None:
    merged = stand_in("time.sleep(60)")

    def between() -> None:
        raise Stopped

    began = time.monotonic()
    with pytest.raises(Stopped):
        convert(merged, merged / "model.gguf", "F16", between)
    assert time.monotonic() - began < 10


def gpt2(folder: Path) -> Path:
    """Make a small GPT-2 with random weights and the words that llama.cpp ships for its own tests."""
    fields = gguf.GGUFReader(WORDS).fields
    words = {token: number for number, token in enumerate(fields["tokenizer.ggml.tokens"].contents())}
    pairs = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
    backend = Tokenizer(models.BPE(words, pairs))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=end, bos_token=end, unk_token=end).save_pretrained(
        folder
    )
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=2, n_head=4, n_ctx=1024)).save_pretrained(folder)
    return folder


@pytest.mark.skipif(not WORDS.is_file(), reason=f"{VARIABLE} names no folder of llama.cpp")
def test_a_run_of_another_family_becomes_gguf_by_the_converter(
    open_copy: Callable[[str], Workspace], tmp_path: Path
) -> None:
    workspace = open_copy("short")
    data = workspace.data.inspect_example("shop").dataset
    assert data
    plan = workspace.plan(PlanChoices("lora", data.fingerprint, str(gpt2(tmp_path / "gpt2")), {"max_steps": 1}))
    run = workspace.train(plan)
    *_, last = workspace.exports.steps(run.id, "gguf", tmp_path / "out", {"quantisation": "F16"})
    assert last.exported and set(last.exported.files) == {"Modelfile", "README.md", "model.gguf"}
    assert last.exported.round_trip.same >= 14 and last.exported.round_trip.problem == ""
    assert "llama.cpp's own converter" in (tmp_path / "out" / "README.md").read_text()
