"""Several models that answer at the same time say what each says alone."""

import math
import statistics
from dataclasses import replace

import pytest
import torch
from peft import IA3Config, PrefixTuningConfig, PromptTuningConfig, get_peft_model

from engine.data.tokenization import Encoded
from engine.errors import ModelError
from engine.models.bodies import Bodies, with_shared_weights
from engine.models.decoding import answer_token_ids, encode_prompt
from engine.models.generation import Seat, Voices
from engine.models.generation_settings import GenerationSettings
from engine.models.loading import load_base, load_tokenizer
from engine.models.tuned import Recipe
from engine.types import TuningMethod

QUESTION = ({"role": "user", "content": "the cat sat"},)
GREEDY = GenerationSettings(max_new_tokens=24)
SAMPLED = GenerationSettings(max_new_tokens=24, temperature=1.0, top_p=0.9, seed=5)
CONFIGS = {
    TuningMethod.IA3: IA3Config(
        target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], task_type="CAUSAL_LM", init_ia3_weights=False,
    ),
    TuningMethod.PROMPT_TUNING: PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
    TuningMethod.PREFIX_TUNING: PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
}  # fmt: skip


@pytest.fixture
def voices(accelerator):
    voices = Voices(accelerator, patience_seconds=0.5)
    yield voices
    voices.release()


@pytest.fixture(scope="module")
def of_other_kinds(tiny, tmp_path_factory):
    """A checkpoint of each of three methods that cannot share a model's layers."""
    made = {}
    for method, config in CONFIGS.items():
        torch.manual_seed(3)
        tuned = get_peft_model(load_base(tiny, device="cpu", dtype="float32"), config)
        made[method] = tmp_path_factory.mktemp(method.value) / "step-000001"
        tuned.save_pretrained(made[method])
    return made


@pytest.fixture
def seats(tiny, checkpoint, of_other_kinds):
    lora = [Seat("base", Recipe(tiny), None, QUESTION), Seat("lora", Recipe(tiny), checkpoint, QUESTION)]
    return lora + [
        Seat(method.value, Recipe(tiny, method=method), path, QUESTION) for method, path in of_other_kinds.items()
    ]


def heard(voices, seats, settings):
    return {chunk.arm: chunk for chunk in voices.answer_in_seats(seats, settings)}


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED])
def test_together_each_says_what_it_says_alone(voices, seats, settings):
    alone = {seat.arm: heard(voices, [seat], settings)[seat.arm].text for seat in seats}
    assert len(set(alone.values())) == len(seats) > 4
    assert {arm: chunk.text for arm, chunk in heard(voices, seats, settings).items()} == alone


def test_together_only_the_base_has_nothing_on_it(voices, seats):
    assert {arm: chunk.adapter_active for arm, chunk in heard(voices, seats, GREEDY).items()} == {
        seat.arm: seat.arm != "base" for seat in seats
    }


def test_they_advance_together(voices, seats, monkeypatch):
    monkeypatch.setattr("engine.models.decoding.SHOW_SECONDS", 0.0)
    chunks = [chunk for chunk in voices.answer_in_seats(seats[:2], GREEDY) if not chunk.finished]
    assert [chunk.arm for chunk in chunks] == ["base", "lora"] * GREEDY.max_new_tokens
    assert [chunk.tokens for chunk in chunks[::2]] == list(range(1, GREEDY.max_new_tokens + 1))


def test_an_answer_counts_its_own_seconds(voices, seats):
    assert sum(chunk.seconds for chunk in heard(voices, seats, GREEDY).values()) > 0
    alone = heard(voices, seats[:1], GREEDY)["base"].seconds
    beside = heard(voices, [*seats[1:], seats[0]], GREEDY)["base"]
    assert beside.seconds_to_first_token <= beside.seconds < 5 * max(alone, 0.01)


def test_the_same_model_may_sit_in_two_seats_with_other_words(voices, tiny, checkpoint):
    asked = [({"role": "user", "content": words},) for words in ("the cat sat", "a dog")]
    seats = [Seat(str(number), Recipe(tiny), checkpoint, messages) for number, messages in enumerate(asked)]
    both = heard(voices, seats, GREEDY)
    assert [both[seat.arm].text for seat in seats] == [heard(voices, [seat], GREEDY)[seat.arm].text for seat in seats]


def test_one_seat_that_fails_ends_all_with_its_error(voices, seats):
    list(voices.answer_in_seats(seats, GREEDY))
    layer = voices.bodies.speaker(*seats[1].part).base_model.model.model.layers[0]
    layer.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("cosmic ray")))
    with pytest.raises(RuntimeError, match="cosmic ray"):
        heard(voices, seats, GREEDY)
    assert len(heard(voices, seats, GREEDY)) == len(seats)


def test_a_seat_whose_question_is_too_long_is_a_sentence(voices, tiny, checkpoint):
    long = ({"role": "user", "content": "cat " * 300},)
    seats = [Seat("base", Recipe(tiny), None, QUESTION), Seat("tuned", Recipe(tiny), checkpoint, long)]
    with pytest.raises(ModelError, match="too long"):
        heard(voices, seats, GREEDY)


