"""The engine: everything Luthier does, without a screen. A file imports only from above it in this list.

types.py              the nouns that travel between modules
errors.py             what a person may be told has gone wrong
processes.py          which process is which, and whether it still lives
hub_ids.py            how what lies on the hub is called
hub_files.py          files of the hub, checked and moved into place whole
events.py             what a run says while it goes
guide/
  rewards.py          the ready rules that say how good an answer is
  hyperparameters.py  every setting, one row each
  setting_values.py   from what was typed to a setting's value, or what is wrong with it
  methods.py          every tuning method: what moves, what its result can do
  objectives.py       every objective: rows, settings, what it needs
  cards.py            what the guide says of each technique, and its paper
  techniques.py       every technique, one row each: a method with an objective
  moving_parts.py     which parts of a model move, for the picture of it
  compatibility.py    which combinations cannot be, and why: a table of rules
  defaults.py         which value suits this model and these rows
  questions.py        what people are asked before they are advised
  evidence.py         what an advice can rest on besides answers: known facts, measured scores
  means.py            which means suits a case: prompt, examples, retrieval, training; a table of rules
  advisor.py          whether to fine-tune, with which technique, why, and what would change that
  lessons.py          lessons: steps, where to look, what ticks a step off
data/
  problems.py         what can be wrong with a file, and the verdict
  intake.py           a file while it is read: batches with the place of each row, and limits
  signatures.py       what a file really is, by its first bytes
  text_lines.py       encodings, line ends, bytes that are not text
  text_window.py      a long text of which only a part is in memory
  json_mistakes.py    what a person should hear when JSON is none
  json_rows.py        JSON and JSON Lines
  headers.py          which first row of a table is its header
  delimited_rows.py   CSV, TSV and other separators
  text_rows.py        plain text and Markdown
  parquet_rows.py     Parquet
  arrow_rows.py       Arrow, file and stream
  excel_rows.py       Excel workbooks
  archives.py         gzip and zip, unpacked under limits
  readers.py          which reader takes which file
  conversions.py      from source cells to one canonical row
  shapes.py           which shape the columns make
  meanings.py         what a person can say that columns hold
  remembered_columns.py  what a person said last time
  checks.py           what is suspicious about rows: a table of questions
  tallies.py          what can be said only of all rows together
  clean_copy.py       canonical rows and facts of each in Parquet, written once
  inspection.py       one look at a whole file
  dataset.py          rows, pages of a view, search
  preview.py          the first rows of a file, at once
  column_facts.py     what stands in each column
  derivations.py      other datasets that can be made of one
  tokenization.py     from laid-out text to token ids
  chat_templates.py   a model's chat template at work
  chat_format.py      what training sees: tokens, and where the loss lies
  xray.py             one row as training sees it, both sides of a pair
  statistics.py       lengths, what is learnt, what repeats
  token_profile.py    what every maximum length would cut, waste and teach
  training_rows.py    what each objective's trainer reads: answers, pairs, thumbs, questions, labels
  examples.py         the bundled datasets
  shards.py           several files that are one table, put together
  hub_choice.py       which files of a hub repository are the rows
  hub_dataset.py      a dataset of the hub, by its id
  held_out.py         which rows are held out, and never both ways
  library.py          the datasets of a workspace
models/
  weights.py          the headers of safetensors files
  folder.py           what a model's folder says of itself, checked
  catalog.py          which models there are
  hub.py              fetching a model from the hub
  hardware.py         device, memory, cores; what would keep you from tuning
  accelerator.py      who may compute: one at a time, over all processes
  four_bits.py        which layers stay whole in a model of 4 bits
  tokenizer_trial.py  an unknown tokenizer, tried where it can be ended
  bottleneck.py       bottleneck adapters, as a method of PEFT
  loading.py          model, tokenizer and adapter into memory, one at a time
  adapters.py         from a tuning method to PEFT's configuration, and how much it trains
  tuned.py            what a checkpoint is: an adapter on the base, or a model of its own
  heads.py            models that give labels or a reward instead of text
  kept.py             what is kept of each layer until the backward pass
  memory.py           bytes of a run before it runs
  duration.py         seconds of a run before it runs
  fit.py              whether it fits, and the cheapest change that makes it fit
  likelihood.py           how likely a model finds texts
  generation_settings.py  how an answer is drawn
  bodies.py           the models that speak, in memory: adapters of any kind on one copy of the weights
  turnstile.py        answers written at the same time, a token each
  next_tokens.py      what a model expected at every place of an answer
  decoding.py         prompt to tokens, tokens to text, when to stop
  fresh_base.py       the base as transformers alone answers with it
  generation.py       models side by side, streamed
  warm_up.py          the heavy libraries, imported in the background
training/
  stages.py           how many steps a plan takes, in which stages
  plan.py             from choices to a frozen plan, every mistake at once
  metrics.py          from events to curves and figures
  curves.py           the curves of a run in columns, for long runs too
  curve_shapes.py     what can be said of the shape of a curve: starts, ends, medians, evenness
  findings.py         what the diagnosis speaks in: facts, evidence, rules, findings
  learning_rules.py   what curves say of learning: too fast, too slow, by heart, leaked
  alignment_rules.py  what curves say of pairs and rewards: words lost, rewards gamed
  machine_rules.py    what curves say of the machine: slower, memory creeping up
  healthy_ranges.py   where the values of a curve lie in a healthy run, where that can be said
  diagnosis.py        the chart explains itself: a table of rules over the curves of a run
  database.py         the SQLite file: connections, transactions, migrations, damage
  store.py            runs, their queue and their events
  run_folder.py       what a run's folder holds, so that it can be told from that alone
  reserve.py          room kept for writing down how a run ended
  rebuilding.py       the store made anew from the folders of the runs
  comparing.py        one technique beside the others, for the same model and rows
  planner.py          what can be chosen together in a workspace
  series.py           several runs from one choice: a grid of up to two settings
  row_tokens.py       how many tokens a row is to each objective
  checkpoints.py      sealed folders that are whole or not there
  resuming.py         what a checkpoint needs so that going on gives the same numbers
  sampling.py         the order in which rows are seen, and batches of equal cost
  peak_memory.py      the most memory a run used at once
  plainly.py          the libraries' trainers without a few of their habits
  compiled.py         layers as programs of their own while a step trains
  text_loss.py        the loss of text, only where something is learnt
  text_trainer.py     trl's trainer of text with that loss
  classification.py   accuracy, F1, the confusion matrix
  arguments.py        what a plan tells the trainers, by the libraries' names
  trainers.py         from an objective to its trainer
  whence.py           from where a run goes on
  kept_tokens.py      rows as tokens, kept for the next run
  run_rows.py         the rows of a run as its trainers read them
  rewards.py          who judges the model's own answers: a rule or a reward model
  proof.py            whether a run did what it says, from disk
  figures.py          what trainers log beside the loss, under our names
  samples.py          answers of a model while it learns
  utilisation.py      how much of the device's computing time is in use
  trackers.py         other tools that can be told the same figures
  vital_signs.py      whether a run is still worth going on with
  environment.py      versions and machine a run was trained with
  reporter.py         the trainer's callback: events, saves, Stop
  runner.py           the one function that trains
  probe.py            one step of a plan, to see what it really takes
  insisting.py        a Stop that a wedged step does not hear
  queue.py            the one training thread of a process
  disk_use.py         how much room a workspace takes, and what of it can go
  keeping.py          the room for the order, names and files of runs
results/
  hosted_formats.py   rows as the JSON of hosted providers, and what they must keep to
  hosted_providers.py the hosted providers, their formats and limits, dated
  hosted_prices.py    what tuning at a hosted provider costs, from a table that can be corrected
  hosted_writing.py   rows into a provider's files, checked one by one
  answer_metrics.py   how good an answer is: a table of metrics
  intervals.py        how sure a mean over held-out rows is
  paired.py           whether two ways to answer the same rows differ: paired tests
  retrieval.py        passages found by their words, never a held-out one
  word_alignment.py   words that two texts have in common in the same order
  answer_features.py  the form of an answer, and in what two differ
  shelf.py            what may be put into prompts
  prompts.py          what each way to answer puts before the model
  measuring.py        held-out rows answered in several ways, and scored
  measurements.py     what was measured, kept by model, rows and metric
  workbench.py        what can be set before measuring, one row each
  benefits.py         what each way costs a request, and what training brought, as measured
  judging.py          a model that prefers one of two answers, asked in both orders, and whether it can be believed
  listening.py        the room of a workspace in which models are heard
  append_log.py       a file of JSON Lines that only grows, whatever kills its writer
  source_tags.py      short columns of a dataset's file, to slice results by
  pattern_search.py   a person's regular expression, searched within a limit of time
  battery.py          many prompts put to several arms, in a folder of its own
  battery_reading.py  answers of a battery in pages, arm against arm, counted
  battery_answering.py a battery while it is answered, batch by batch
  ballots.py          blind votes as data: who preferred which, how often, how far voters agree
  vote_export.py      what people preferred, written as datasets
  votes.py            blind polls and thumbs, kept as they come
  prompt_origin.py    whether prompts are held out, trained on or new to a run
  batteries.py        the room of a workspace for batteries
  seating.py          who can answer beside whom, and what each is asked
  serving.py          one model served to other programs of this machine
  run_comparison.py   what differs between runs, and their figures
  watching.py         the room of a workspace in which runs are watched
  inquiry.py          what is asked about: rows, a model, a metric, prompts
  advice.py           the room of a workspace in which people are advised
  run_card.py         what a run was, as Markdown
  answer_drift.py     how the form of answers drifted: length, refusals
  forgetting.py       what a tuning forgets, on bundled general texts
  memorised.py        training rows that are said word for word
  receipt.py          "it really learned": the receipt of a run, and its sentence
  receipt_facts.py    the parts of a receipt that are known or measured already
  receipt_making.py   one receipt while it is made
  receipts.py         the room in which receipts are made and kept
  papers.py           the room in which a run is put on paper: card and script
  hosted.py           export of a dataset for a hosted provider
  gguf_families.py    which families are written as GGUF, and in what they differ: a table
  gguf_tokenizer_kinds.py which tokenizers llama.cpp has a name for
  gguf_sentencepiece.py SentencePiece's pairs as scores, and cut as llama.cpp does
  other_programs.py   another program at work on an export, that can be ended
  gguf_converter.py   llama.cpp's own converter, where it is found
  export.py           which formats a tuned model can be exported to, and why not
  export_folder.py    a folder that appears whole or not at all
  gguf_tokenizer.py   a tokenizer and its template in the words of GGUF
  gguf_file.py        a model as one GGUF file
  gguf_reading.py     a GGUF file read back by transformers, with what that leaves out
  modelfile.py        the chat template in Ollama's language, worked out by trying
  export_quantised.py models rounded by bitsandbytes or torchao
  export_writers.py   how each format is written, and loaded again by others
  round_trip.py       whether an exported folder is still the run's model
  gguf_trial.py       a GGUF file asked in llama.cpp itself, where that is installed
  export_making.py    one export while it is made
  export_speed.py     what exported folders cost and are worth
  export_jobs.py      jobs in the background, with progress and cancel
  export_records.py   what is kept of exports and of their speeds
  hub_push.py         an exported folder sent to the hub, and what that makes visible
  exporting.py        the room in which runs are exported, kept, measured and sent
  shootout.py         techniques that learnt equally much: budget, scores, verdict
  series_table.py     a series as a table: one row a run, as far as it has come
  trials.py           the room of a workspace for many runs at once
  script_code.py      pieces of Python as text, safe whatever they hold
  script_parts.py     what scripts are made of: functions that are pasted, and tried here
  script_trial.py     whether a script makes the same tokens as the run
  script_facts.py     what a script must know beside its plan
  script_rows.py      the part of a script that makes rows into tokens
  script_arguments.py the part that sets up PEFT and the trainer
  script_training.py  the part that loads the model and trains
  script.py           a run as a plain script of transformers, peft, trl and datasets
workspace.py          the one door for the screens and the command line
verbs.py              verbs of the command line in which models answer
__main__.py           the command line
"""
