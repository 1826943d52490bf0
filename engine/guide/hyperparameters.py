"""Every setting that any technique has, one row each; forms, help, checks, the command line and tests follow from the rows.

Keys are the libraries' own names. `default` is the value for a model of about a billion parameters; what a smaller model
or a small dataset needs instead is worked out by `engine.guide.defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.guide.rewards import REWARD_FUNCTIONS
from engine.types import Hyperparameter, HyperparameterKind, TuningMethod

INTEGER, NUMBER, BOOLEAN, CHOICE, TEXT = HyperparameterKind

_TRANSFORMERS = "transformers TrainingArguments"

_ROWS = (
    Hyperparameter(
        "learning_rate", "Learning rate", NUMBER, 2e-4, low=1e-7, high=1.0,
        help="How far each step moves the trained weights. Too high and the loss jumps or the text breaks; "
        "too low and nothing changes. Small models and small adapters take larger values.",
        source="LoRA paper, table 11 (arXiv 2106.09685); for small models: measured on the starter model",
    ),
    Hyperparameter(
        "num_train_epochs", "Epochs", NUMBER, 3.0, low=1e-5, high=1000, unit="passes over the rows",
        help="How often every training row is seen. More passes learn harder and, with few rows, memorise.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "max_steps", "Steps", INTEGER, 0, low=0, high=1_000_000, unit="optimizer steps",
        help="Ends the run after exactly this many steps. 0 means: as many as the epochs need.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "per_device_train_batch_size", "Batch size", INTEGER, 8, low=1, high=512, unit="rows",
        help="How many rows are looked at together before the weights move. Larger is smoother and takes more memory.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "max_length", "Longest row", INTEGER, 1024, low=16, high=131_072, unit="tokens",
        help="Rows longer than this are cut at the end; what is cut is not learnt. A token is a piece of a word.",
        source="trl SFTConfig",
    ),
    Hyperparameter(
        "lora_rank", "LoRA rank", INTEGER, 16, low=1, high=512, group="Method",
        help="The width of the small matrices that are trained. More rank can learn more, and costs more memory.",
        source="arXiv 2106.09685, section 4.1 (r)",
    ),
    Hyperparameter(
        "lora_alpha", "LoRA alpha", INTEGER, 32, low=1, high=1024, group="Method",
        help="How strongly the small matrices act: they are scaled by alpha / rank. Twice the rank is a good start.",
        source="arXiv 2106.09685, section 4.1 (alpha)",
    ),
    Hyperparameter(
        "lora_dropout", "LoRA dropout", NUMBER, 0.0, low=0.0, high=0.9, unit="share", group="Method", advanced=True,
        help="The share of inputs that are hidden from the small matrices at random, against memorising.",
        source="peft LoraConfig",
    ),
    Hyperparameter(
        "target_modules", "Layers that learn", CHOICE, "all-linear", choices=("all-linear", "attention"), group="Method",
        help="all-linear puts small matrices on every linear layer and learns best; attention uses only the query, key, "
        "value and output layers and is lighter.",
        source="QLoRA paper, section 4 (arXiv 2305.14314): all linear layers are needed to match full tuning",
    ),
    Hyperparameter(
        "tuning_method", "What is trained", CHOICE, "lora", choices=tuple(TuningMethod),
        help="Which weights move while this objective is pursued: LoRA's small matrices, all of them, or another method's.",
        source="peft; the methods of the picker",
    ),
    Hyperparameter(
        "frozen_layers", "Layers kept", INTEGER, 0, low=0, high=1000, unit="layers from the bottom", group="Method",
        help="So many blocks, counted from the text upwards, stay as they are: less memory, and less to forget. "
        "0 trains all of the model; otherwise the embedding stays too.",
        source="arXiv 1801.06146, section 3.3 (gradual unfreezing)",
    ),
    Hyperparameter(
        "bnb_4bit_quant_type", "4-bit numbers", CHOICE, "nf4", choices=("nf4", "fp4"), group="Method", advanced=True,
        help="How the model's own weights are rounded: nf4 suits weights that lie round zero, as they mostly do.",
        source="QLoRA paper, section 3 (arXiv 2305.14314)",
    ),
    Hyperparameter(
        "bnb_4bit_use_double_quant", "Round the constants too", BOOLEAN, True, group="Method", advanced=True,
        help="Each block of 64 weights has a constant; rounding these as well saves another 0.4 bits a weight.",
        source="QLoRA paper, section 3, double quantization (arXiv 2305.14314)",
    ),
    Hyperparameter(
        "init_r", "Rank at the start", INTEGER, 12, low=1, high=512, group="Method",
        help="The width of every small matrix before ranks are taken from where they help least.",
        source="arXiv 2303.10512; peft AdaLoraConfig",
    ),
    Hyperparameter(
        "target_r", "Rank on average at the end", INTEGER, 8, low=1, high=512, group="Method",
        help="What is left on average. It must not be more than the rank at the start.",
        source="arXiv 2303.10512; peft AdaLoraConfig",
    ),
    Hyperparameter(
        "num_virtual_tokens", "Virtual tokens", INTEGER, 20, low=1, high=512, unit="tokens", group="Method", safe_high=100,
        help="How many trained tokens stand before every text. More can say more, and each takes room from the text.",
        source="arXiv 2104.08691, section 3.2: 20 to 100",
    ),
    Hyperparameter(
        "prompt_tuning_init", "They start", CHOICE, "RANDOM", choices=("RANDOM", "TEXT"), group="Method",
        help="RANDOM begins with random numbers; TEXT begins with the words below, which often learns faster.",
        source="arXiv 2104.08691, section 3.2; peft PromptTuningConfig",
    ),
    Hyperparameter(
        "prompt_tuning_init_text", "Words to start from", TEXT, "Answer politely and in full sentences.", group="Method",
        help="Used when they start from TEXT: say in words what the model should do.",
        source="peft PromptTuningConfig",
    ),
    Hyperparameter(
        "prefix_projection", "Through a small network", BOOLEAN, False, group="Method",
        help="The prefix is made by a small network while training: steadier at high rates, more to train; the file stays the same.",
        source="arXiv 2101.00190, section 4.3; peft PrefixTuningConfig",
    ),
    Hyperparameter(
        "encoder_hidden_size", "Width of the small network", INTEGER, 128, low=8, high=8192, group="Method", advanced=True,
        help="The inner width of the network that makes the virtual tokens.",
        source="peft PromptEncoderConfig",
    ),
    Hyperparameter(
        "encoder_reparameterization_type", "Small network", CHOICE, "MLP", choices=("MLP", "LSTM"), group="Method",
        help="What makes the virtual tokens: a plain network (MLP), or one that reads them in order (LSTM).",
        source="arXiv 2103.10385, section 3.2; peft PromptEncoderConfig",
    ),
    Hyperparameter(
        "bottleneck_size", "Bottleneck", INTEGER, 32, low=1, high=4096, unit="numbers wide", group="Method",
        help="How narrow the small layers are in the middle. Wider can learn more, and costs more memory.",
        source="arXiv 1902.00751, section 2.1",
    ),
    Hyperparameter(
        "adapter_placement", "Where they stand", CHOICE, "after_attention_and_mlp", group="Method",
        choices=("after_attention_and_mlp", "after_mlp"),
        help="After attention and after the MLP (Houlsby), or after the MLP alone (Pfeiffer), which is half the size.",
        source="arXiv 1902.00751, figure 2; arXiv 2005.00247, section 2.2.2",
    ),
    Hyperparameter(
        "adapter_activation", "Bend", CHOICE, "gelu", choices=("relu", "gelu", "silu"), group="Method", advanced=True,
        help="The function in the middle of the small layers, without which two layers would be one.",
        source="arXiv 1902.00751, section 2.1",
    ),
    Hyperparameter(
        "adapter_len", "Prompt tokens a layer", INTEGER, 10, low=1, high=256, unit="tokens", group="Method",
        help="How many trained tokens attention sees in each of the adapted layers.",
        source="arXiv 2303.16199, section 3.1",
    ),
    Hyperparameter(
        "adapter_layers", "Layers adapted", INTEGER, 0, low=0, high=1000, unit="layers from the top", group="Method",
        help="How many of the topmost layers are adapted. 0 means all but the lowest.",
        source="arXiv 2303.16199, section 3.1",
    ),
    Hyperparameter(
        "r", "Rank", INTEGER, 8, low=1, high=1024, group="Method",
        help="The width of what is trained. More can learn more, and costs more memory.",
        source="peft, r of the method's configuration",
    ),
    Hyperparameter(
        "alpha", "Alpha", INTEGER, 16, low=1, high=1024, group="Method",
        help="How strongly the trained part acts: it is scaled by alpha / rank.",
        source="peft LoHaConfig, LoKrConfig",
    ),
    Hyperparameter(
        "delora_lambda", "Strength", NUMBER, 15.0, low=0.1, high=1000.0, group="Method",
        help="How far the weights may move in all; DeLoRA trains direction and strength apart.",
        source="arXiv 2503.18225; peft DeloraConfig",
    ),
    Hyperparameter(
        "oft_block_size", "Block", INTEGER, 16, low=2, high=512, unit="numbers", group="Method",
        help="Weights are turned in blocks of this size; it must divide the width of every layer.",
        source="arXiv 2306.07280; peft OFTConfig",
    ),
    Hyperparameter(
        "boft_block_size", "Block", INTEGER, 4, low=2, high=512, unit="numbers", group="Method",
        help="Weights are turned in blocks of this size; it must divide the width of every layer.",
        source="arXiv 2311.06243; peft BOFTConfig",
    ),
    Hyperparameter(
        "n_frequency", "Frequencies", INTEGER, 1000, low=1, high=1_000_000, unit="a layer", group="Method",
        help="How many waves the change of each layer is made of; each is one trained number.",
        source="arXiv 2405.03003, section 3; peft FourierFTConfig",
    ),
    Hyperparameter(
        "packing", "Fill rows up", BOOLEAN, False,
        help="Texts are put one after the other and cut into rows of the longest length, so that no token is padding. "
        "For plain text only.",
        source="arXiv 2005.14165, appendix B",
    ),
    Hyperparameter(
        "beta", "Beta", NUMBER, 0.1, low=0.0, high=100.0, group="Objective", safe_high=10.0,
        help="How strongly the model is held near where it began (in SimPO and CPO: how sharply better and worse are told apart; "
        "in ORPO: how much the pairs count beside the text).",
        source="arXiv 2305.18290, section 4",
    ),
    Hyperparameter(
        "dpo_loss_type", "Loss", CHOICE, "sigmoid", group="Objective",
        choices=("sigmoid", "ipo", "hinge", "robust", "apo_zero", "sppo_hard", "nca_pair", "bco_pair", "sigmoid_norm"),
        help="How the distance between the better and the worse answer is judged. sigmoid is DPO itself; ipo and robust stand "
        "noisy pairs better; hinge stops caring once the better answer is far enough ahead.",
        source="trl DPOConfig, loss_type",
    ),
    Hyperparameter(
        "sft_weight", "Weight of the better text", NUMBER, 0.0, low=0.0, high=10.0, group="Objective",
        help="How much the better answers are also simply learnt, beside being told apart. It keeps the words whole: without it a "
        "small model soon prefers broken text to the worse answer. 0 is plain DPO.",
        source="arXiv 2404.19733, equation 1 (the NLL term); trl DPOConfig, loss_weights",
    ),
    Hyperparameter(
        "label_smoothing", "Doubt in the labels", NUMBER, 0.0, low=0.0, high=0.49, unit="share", group="Objective", advanced=True,
        help="The share of pairs that may be the wrong way round. The robust loss needs some.",
        source="arXiv 2403.00409; trl DPOConfig",
    ),
    Hyperparameter(
        "desirable_weight", "Weight of thumbs up", NUMBER, 1.0, low=0.0, high=100.0, group="Objective", advanced=True,
        help="How much a liked answer counts. Raise it when there are far fewer of them than of the others.",
        source="arXiv 2402.01306, section 4.2",
    ),
    Hyperparameter(
        "undesirable_weight", "Weight of thumbs down", NUMBER, 1.0, low=0.0, high=100.0, group="Objective", advanced=True,
        help="How much a disliked answer counts.",
        source="arXiv 2402.01306, section 4.2",
    ),
    Hyperparameter(
        "simpo_gamma", "Margin", NUMBER, 0.5, low=0.0, high=10.0, group="Objective",
        help="How far ahead the better answer must be before it is good enough.",
        source="arXiv 2405.14734, section 2.3",
    ),
    Hyperparameter(
        "cpo_alpha", "Weight of the text", NUMBER, 1.0, low=0.0, high=100.0, group="Objective",
        help="How much the better answers are also simply learnt, beside being told apart.",
        source="arXiv 2401.08417, section 4.2",
    ),
    Hyperparameter(
        "center_rewards_coefficient", "Keep rewards round zero", NUMBER, 0.01, low=0.0, high=1.0, group="Objective", advanced=True,
        help="A small pull of the rewards towards zero, so that their size means the same everywhere. 0 turns it off.",
        source="arXiv 2312.09244, section 2",
    ),
    Hyperparameter(
        "policy_objective", "Then learn by", CHOICE, "rloo", choices=("rloo", "grpo"), group="Objective",
        help="How the model learns from the rewards of its own answers in the second stage.",
        source="arXiv 2402.14740 (RLOO); arXiv 2402.03300 (GRPO)",
    ),
    Hyperparameter(
        "reward_learning_rate", "Learning rate of the reward model", NUMBER, 1e-4, low=1e-7, high=1.0, group="Objective",
        help="How far each step moves the reward model, in the first stage.",
        source="trl RewardConfig; for small models: measured on the starter model",
    ),
    Hyperparameter(
        "reward", "What is rewarded", CHOICE, "ends_with_question", choices=(*REWARD_FUNCTIONS, "reward_model"), group="Objective",
        help="Says how good each of the model's own answers is: a ready rule, or a reward model that you trained before.",
        source="trl GRPOTrainer, reward_funcs",
    ),
    Hyperparameter(
        "reward_pattern", "Pattern", TEXT, "", group="Objective",
        help="For the rule that looks for a pattern: a regular expression that a good answer holds.",
        source="Python's re",
    ),
    Hyperparameter(
        "reward_target_words", "Words at most", INTEGER, 8, low=1, high=1000, unit="words", group="Objective",
        help="For the rule of length: up to so many words earn all of the reward.",
        source="Luthier's own rule",
    ),
    Hyperparameter(
        "reward_run", "Run of the reward model", TEXT, "", group="Objective",
        help="For the reward model: the run that trained it. The newest that finished on this model is filled in.",
        source="Luthier's own runs",
    ),
    Hyperparameter(
        "num_generations", "Answers a question", INTEGER, 8, low=2, high=64, unit="answers", group="Objective",
        help="How many answers the model tries for each question; they are judged against each other. The batch holds answers, "
        "so it must be a multiple of this.",
        source="arXiv 2402.03300, section 4.1",
    ),
    Hyperparameter(
        "max_completion_length", "Longest answer", INTEGER, 256, low=4, high=8192, unit="tokens", group="Objective",
        help="Answers that the model tries are cut here; shorter is much faster.",
        source="trl GRPOConfig",
    ),
    Hyperparameter(
        "temperature", "Temperature", NUMBER, 1.0, low=0.1, high=2.0, group="Objective", advanced=True,
        help="How freely the model tries answers while it learns. At 1 it speaks as it is.",
        source="trl GRPOConfig",
    ),
    Hyperparameter(
        "scale_rewards", "Scale rewards", CHOICE, "group", choices=("group", "batch", "none"), group="Objective", advanced=True,
        help="Whether rewards are divided by how much they differ: among the answers to a question, in the batch, or not.",
        source="arXiv 2503.20783, section 3; trl GRPOConfig",
    ),
    Hyperparameter(
        "gradient_accumulation_steps", "Accumulated batches", INTEGER, 1, low=1, high=1024, unit="batches", advanced=True,
        help="Batches whose gradients are summed before one step: a larger batch for the same memory, in more time.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "warmup_ratio", "Warm-up", NUMBER, 0.1, low=0.0, high=0.9, unit="share of the steps", advanced=True,
        help="At the start the learning rate rises from zero over this share of the steps, so that nothing breaks.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "lr_scheduler_type", "Learning-rate curve", CHOICE, "linear", advanced=True,
        choices=("linear", "cosine", "constant_with_warmup"),
        help="How the learning rate falls after the warm-up: in a straight line, along a cosine, or not at all.",
        source="transformers SchedulerType",
    ),
    Hyperparameter(
        "weight_decay", "Weight decay", NUMBER, 0.0, low=0.0, high=1.0, advanced=True,
        help="Pulls the trained weights towards zero at each step, against memorising. Adapters rarely need it.",
        source="arXiv 1711.05101",
    ),
    Hyperparameter(
        "max_grad_norm", "Gradient limit", NUMBER, 1.0, low=0.0, high=100.0, advanced=True,
        help="A gradient longer than this is shortened to it, so that one odd batch cannot wreck the run. 0 turns it off.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "optim", "Optimizer", CHOICE, "adamw_torch_fused", advanced=True,
        choices=("adamw_torch_fused", "adamw_torch", "adamw_bnb_8bit", "paged_adamw_8bit"),
        help="The rule that turns gradients into steps. All are AdamW: fused reads each weight once instead of many times, 8-bit remembers "
        "in a quarter of the memory, paged moves what does not fit to the machine's memory (NVIDIA cards only).",
        source="transformers OptimizerNames; gains: benchmarks/results.md",
    ),
    Hyperparameter(
        "bf16", "Compute in 16 bits", BOOLEAN, False, advanced=True,
        help="Products of matrices are made in bfloat16, half as wide; the weights that move stay in float32. Up to twice as fast on "
        "cards and processors that have it, slower on others. On by itself where it was measured to gain.",
        source="arXiv 1905.12322; transformers TrainingArguments, bf16; gains: benchmarks/results.md",
    ),
    Hyperparameter(
        "group_by_length", "Rows of like length together", CHOICE, "where_it_saves", advanced=True,
        choices=("where_it_saves", "always", "never"),
        help="Batches are padded to their longest row. Put together by length, with more short rows or fewer long ones in a batch, "
        "every batch costs about the same and little is padding. where_it_saves does so when random batches would be half as long again.",
        source="transformers TrainingArguments, train_sampling_strategy; gains: benchmarks/results.md",
    ),
    Hyperparameter(
        "torch_compile", "Compile the layers", CHOICE, "where_it_repays", advanced=True,
        choices=("where_it_repays", "always", "never"),
        help="Makes the arithmetic of the layers into one program for this model: about an eighth faster on a processor, after up to half a "
        "minute in the first step. where_it_repays does so on processors, in runs of five minutes or more. Without a C++ compiler nothing "
        "changes; on a graphics card it was never tried.",
        source="torch.compile; gains: benchmarks/results.md",
    ),
    Hyperparameter(
        "gradient_checkpointing", "Recompute to save memory", BOOLEAN, False, advanced=True,
        help="Forgets intermediate results and computes them again when needed: much less memory, about a third slower.",
        source="arXiv 1604.06174",
    ),
    Hyperparameter(
        "eval_steps", "Check held-out rows every", INTEGER, 0, low=0, high=1_000_000, unit="steps", group="Checking and saving",
        help="How often the loss on the held-out rows is measured. 0 means: up to eight times in the run, less often when that would take long.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "save_steps", "Save every", INTEGER, 0, low=0, high=1_000_000, unit="steps", group="Checking and saving",
        help="How often a checkpoint is kept, from which the run can go on after a pause or a crash. 0 means: eight times in the run, "
        "and always at the end and when you press Pause or Stop.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "save_total_limit", "Checkpoints kept", INTEGER, 3, low=1, high=1000, group="Checking and saving", advanced=True,
        help="When there are more, the oldest are deleted; the best one stays if it is to be kept.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "load_best_model_at_end", "Keep the best", BOOLEAN, True, group="Checking and saving",
        help="The result is the checkpoint that the held-out rows liked best, which need not be the last. Needs held-out rows.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "early_stopping_patience", "End early after", INTEGER, 3, low=0, high=1000, unit="looks without a better one",
        group="Checking and saving",
        help="Ends the run when the held-out rows have said so many times in a row that it gets no better. 0 never ends it early. "
        "Needs held-out rows.",
        source="transformers EarlyStoppingCallback",
    ),
    Hyperparameter(
        "watched_prompts", "Prompts to watch", INTEGER, 4, low=0, high=8, unit="prompts", group="Checking and saving",
        help="So many prompts are answered before the first step and whenever the held-out rows are looked at, so that you see the "
        "answers change. 0 watches none.",
        source="Luthier",
    ),
    Hyperparameter(
        "watched_texts", "Which prompts", TEXT, "", group="Checking and saving", advanced=True, lines=4,
        help="One a line. Empty takes the first questions of the held-out rows, or of the training rows where none are held out.",
        source="Luthier",
    ),
    Hyperparameter(
        "report_to", "Also report to", CHOICE, "none", choices=("none", "tensorboard", "trackio", "wandb"), advanced=True,
        group="Checking and saving",
        help="Sends the same figures to another tool too, if it is installed beside Luthier. Everything is shown here in any case.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "logging_steps", "Report every", INTEGER, 1, low=1, high=10_000, unit="steps", group="Checking and saving",
        advanced=True, help="How often loss and speed are written down and drawn.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "seed", "Seed", INTEGER, 42, low=0, high=2**31 - 1, group="Checking and saving", advanced=True,
        help="Fixes every random choice. The same plan with the same seed gives the same run on the CPU.",
        source=_TRANSFORMERS,
    ),
)  # fmt: skip

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {row.key: row for row in _ROWS}
"""All settings by key, in the order in which forms show them."""
