"""Which results can be exported to which formats, and the reasons against it."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import LlamaConfig

from engine.guide.techniques import TECHNIQUES
from engine.results.export import EXPORT_FORMATS, reason_against
from engine.results.export_writers import WRITERS


def test_files_of_the_model_tell_why_gguf_cannot_be(tmp_path: Path) -> None:
    LlamaConfig(rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0}).save_pretrained(tmp_path)
    reason = reason_against(EXPORT_FORMATS["gguf"], "lora", {}, "llama", tmp_path)
    assert "stretched by yarn" in reason and "as in Llama 3.1" in reason
    assert reason_against(EXPORT_FORMATS["merged"], "lora", {}, "llama", tmp_path) == ""


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_leaves_with_what_it_learnt_or_says_why_not(technique: str) -> None:
    reasons = {key: reason_against(EXPORT_FORMATS[key], technique, {}, "llama") for key in ("adapter", "merged")}
    if technique == "adapters":
        assert "without Luthier" in reasons["adapter"] and "Bottleneck" in reasons["merged"]
    else:
        assert "" in reasons.values()


def test_full_fine_tuning_is_exported_merged_and_not_as_an_adapter() -> None:
    assert "Export it merged" in reason_against(EXPORT_FORMATS["adapter"], "full", {}, "llama")
    assert reason_against(EXPORT_FORMATS["merged"], "full", {}, "llama") == ""


def test_prompt_tuning_cannot_be_merged() -> None:
    assert "cannot be added" in reason_against(EXPORT_FORMATS["merged"], "prompt_tuning", {}, "llama")
    assert reason_against(EXPORT_FORMATS["adapter"], "prompt_tuning", {}, "llama") == ""


def test_an_unknown_family_is_no_gguf() -> None:
    assert "family opt" in reason_against(EXPORT_FORMATS["gguf"], "lora", {}, "opt")


def test_a_classification_model_is_no_gguf() -> None:
    assert "labels" in reason_against(EXPORT_FORMATS["gguf"], "classification", {}, "llama")


@pytest.mark.parametrize("key", EXPORT_FORMATS)
def test_every_format_speaks_of_itself_and_either_is_written_or_says_why_not(key: str) -> None:
    row = EXPORT_FORMATS[key]
    reason = reason_against(row, "lora", {}, "llama")
    assert row.title and row.purpose.endswith(".") and row.tolerances
    assert key in WRITERS or reason == row.missing != ""
    assert reason == "" or reason.endswith(".")


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_has_a_format_or_a_reason_for_each(technique: str) -> None:
    reasons = [reason_against(row, technique, {}, "llama") for row in EXPORT_FORMATS.values()]
    assert len(reasons) == 7 and all(reason == "" or reason.endswith(".") for reason in reasons)
