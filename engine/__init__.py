"""The engine: everything Luthier does, without a screen. A file imports only from above it in this list.

types.py              the nouns that travel between modules
errors.py             what a person may be told has gone wrong
events.py             what a run says while it goes
guide/
  hyperparameters.py  every setting, one row each
  techniques.py       every technique, one row each
  compatibility.py    which combinations make no sense, and why
  defaults.py         which value suits this model and these rows
data/
  problems.py         what can be wrong with a file, and the verdict
  table.py            rows as they were read, each with its place
  signatures.py       what a file really is, by its first bytes
  text_lines.py       encodings, line ends, bytes that are not text
  json_rows.py        JSON and JSON Lines
  delimited_rows.py   CSV and TSV
  text_rows.py        plain text and Markdown
  parquet_rows.py     Parquet
  readers.py          which reader takes which file
  conversions.py      from source cells to one canonical row
  shapes.py           which shape the columns make
  checks.py           what is suspicious about rows: a table of questions
  clean_copy.py       canonical rows in one Parquet file, written once
  dataset.py          inspect a file; read its rows and pages
  tokenization.py     from laid-out text to token ids
  chat_format.py      what training sees: tokens, and where the loss lies
  statistics.py       lengths, what is learnt, what repeats
  examples.py         the bundled datasets
  held_out.py         which rows are held out when nobody says
  library.py          the datasets of a workspace
models/
  weights.py          the headers of safetensors files
  folder.py           what a model's folder says of itself, checked
  catalog.py          which models there are
  hub.py              fetching a model from the hub
  hardware.py         device, memory, cores; what would keep you from tuning
  accelerator.py      who may compute: one at a time, over all processes
  tokenizer_trial.py  an unknown tokenizer, tried where it can be ended
  loading.py          model, tokenizer and adapter into memory, one at a time
  adapters.py         from a tuning method to PEFT's configuration
  memory.py           bytes and seconds of a run before it runs
  generation_settings.py  how an answer is drawn
  decoding.py         prompt to tokens, tokens to text, when to stop
  generation.py       base and tuned from one base in memory, streamed
  warm_up.py          the heavy libraries, imported in the background
training/
  plan.py             from choices to a frozen plan, every mistake at once
  metrics.py          from events to curves and figures
  store.py            runs and events in SQLite
  checkpoints.py      sealed folders that are whole or not there
  sampling.py         the order in which rows are seen
  peak_memory.py      the most memory a run used at once
  trainers.py         from an objective to TRL's trainer
  reporter.py         the trainer's callback: events, saves, Stop
  runner.py           the one function that trains
  queue.py            the one training thread of a process
workspace.py          the one door for the screens and the command line
__main__.py           the command line
"""
