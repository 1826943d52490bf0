"""The base of a run as transformers alone loads it and answers with it: the yardstick of the base pane.

Shares nothing with the models that answer in the window: another load, the tokenizer's own template, the library's own `generate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from engine.errors import ModelError
from engine.models.decoding import Speaker, encode_prompt, generation_config
from engine.models.four_bits import skipped_modules
from engine.models.generation_settings import GenerationSettings
from engine.models.loading import DTYPES, LOAD_LOCK, without_repacking
from engine.models.tuned import Recipe
from engine.models.weights import layer_matrices


def fresh_answers(
    recipe: Recipe, conversations: Sequence[Sequence[Mapping[str, str]]], settings: GenerationSettings
) -> list[str]:
    """Return the answers of the untouched base, one conversation after the other.

    Args:
        recipe: Says which model, number format and quantisation.
        conversations: Each with its question last.
        settings: Greedy ones; nothing is drawn by chance here.

    Raises:
        ModelError: When the model is not on this disk.
    """
    if recipe.model.path is None:
        raise ModelError(f"the model {recipe.model.title} is not on this disk", next_step="Download it first.")
    packed = {} if recipe.quantisation is None else {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=recipe.quantisation.type,
            bnb_4bit_use_double_quant=recipe.quantisation.double, bnb_4bit_compute_dtype=DTYPES[recipe.dtype],
            llm_int8_skip_modules=skipped_modules(layer_matrices(recipe.model.path)),
        ),
        "device_map": {"": recipe.device},
    }  # fmt: skip
    with LOAD_LOCK:
        tokenizer = AutoTokenizer.from_pretrained(recipe.model.path, local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            recipe.model.path, dtype=DTYPES[recipe.dtype], attn_implementation="sdpa", use_safetensors=True,
            local_files_only=True, trust_remote_code=False, **packed,
        )  # fmt: skip
    if recipe.quantisation is None:
        torch.nn.Module.to(model, torch.device(recipe.device))
    else:
        without_repacking(model)
    model.eval()
    answers = []
    for messages in conversations:
        turns = [dict(message) for message in messages]
        if tokenizer.chat_template and not recipe.plain_text:
            ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        else:  # without a template there is no form but ours
            ids = encode_prompt(turns, tokenizer, recipe.model.context_length_tokens, plain_text=recipe.plain_text)
        prompt = torch.tensor([ids], device=recipe.device)
        room = max(1, recipe.model.context_length_tokens - prompt.shape[1])
        config = generation_config(settings, model, tokenizer, min(settings.max_new_tokens, room))
        with torch.inference_mode():
            output = cast(Speaker, model).generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=config
            )
        answers.append(str(tokenizer.decode(output[0, prompt.shape[1] :], skip_special_tokens=True)).strip())
    return answers
