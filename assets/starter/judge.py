"""Measure the starter: greedy answers to held-out rows, judged by the world."""

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from world import Row, accepts


def answers(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[list[dict[str, str]]],
    batch_size: int = 64,
) -> list[str]:
    """Answer prompts greedily, in batches of like length."""
    texts = [tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True) for prompt in prompts]
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = [""] * len(texts)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        inputs = tokenizer(
            [texts[place] for place in places], return_tensors="pt", padding=True, add_special_tokens=False
        )
        with torch.inference_mode():
            made = model.generate(
                input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, do_sample=False, max_new_tokens=110
            )
        for place, row in zip(places, made[:, inputs.input_ids.shape[1] :], strict=True):
            # What did not stop is no answer: it keeps a mark that no judge accepts.
            stopped = tokenizer.eos_token_id in row.tolist()
            found[place] = tokenizer.decode(row, skip_special_tokens=True).strip() + ("" if stopped else " ...")
    return found


def accuracy_by_family(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rows: list[Row], shown: int = 0
) -> dict[str, float]:
    """Answer the share of accepted answers for each family; print up to ``shown`` wrong ones a family."""
    right: dict[str, list[bool]] = {}
    for row, answer in zip(rows, answers(model, tokenizer, [row.prompt for row in rows]), strict=True):
        verdicts = right.setdefault(row.family, [])
        verdicts.append(accepts(row, answer))
        if not verdicts[-1] and verdicts.count(False) <= shown:
            print(
                f"[{row.family}] {row.prompt[-1]['content'][-200:]!r}\n    said {answer!r}\n    taught {row.answer!r}"
            )
    return {family: round(sum(verdicts) / len(verdicts), 3) for family, verdicts in right.items()}
