"""The part of a script that loads the model, builds the trainer and trains: one row of a table for each objective."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.guide.rewards import REWARD_FUNCTIONS
from engine.models.adapters import peft_config
from engine.models.four_bits import skipped_modules
from engine.models.tuned import Recipe
from engine.models.weights import layer_matrices
from engine.results.script_arguments import arguments_code, config_code, is_told_by_its_result, patience
from engine.results.script_code import Code, call
from engine.results.script_rows import question_tokens
from engine.training.stages import BENDS_LOGITS, WHERE_IT_SAVES, Stage, whole
from engine.types import Objective, TuningMethod

if TYPE_CHECKING:
    from peft import PeftConfig

    from engine.results.script_facts import Facts


@dataclass(frozen=True)
class TrainerCode:
    """How an objective is trained.

    Attributes:
        trainer: The library's trainer.
        config: Its arguments.
        counted: The columns whose lengths together are a row's, by which rows are ordered.
        order: The lines that order rows otherwise; empty, when there are no such columns either, for the order of the rows.
        rows_are_tokens: What tells the trainer that its rows are tokens already, when it does not see it by itself.
    """

    trainer: str
    config: str
    counted: tuple[str, ...] = ()
    rows_are_tokens: str = ""
    order: str = ""


_PREPARED = "    def _prepare_dataset(self, dataset, *_):\n        return dataset  # the rows are tokens already\n"
_TOKENIZED = "    def tokenize_row(self, row, model=None):\n        return row  # the rows are tokens already\n"
_BY_EPOCH = "    def _get_train_sampler(self, *args):\n        return EpochSeeded(super()._get_train_sampler(*args), self.args.seed)\n"
_TWO_TEXTS = ("chosen_input_ids", "rejected_input_ids")

TRAINER_CODE: Mapping[Objective, TrainerCode] = {
    Objective.SFT: TrainerCode("SFTTrainer", "SFTConfig", ("input_ids",)),
    Objective.CLASSIFICATION: TrainerCode("Trainer", "TrainingArguments", ("input_ids",)),
    Objective.DPO: TrainerCode("DPOTrainer", "DPOConfig", ("prompt_ids", "chosen_ids", "rejected_ids"), _PREPARED),
    Objective.KTO: TrainerCode("KTOTrainer", "KTOConfig", (), _PREPARED),
    Objective.ORPO: TrainerCode("ORPOTrainer", "ORPOConfig", _TWO_TEXTS, _TOKENIZED),
    Objective.SIMPO: TrainerCode("CPOTrainer", "CPOConfig", _TWO_TEXTS, _TOKENIZED),
    Objective.CPO: TrainerCode("CPOTrainer", "CPOConfig", _TWO_TEXTS, _TOKENIZED),
    Objective.REWARD: TrainerCode("RewardTrainer", "RewardConfig", ("chosen_ids", "rejected_ids")),
    Objective.RLOO: TrainerCode("RLOOTrainer", "RLOOConfig", order=_BY_EPOCH),
    Objective.GRPO: TrainerCode("GRPOTrainer", "GRPOConfig", order=_BY_EPOCH),
}
"""One row an objective; a chain takes those of its stages."""

_LLAMA_ADAPTER = TrainerCode("Trainer", "TrainingArguments", ("input_ids",))
"""trl's fused head meets a forward that it does not know."""


@dataclass(frozen=True)
class Names:
    """What the things of a stage are called, and where its result goes; a chain has two of each."""

    prefix: str = ""
    output: str = "OUTPUT"

    def of(self, thing: str) -> str:
        """Return the name of this stage's thing."""
        return self.prefix + thing


def training_sections(facts: Facts, stage: Stage, recipe: Recipe, names: Names) -> list[str]:
    """Return the sections that train one stage.

    Args:
        facts: What is known of the plan.
        stage: The stage.
        recipe: How its model is loaded.
        names: What its things are called.
    """
    code = _trainer_code(facts, recipe, stage.objective)
    config = peft_config(
        recipe.method, facts.plan.hyperparameters, facts.plan.model, headed=bool(recipe.outputs), steps=stage.steps
    )
    sections = [_loading(facts, recipe, names.of("model"), stage)]
    if config is not None:
        sections.append(_adapter(facts, code, config, names))
    sections += [
        *_judging(facts, stage),
        f"{names.of('args')} = {arguments_code(facts, stage, code.config, names.output)}",
    ]
    sections.append(_trainer(facts, stage, code))
    return [*sections, _run(facts, stage, code, recipe, names)]


