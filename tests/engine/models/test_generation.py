import threading
import time
from dataclasses import replace

import pytest
import torch

from engine.errors import DataError, ModelError, RunError
from engine.models.accelerator import Accelerator
from engine.models.decoding import encode_prompt
from engine.models.generation import Voices, adapter_is_active
from engine.models.generation_settings import GenerationSettings
from engine.models.loading import load_base, load_tokenizer
from engine.models.tuned import Recipe

QUESTION = [{"role": "user", "content": "the cat sat"}]
GREEDY = GenerationSettings(max_new_tokens=12)
SAMPLED = GenerationSettings(max_new_tokens=12, temperature=1.0, top_p=0.9, seed=5)
LONG = GenerationSettings(max_new_tokens=100)


@pytest.fixture
def voices(accelerator):
    voices = Voices(accelerator, patience_seconds=0.5)
    yield voices
    voices.release()


def last(chunks):
    """The last chunk of each arm."""
    return {chunk.arm: chunk for chunk in chunks}


def untouched(tiny, settings):
    """What transformers itself answers with a model that never saw an adapter."""
    tokenizer, base = load_tokenizer(tiny), load_base(tiny, device="cpu", dtype="float32")
    prompt = torch.tensor([encode_prompt(QUESTION, tokenizer, 128)])
    torch.manual_seed(settings.seed)
    sampling = {"do_sample": True, "temperature": 1.0, "top_p": 0.9, "top_k": 0} if settings.temperature else {}
    output = base.generate(prompt, max_new_tokens=settings.max_new_tokens, pad_token_id=0, **sampling)
    return tokenizer.decode(output[0, prompt.shape[1] :], skip_special_tokens=True).strip()


def test_a_prompt_is_the_template_with_the_turn_open(tiny):
    tokenizer = load_tokenizer(tiny)
    assert tokenizer.decode(encode_prompt(QUESTION, tokenizer, 128)) == "<|user|> the cat sat<|end|>\n<|assistant|>"


def test_a_model_without_template_gets_the_turns_as_training_writes_them(tiny):
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = None
    earlier = [{"role": "user", "content": "a dog"}, {"role": "assistant", "content": "yes"}]
    expected = f"a dog\nyes{tokenizer.eos_token}\nthe cat sat\n"
    assert tokenizer.decode(encode_prompt([*earlier, *QUESTION], tokenizer, 128)) == expected


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED])
def test_the_base_arm_says_what_the_untouched_base_says(voices, tiny, checkpoint, settings):
    expected = untouched(tiny, settings)
    for _ in range(2):  # the second time the adapter is already on the model
        answers = last(voices.answer(Recipe(tiny), checkpoint, QUESTION, settings))
        assert answers["base"].text == expected
        assert answers["tuned"].text != expected


def test_the_adapter_is_measured_off_for_the_base_and_on_for_the_tuned(voices, tiny, checkpoint):
    for _ in range(2):
        active = {
            (chunk.arm, chunk.adapter_active) for chunk in voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY)
        }
        assert active == {("base", False), ("tuned", True)}


def test_an_adapter_that_is_switched_off_behind_our_back_is_not_called_active(voices, tiny, checkpoint):
    list(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    next(iter(voices.bodies._adapters.values())).base_model.disable_adapter_layers()
    assert not last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY, arms=("tuned",)))["tuned"].adapter_active


def test_chunks_grow_and_the_last_of_each_arm_is_finished(voices, tiny, checkpoint):
    chunks = list(voices.answer(Recipe(tiny), checkpoint, QUESTION, LONG))
    assert [chunk.arm for chunk in chunks] == sorted(chunk.arm for chunk in chunks)
    for arm in ("base", "tuned"):
        mine = [chunk for chunk in chunks if chunk.arm == arm]
        assert [chunk.finished for chunk in mine] == [False] * (len(mine) - 1) + [True]
        assert [chunk.tokens for chunk in mine] == sorted(chunk.tokens for chunk in mine)
        assert 0 < mine[-1].seconds_to_first_token <= mine[-1].seconds


def test_an_answer_ends_at_its_length_or_at_the_context(voices, tiny):
    answer = last(voices.answer(Recipe(tiny), None, QUESTION, GREEDY, arms=("base",)))["base"]
    assert (answer.tokens, answer.finish_reason) == (12, "length")
    prompt = len(encode_prompt(QUESTION, load_tokenizer(tiny), 128))
    short = replace(tiny, context_length_tokens=prompt + 5)
    assert last(voices.answer(Recipe(short), None, QUESTION, GREEDY, arms=("base",)))["base"].tokens == 5


def test_an_answer_ends_at_any_end_token_of_the_model(voices, tiny):
    list(voices.answer(Recipe(tiny), None, QUESTION, GREEDY, arms=("base",)))
    voices.bodies.base(Recipe(tiny)).model.generation_config.eos_token_id = list(range(5, 400))
    answer = last(voices.answer(Recipe(tiny), None, QUESTION, GREEDY, arms=("base",)))["base"]
    assert (answer.tokens, answer.finish_reason, answer.text) == (1, "stop", "")


