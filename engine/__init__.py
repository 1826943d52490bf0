"""The engine: everything Luthier does, without a screen. A file imports only from above it in this list.

types.py              the nouns that travel between modules
errors.py             what a person may be told has gone wrong
hub_ids.py            how what lies on the hub is called
hub_files.py          files of the hub, checked and moved into place whole
events.py             what a run says while it goes
guide/
  hyperparameters.py  every setting, one row each
  techniques.py       every technique, one row each
  compatibility.py    which combinations make no sense, and why
  defaults.py         which value suits this model and these rows
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
  chat_format.py      what training sees: tokens, and where the loss lies
  xray.py             one row as training sees it, both sides of a pair
  statistics.py       lengths, what is learnt, what repeats
  token_profile.py    what every maximum length would cut, waste and teach
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