def _trainer_code(facts: Facts, recipe: Recipe, objective: Objective) -> TrainerCode:
    if recipe.method is TuningMethod.LLAMA_ADAPTER:
        return _LLAMA_ADAPTER
    code = TRAINER_CODE[objective]
    return replace(code, rows_are_tokens="") if facts.leaves_rows_to_trl(objective) else code


def base_code(recipe: Recipe, path: str, name: str, labels: str = "") -> str:
    """Return the lines that load a base, with a new head when the recipe has outputs.

    Args:
        recipe: How it is loaded.
        path: Code of its folder.
        name: What it is called.
        labels: Code of the labels' names; empty for a reward model.
    """
    arguments: dict[str, object] = {"dtype": Code(f"torch.{recipe.dtype}")}
    if recipe.quantisation:
        kept = {
            "load_in_4bit": True, "bnb_4bit_quant_type": recipe.quantisation.type,
            "bnb_4bit_use_double_quant": recipe.quantisation.double, "bnb_4bit_compute_dtype": Code(f"torch.{recipe.dtype}"),
        }  # fmt: skip
        if recipe.model.path and (skipped := skipped_modules(layer_matrices(recipe.model.path))):
            kept["llm_int8_skip_modules"] = skipped
        arguments["quantization_config"] = Code(_inner(call("BitsAndBytesConfig", kept)))
        arguments["device_map"] = {"": recipe.device}
    if not recipe.outputs:
        return f"{name} = {call('AutoModelForCausalLM.from_pretrained', arguments, path)}"
    arguments["num_labels"] = len(recipe.outputs)
    if labels:
        arguments["id2label"] = Code(f"dict(enumerate({labels}))")
        arguments["label2id"] = Code(f"{{label: number for number, label in enumerate({labels})}}")
    arguments["pad_token_id"] = Code("tokenizer.pad_token_id")
    seeded = "torch.manual_seed(0)  # for the first numbers of the new head\n"
    return f"{seeded}{name} = {call('AutoModelForSequenceClassification.from_pretrained', arguments, path)}"


def _inner(code: str) -> str:
    """Indent the lines of a call that stands within another one."""
    return code.replace("\n", "\n    ")


def _loading(facts: Facts, recipe: Recipe, name: str, stage: Stage) -> str:
    labels = "LABELS" if stage.objective is Objective.CLASSIFICATION else ""
    lines = [base_code(recipe, "MODEL", name, labels)]
    if recipe.device != "cpu" and not recipe.quantisation:  # what is added to it is made where it is
        lines.append(f'{name}.to("{recipe.device}")')
    if recipe.device == "cpu" and recipe.quantisation:
        lines.append(UNPACKED.strip("\n").format(name=name))
    frozen = whole(facts.plan.hyperparameters, "frozen_layers") if recipe.method is TuningMethod.FULL else 0
    if frozen:
        lines.append(FREEZING.strip("\n").format(name=name, frozen=frozen))
    if stage.facts.generates:
        lines.append(HABITS.strip("\n").format(name=name))
    return "\n".join(lines)


UNPACKED = """
for part in {name}.modules():  # 4-bit weights keep their layout when the model answers, and round as in training
    if hasattr(part, "support_avx512bf16_for_cpu"):
        part.support_avx512bf16_for_cpu = False
"""

FREEZING = """
# The lowest blocks, and the embedding below them, stay as they are.
blocks = next(part for part in {name}.modules() if isinstance(part, torch.nn.ModuleList))
for part in ({name}.get_input_embeddings(), *blocks[:{frozen}]):
    part.requires_grad_(False)
"""

HABITS = """
# Answers are drawn without the temperature and the penalties that the model's publisher may have set.
{name}.generation_config = GenerationConfig(
    bos_token_id={name}.generation_config.bos_token_id,
    eos_token_id={name}.generation_config.eos_token_id,
    pad_token_id={name}.generation_config.pad_token_id,
)
"""


def _adapter(facts: Facts, code: TrainerCode, config: PeftConfig, names: Names) -> str:
    lines = [f"{names.of('peft_config')} = {config_code(config, str(facts.plan.model.path))}"]
    if facts.recipe.method is TuningMethod.BOFT:
        lines.append(
            "peft.tuners.boft.layer.get_fbd_cuda = lambda: None  # else it tries to compile CUDA code for each layer"
        )
    if code.trainer == "Trainer":  # transformers' own takes no configuration of PEFT
        model = names.of("model")
        lines.append(f"set_seed({_seed(facts)})")
        if facts.plan.hyperparameters["gradient_checkpointing"]:
            lines.append(f"{model}.enable_input_require_grads()")
        lines.append(f"{model} = get_peft_model({model}, {names.of('peft_config')})")
    return "\n".join(lines)