def test_equal_seeds_give_equal_answers_and_others_do_not(voices, tiny, checkpoint):
    texts = [last(voices.answer(Recipe(tiny), checkpoint, QUESTION, replace(SAMPLED, seed=seed))) for seed in (5, 5, 6)]
    for arm in ("base", "tuned"):
        assert texts[0][arm].text == texts[1][arm].text != texts[2][arm].text


def test_an_answer_leaves_torch_s_random_state_alone(voices, tiny):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    list(voices.answer(Recipe(tiny), None, QUESTION, SAMPLED, arms=("base",)))
    assert torch.equal(torch.get_rng_state(), before)


def test_stop_ends_the_answer_and_keeps_what_was_said(voices, tiny, checkpoint):
    stop = threading.Event()
    chunks = []
    for chunk in voices.answer(Recipe(tiny), checkpoint, QUESTION, LONG, stopped=stop.is_set):
        chunks.append(chunk)
        stop.set()
    assert {chunk.finish_reason for chunk in chunks if chunk.finished} == {"stopped"}
    assert last(chunks)["tuned"].tokens < 100


def test_dropping_the_answer_frees_the_accelerator_at_once(voices, accelerator, tiny, checkpoint):
    answer = voices.answer(Recipe(tiny), checkpoint, QUESTION, LONG)
    next(answer)
    assert accelerator.holder() == f"an answer of {tiny.title}"
    started = time.monotonic()
    answer.close()
    assert time.monotonic() - started < 1
    with accelerator.hold("the next", wait=False):
        pass
    assert last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))["base"].text == untouched(tiny, GREEDY)


def test_a_listener_that_sleeps_does_not_keep_the_accelerator(voices, accelerator, tiny):
    answer = voices.answer(Recipe(tiny), None, QUESTION, GREEDY, arms=("base",))
    next(answer)
    with accelerator.hold("a training", patience_seconds=5):
        pass
    assert last(answer)["base"].finished


def test_an_error_inside_generation_reaches_the_listener_and_the_next_answer_is_right(voices, tiny, checkpoint):
    list(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    layer = voices.bodies.base(Recipe(tiny)).model.model.layers[0]
    hook = layer.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("cosmic ray")))
    with pytest.raises(RuntimeError, match="cosmic ray"):
        list(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    hook.remove()
    answers = last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    assert answers["base"].text == untouched(tiny, GREEDY)


def test_a_conversation_that_is_too_long_is_a_sentence(voices, accelerator, tiny):
    with pytest.raises(ModelError, match=r"too long for this model.*128"):
        list(voices.answer(Recipe(tiny), None, [{"role": "user", "content": "cat " * 300}], GREEDY, arms=("base",)))
    assert accelerator.holder() is None


def test_a_template_that_refuses_is_a_sentence(tiny):
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = "{{ raise_exception('no system role here') }}"
    with pytest.raises(DataError, match="no system role here"):
        encode_prompt(QUESTION, tokenizer, 128)


def test_a_busy_accelerator_is_a_sentence_that_names_the_holder(voices, tmp_path, tiny):
    training = Accelerator(tmp_path / "accelerator.lock")
    with training.hold("run shop-1"), pytest.raises(RunError, match="run shop-1"):
        list(voices.answer(Recipe(tiny), None, QUESTION, GREEDY, arms=("base",)))


def test_a_tuned_arm_needs_a_checkpoint(voices, tiny):
    with pytest.raises(ModelError, match="no tuned model"):
        list(voices.answer(Recipe(tiny), None, QUESTION, GREEDY))


def test_one_base_is_kept_and_checkpoints_are_changed_on_it(voices, tiny, checkpoint, other_checkpoint):
    first = last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    base = voices.bodies.base(Recipe(tiny)).model
    second = last(voices.answer(Recipe(tiny), other_checkpoint, QUESTION, GREEDY))
    again = last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    assert voices.bodies.base(Recipe(tiny)).model is base
    assert first["tuned"].text == again["tuned"].text != second["tuned"].text
    assert first["base"].text == second["base"].text == again["base"].text


def test_a_batch_says_what_single_answers_say(voices, tiny, checkpoint):
    prompts = [[{"role": "user", "content": "the cat sat " * times}] for times in (1, 4, 2, 3)]
    for path, arm in ((None, "base"), (checkpoint, "tuned")):
        singly = [
            last(voices.answer(Recipe(tiny), checkpoint, prompt, GREEDY, arms=(arm,)))[arm].text for prompt in prompts
        ]
        assert voices.answer_batch(Recipe(tiny), path, prompts, GREEDY) == singly


def test_an_empty_batch_has_no_answers(voices, tiny):
    assert voices.answer_batch(Recipe(tiny), None, [], GREEDY) == []


def test_release_drops_the_model_and_the_next_answer_loads_it_again(voices, tiny, checkpoint):
    before = last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))
    voices.release()
    assert voices.bodies.held() == ()
    assert last(voices.answer(Recipe(tiny), checkpoint, QUESTION, GREEDY))["tuned"].text == before["tuned"].text


def test_a_model_without_adapter_layers_has_no_active_adapter(tiny):
    assert not adapter_is_active(load_base(tiny, device="cpu", dtype="float32"))
