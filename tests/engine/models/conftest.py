"""A model small enough for tests, with a real tokenizer and chat template, and adapters that change what it says."""

from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.models.accelerator import Accelerator
from engine.models.adapters import peft_config
from engine.models.folder import describe_folder
from engine.models.loading import load_base
from engine.types import TuningMethod

# Tiny matrices gain nothing from a second thread, and wait for it dearly on a busy machine.
torch.set_num_threads(1)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
HYPERPARAMETERS = {
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": "all-linear",
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "max_length": 64,
    "optim": "adamw_torch_fused",
    "gradient_checkpointing": False,
}


def save_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        ["the cat sat on the mat and the dog ran to the sea"] * 20,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>")
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return fast


def save_model(folder: Path, **changes: object) -> Path:
    tokenizer = save_tokenizer(folder)
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.5,
    }
    model = LlamaForCausalLM(LlamaConfig(**(settings | changes)))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    return describe_folder(tiny_folder, "starter", "Tiny")  # trusted, as the starter is: no trial of its tokenizer


def save_adapter(tiny, folder: Path, seed: int) -> Path:
    base = load_base(tiny, device="cpu", dtype="float32")
    tuned = get_peft_model(base, peft_config(TuningMethod.LORA, HYPERPARAMETERS, tiny))
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.5)
    tuned.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tiny, tmp_path_factory) -> Path:
    return save_adapter(tiny, tmp_path_factory.mktemp("run") / "step-000010", seed=1)


@pytest.fixture(scope="session")
def other_checkpoint(tiny, tmp_path_factory) -> Path:
    return save_adapter(tiny, tmp_path_factory.mktemp("run") / "step-000020", seed=2)


@pytest.fixture
def accelerator(tmp_path) -> Accelerator:
    return Accelerator(tmp_path / "accelerator.lock")


@pytest.fixture
def make_model():
    return save_model


@pytest.fixture
def hyperparameters() -> dict[str, object]:
    return dict(HYPERPARAMETERS)