def _seed(facts: Facts) -> int:
    """Return the seed of the run."""
    return whole(facts.plan.hyperparameters, "seed")


def _trainer(facts: Facts, stage: Stage, code: TrainerCode) -> str:
    """Return a subclass of the trainer whose rows, order of rows and random numbers are those of the run."""
    methods = [code.rows_are_tokens, code.order]
    if code.counted:
        lengths = "\n".join(f"        {line}" for line in _lengths(code.counted))
        grouping = str(facts.plan.hyperparameters.get("group_by_length", WHERE_IT_SAVES))
        chosen = "" if grouping == WHERE_IT_SAVES else f', "{grouping}"'
        methods.append(BY_LENGTH.strip("\n").replace("<lengths>", lengths).replace("<grouping>", chosen))
    if code.trainer == "SFTTrainer" and facts.plan.device == "cpu" and _has_plain_head(facts):
        methods.append(LEARNT.strip("\n"))
    if facts.plan.held_out.rows:
        of_tokens = code.trainer == "SFTTrainer" and not _routes(facts)
        look = LOOK_WITH_REWARD if stage.facts.generates else LOOK_AT_TOKENS if of_tokens else LOOK
        methods.append(look.strip("\n"))
    written = "\n\n".join(method.rstrip("\n") for method in methods if method)
    doc = f'    """{code.trainer} with the order of rows, and of random numbers, that the run had."""'
    return f"class {_class_name(code)}({code.trainer}):\n{doc}\n\n{written}"


BY_LENGTH = """
    def _get_train_sampler(self, *_):
<lengths>
        return row_order(lengths, self.args.per_device_train_batch_size, self.args.seed<grouping>)
"""

LEARNT = """
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        with self.accelerator.autocast():
            loss, tokens = learnt_loss(model, head, inputs)
        return loss / max(1, tokens if num_items_in_batch is None else num_items_in_batch)
"""


def _has_plain_head(facts: Facts) -> bool:
    """Whether the run has the loss of engine/training/text_loss.py, by the model's own configuration."""
    config = _model_config(facts)
    told = {**config, **(config.get("text_config") or {})}
    return not _routes(facts) and all(told.get(name) in (None, 1, 1.0) for name in BENDS_LOGITS)


def _routes(facts: Facts) -> bool:
    """Whether the loss holds that of a mixture of experts, and is trl's own."""
    return bool(_model_config(facts).get("output_router_logits"))


def _model_config(facts: Facts) -> Mapping[str, Any]:
    path = facts.plan.model.path
    return dict(json.loads((path / "config.json").read_text(encoding="utf-8"))) if path else {}


LOOK = """
    def evaluate(self, *args, **kwargs):
        with torch.random.fork_rng():  # a look at the held-out rows changes nothing of what is drawn after it
            return super().evaluate(*args, **kwargs)
"""

LOOK_AT_TOKENS = """
    def evaluate(self, *_, **__):
        rows, total, tokens = self.eval_dataset, 0.0, 0
        self.model.eval()
        lengths = [len(ids) for ids in rows["input_ids"]]
        with torch.random.fork_rng(), torch.no_grad(), self.compute_loss_context_manager():
            for batch in equal_batches(range(len(rows)), lengths, self.args.eval_batch_size):
                inputs = self._prepare_inputs(self.data_collator([rows[row] for row in batch]))
                learnt = int((inputs["labels"][:, 1:] != -100).sum())
                total, tokens = total + float(self.compute_loss(self.model, inputs)) * learnt, tokens + learnt
        metrics = {"eval_loss": total / max(1, tokens)}  # of all tokens, and not of the batches' means
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
"""

LOOK_WITH_REWARD = """
    def evaluate(self, *args, **kwargs):
        with torch.random.fork_rng():  # a look at the held-out rows changes nothing of what is drawn after it
            figures = super().evaluate(*args, **kwargs)
        return {**figures, "eval_reward": self.state.log_history[-1]["eval_reward"]}  # which trl tells the log alone
"""


def _lengths(columns: tuple[str, ...]) -> list[str]:
    if len(columns) == 1:
        return [f'lengths = [len(ids) for ids in self.train_dataset["{columns[0]}"]]']
    texts = ", ".join(f'rows["{column}"]' for column in columns)
    return ["rows = self.train_dataset", f"lengths = [sum(map(len, row)) for row in zip({texts}, strict=True)]"]


