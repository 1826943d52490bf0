"""Build the starter model from nothing: its tokenizer, its weights, its files. One seed gives one model.

Run as ``python assets/starter/build.py``; ``make starter`` does. It reads no file and no network: the world that it
teaches is drawn by the modules beside it. The finished folder replaces the old one file by file, at the end only.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from card import Card, write_card
from judge import accuracy_by_family
from muon import Muon
from tokens import Batch, batches, train_tokenizer
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from world import held_out_rows

HERE = Path(__file__).parent
CONTEXT = 1024
TOKENS_PER_STEP = 4096
ROWS_A_FAMILY = 50
SHORT = 256  # most conversations fit; the longer ones are packed to the whole context


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument(
        "--tokens", type=float, default=24e6, help="tokens to train on (packed places, padding included)"
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after this time instead; not reproducible")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--learning-rate", type=float, default=0.006)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=shutil.which("c++") is not None,
        help="compile the loss: a third less time where a C++ compiler is found",
    )
    return parser.parse_args()


def new_model(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int) -> LlamaForCausalLM:
    """Make a fresh Llama; heads are 32 wide."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        intermediate_size=hidden * 11 // 4 // 16 * 16,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=0.04,
    )
    return LlamaForCausalLM(config)


def optimizers(model: LlamaForCausalLM, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms (twice as good a token as AdamW alone here)."""
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=learning_rate),
        torch.optim.AdamW(others, lr=learning_rate * 0.8, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate_at(progress: float) -> float:
    """Warm up, stay, then fall to zero over the last half."""
    return min(1.0, progress / 0.01 + 0.02, 2.0 * (1.0 - progress) + 1e-3)


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Answer the weighted loss; a conversation sees only itself."""
    length = batch.ids.shape[1]
    same = batch.documents[:, :, None] == batch.documents[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    first = torch.ones_like(batch.documents, dtype=torch.bool)
    first[:, 1:] = batch.documents[:, 1:] != batch.documents[:, :-1]
    places = torch.arange(length).expand_as(batch.documents)
    positions = places - torch.where(first, places, 0).cummax(dim=1).values
    logits = model(
        input_ids=batch.ids, attention_mask=(same & causal)[:, None], position_ids=positions, use_cache=False
    ).logits
    losses = functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def train(model: LlamaForCausalLM, source: Iterator[Batch], arguments: argparse.Namespace) -> dict[str, float]:
    """Train until the tokens or the minutes are spent; answer what it took."""
    steppers = optimizers(model, arguments.learning_rate)
    peaks = [stepper.param_groups[0]["lr"] for stepper in steppers]
    measure = torch.compile(loss_of, dynamic=False) if arguments.compile else loss_of
    began, cpu_began, seen, step, mean = time.time(), time.process_time(), 0, 0, 0.0
    while True:
        spent = (time.time() - began) / 60
        progress = spent / arguments.minutes if arguments.minutes else seen / arguments.tokens
        if progress >= 1.0:
            break
        for stepper, peak in zip(steppers, peaks, strict=True):
            stepper.param_groups[0]["lr"] = peak * rate_at(progress)
        loss = measure(model, next(source))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        seen, step = seen + TOKENS_PER_STEP, step + 1
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
        if step % 50 == 0:
            print(
                f"step {step} tokens {seen / 1e6:.2f}M loss {mean:.4f} minutes {spent:.1f} progress {progress:.3f}",
                flush=True,
            )
    return {
        "steps": step,
        "tokens": seen,
        "loss": round(mean, 4),
        "wall_seconds": round(time.time() - began),
        "cpu_seconds": round(time.process_time() - cpu_began),
    }


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write every file beside the folder first, then move each into its place.

    The weights are stored in bfloat16 and the configuration asks for float32, which holds each of them exactly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.backend_tokenizer.no_padding()  # measuring has switched it on, and it would be stored
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False, max_new_tokens=128
    )
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        model.to(torch.bfloat16).save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        config = Path(temporary) / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
        for path in sorted(Path(temporary).iterdir()):
            path.chmod(0o644)
            os.replace(path, folder / path.name)
    model.to(torch.float32)


def publish(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    arguments: argparse.Namespace,
    run: dict[str, float],
) -> None:
    """Measure the finished weights as they are stored, then write model, report and card."""
    model.to(torch.bfloat16).to(torch.float32).eval()
    scores = accuracy_by_family(model, tokenizer, held_out_rows(arguments.seed, ROWS_A_FAMILY))
    save(model, tokenizer, arguments.out)
    report = {
        "seed": arguments.seed,
        **run,
        "accuracy": round(sum(scores.values()) / len(scores), 4),
        "families": scores,
    }
    (arguments.out / "build.json").write_text(json.dumps(report, indent=2) + "\n")
    config = model.config
    card = Card(
        parameters=model.num_parameters(),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        context=CONTEXT,
        vocabulary=config.vocab_size,
        short=SHORT,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        run=run,
        rows_a_family=ROWS_A_FAMILY,
        scores=scores,
    )
    write_card(arguments.out / "README.md", card)
    print(json.dumps(report, indent=2))


def main() -> None:
    """Build, measure, write."""
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    tokenizer = train_tokenizer(arguments.seed, arguments.vocabulary, CONTEXT)
    model = new_model(tokenizer, arguments.hidden, arguments.layers)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens", flush=True)
    source = batches(tokenizer, arguments.seed, TOKENS_PER_STEP, SHORT, CONTEXT)
    publish(model, tokenizer, arguments, train(model.train(), source, arguments))


if __name__ == "__main__":
    main()
