# Luthier. `make app` opens the window, `make test` checks everything; both set up what they need first.
# Choose another Python with `make PYTHON=python3.12 ...`, another PyTorch build as the README says.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test setup lint starter examples general corpus compat effects gpu-check gpu-bench faults soak
.DEFAULT_GOAL := app

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit('Luthier needs Python 3.11 or newer, this is ' + sys.version.split()[0] if sys.version_info < (3, 11) else 0)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

setup: $(VENV)/installed  ## make .venv and install; costs nothing when nothing changed

app: setup  ## open the window
	@$(BIN)/python app.py $(ARGS)

test: setup  ## all tests, those in a browser too when a Chromium is found
	$(BIN)/python -m pytest $(ARGS)

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

starter: setup  ## build the starter model again from its seed (up to an hour on two cores)
	$(BIN)/python assets/starter/build.py $(ARGS)

examples: setup  ## write the bundled datasets again
	$(BIN)/python assets/examples/build.py $(ARGS)

general: setup  ## write the general texts again
	$(BIN)/python assets/general/build.py $(ARGS)

corpus: setup  ## inspect every file of a folder with a manifest.json: make corpus CORPUS=folder
	$(BIN)/python benchmarks/corpus.py $(CORPUS) $(ARGS)

compat: setup  ## train every allowed combination of method and objective for two steps (a quarter of an hour)
	COMPAT_ALL=1 $(BIN)/python -m pytest tests/compat $(ARGS)

faults: setup  ## kill runs, fill disks, damage files, and see what survives (an hour): writes benchmarks/faults.md
	$(BIN)/python benchmarks/faults.py $(ARGS)

soak: setup  ## the same with 200 kills at random moments
	$(BIN)/python benchmarks/faults.py --soak $(ARGS)

gpu-check: setup  ## train every technique on an NVIDIA card and compare memory with what was predicted: writes benchmarks/gpu.md
	$(BIN)/python benchmarks/gpu.py $(ARGS)

gpu-bench: setup  ## measure speed on an NVIDIA card, beside trl: writes its section of benchmarks/gpu.md
	$(BIN)/python benchmarks/gpu_speed.py $(ARGS)

effects: setup  ## measure what each technique does to held-out answers (goes on where it was stopped): make effects ARGS="--techniques lora"
	$(BIN)/python benchmarks/effects.py --write $(ARGS)