def _class_name(code: TrainerCode) -> str:
    return f"Ordered{code.trainer}"


def _run(facts: Facts, stage: Stage, code: TrainerCode, recipe: Recipe, names: Names) -> str:
    parts: dict[str, object] = {"model": Code(names.of("model")), "args": Code(names.of("args"))}
    if stage.facts.generates:
        parts["reward_funcs"] = Code(f"[{_reward_name(facts)}]")
    parts["train_dataset"] = Code(names.of("train_dataset"))
    if facts.plan.held_out.rows:
        parts["eval_dataset"] = Code(names.of("eval_dataset"))
    parts["processing_class"] = Code("tokenizer")
    if recipe.method is not TuningMethod.FULL and code.trainer != "Trainer":
        parts["peft_config"] = Code(names.of("peft_config"))
    if stage.objective is Objective.CLASSIFICATION:
        parts |= {"data_collator": Code("DataCollatorWithPadding(tokenizer)"), "compute_metrics": Code("accuracy")}
    elif code.trainer == "Trainer":
        parts["data_collator"] = Code("DataCollatorForSeq2Seq(tokenizer)")
    trainer = names.of("trainer")
    lines = [f"{trainer} = {call(_class_name(code), parts)}"]
    lines += [f"{trainer}.add_callback({callback})" for callback in _callbacks(facts, stage, recipe)]
    if facts.plan.dtype == "float16" or (recipe.quantisation and stage.objective is Objective.REWARD):
        lines.append(IN_FULL.strip("\n").format(trainer=trainer))
    lines += [
        f"{trainer}.train()",
        _keeping(facts, stage, names),
        f"{trainer}.save_state()  # what was logged, in trainer_state.json",
    ]
    return "\n".join(lines)


def _keeping(facts: Facts, stage: Stage, names: Names) -> str:
    trainer = names.of("trainer")
    if stage is facts.stages[-1] and facts.plan.keeps_best and is_told_by_its_result(facts):
        copied = f"shutil.copytree({trainer}.state.best_model_checkpoint, {names.output}, dirs_exist_ok=True)"
        return f"{copied}  # peft cannot go on from what it saves of this method"
    return f"{trainer}.save_model({names.output})"


def _callbacks(facts: Facts, stage: Stage, recipe: Recipe) -> list[str]:
    made = ["RankSchedule()"] if recipe.method is TuningMethod.ADALORA else []
    if facts.plan.held_out.rows and stage.steps % whole(facts.plan.hyperparameters, "eval_steps"):
        made.append("LastLook()")
    looks = patience(facts, stage)
    return [*made, f"EarlyStoppingCallback({looks})"] if looks else made


IN_FULL = """
for weight in {trainer}.model.parameters():  # what moves is kept in float32
    weight.data = weight.data.float() if weight.requires_grad else weight.data
"""


def _reward_name(facts: Facts) -> str:
    key = str(facts.plan.hyperparameters.get("reward", "reward_model"))
    return key if key in REWARD_FUNCTIONS else "reward_model"


def _judging(facts: Facts, stage: Stage) -> list[str]:
    """Return the sections that load a reward model and ask it, where one judges."""
    if not stage.facts.generates or _reward_name(facts) != "reward_model":
        return []
    recipe = replace(facts.judge.recipe if facts.judge else facts.recipe, outputs=("reward",))
    if recipe.method is TuningMethod.FULL:
        loading = base_code(recipe, "REWARD_MODEL", "judge").split("\n", 1)[1]  # its head is no new one
    else:
        loading = base_code(recipe, "MODEL", "judge") + "\njudge = PeftModel.from_pretrained(judge, REWARD_MODEL)"
    device = "" if recipe.device == "cpu" or recipe.quantisation else f'.to("{recipe.device}")'
    return [
        f"{loading}\njudge = judge{device}.eval()",
        JUDGING.strip("\n").replace("<asked>", question_tokens(facts, "prompt")),
    ]


JUDGING = '''
def reward_model(prompts, completion_ids, **_):
    """Return what the reward model says of each answer."""
    rows = [<asked> + list(answer) for prompt, answer in zip(prompts, completion_ids, strict=True)]
    rewards = []
    with torch.inference_mode():
        for start in range(0, len(rows), 32):
            batch = tokenizer.pad({"input_ids": rows[start : start + 32]}, padding_side="right", return_tensors="pt")
            rewards += judge(**batch.to(judge.device)).logits[:, 0].float().tolist()
    return rewards
'''