def test_a_copy_on_shared_weights_takes_no_memory_and_leaves_the_base_alone(tiny):
    base = load_base(tiny, device="cpu", dtype="float32")
    before = {name: type(module) for name, module in base.named_modules()}
    tuned = get_peft_model(with_shared_weights(base), CONFIGS[TuningMethod.IA3])
    own = {id(weight) for weight in tuned.parameters()} - {id(weight) for weight in base.parameters()}
    assert all("ia3" in name for name, weight in tuned.named_parameters() if id(weight) in own)
    assert {name: type(module) for name, module in base.named_modules()} == before


def test_memory_says_what_each_model_takes(voices, seats):
    heard(voices, seats[:2], GREEDY)
    base, adapter = voices.bodies.held()
    assert (base.what, adapter.what) == ("base", "adapter") and 0 < adapter.size_bytes < base.size_bytes


def test_models_that_do_not_fit_together_answer_in_turn(voices, tiny, checkpoint, seats, monkeypatch, tmp_path):
    monkeypatch.setattr("engine.models.bodies._free_bytes", lambda device: 0)
    monkeypatch.setattr("engine.models.decoding.SHOW_SECONDS", 0.0)
    other = Seat("other", Recipe(tiny, dtype="bfloat16"), None, QUESTION)
    arms = [chunk.arm for chunk in voices.answer_in_seats([seats[0], seats[1], other], GREEDY)]
    assert arms[:2] == ["base", "lora"] and set(arms[arms.index("other") :]) == {"other"}


def test_a_base_that_nobody_needs_is_given_back(tiny):
    bodies, other = Bodies(), Recipe(tiny, dtype="bfloat16")
    bodies.base(Recipe(tiny))
    bodies.base(other)
    bodies.keep_only([(other, None)])
    (held,) = bodies.held()
    assert tiny.parameters * 2 <= held.size_bytes < tiny.parameters * 3


def test_the_places_of_an_answer_are_as_likely_as_the_model_finds_them(voices, seats, tiny):
    """Their mean surprise is the loss that the trainer would see."""
    tokenizer = load_tokenizer(tiny)
    prompt, answer = encode_prompt(QUESTION, tokenizer, 128), answer_token_ids(QUESTION, "a dog sat", tokenizer)
    trained = [False] * len(prompt) + [True] * len(answer)
    row = Encoded(prompt + answer, [(0, 0)] * len(trained), trained)
    for seat in seats:
        places = voices.places(seat, "a dog sat", most=5)
        surprise = [-math.log(place.token.probability) for place in places]
        (loss,) = voices.losses(seat.recipe, seat.checkpoint, [row], stopped=lambda: False)
        assert statistics.mean(surprise) == pytest.approx(loss, rel=1e-4)
        assert all(place.rank > 1 or place.likeliest[0] == place.token for place in places)


def test_an_answer_longer_than_the_context_is_looked_at_as_far_as_it_goes(voices, tiny):
    short = Seat("base", Recipe(replace(tiny, context_length_tokens=20)), None, QUESTION)
    assert 0 < len(voices.places(short, "cat " * 100)) < 20


def test_the_chance_of_a_reply_is_that_of_its_first_own_token(voices, tiny) -> None:
    [found] = voices.reply_chances(Recipe(tiny), [QUESTION], ["A", "B"], stopped=lambda: False)
    tokenizer, model = load_tokenizer(tiny), load_base(tiny, device="cpu", dtype="float32")
    prompt = encode_prompt(QUESTION, tokenizer, 64)
    a, b = (answer_token_ids(QUESTION, letter, tokenizer) for letter in "AB")
    assert a[0] == b[0]  # this template puts a space before what is said
    with torch.inference_mode():
        chances = model(input_ids=torch.tensor([[*prompt, a[0]]])).logits[0, -1].softmax(-1)
    assert found == pytest.approx((float(chances[a[1]]), float(chances[b[1]])))


def test_a_conversation_too_long_to_read_has_no_chances_and_the_next_one_does(voices, tiny) -> None:
    long = ({"role": "user", "content": "the cat sat " * tiny.context_length_tokens},)
    said = voices.reply_chances(Recipe(tiny), [long, QUESTION], ["A", "B"], stopped=lambda: False)
    assert said[0] is None and said[1]


def test_replies_that_one_token_does_not_tell_apart_are_refused(voices, tiny) -> None:
    with pytest.raises(ModelError, match="do not tell the replies apart"):
        voices.reply_chances(Recipe(tiny), [QUESTION], ["A", "A"], stopped=lambda: False)


def test_asking_for_chances_ends_when_it_is_stopped(voices, tiny) -> None:
    assert voices.reply_chances(Recipe(tiny), [QUESTION] * 9, ["A", "B"], stopped=lambda: True) == []
