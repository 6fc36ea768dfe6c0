# Each target makes .venv by itself when it is missing; `make test` is the one gate.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TOKENIZERS_PARALLELISM := false
# Threads that wait in turns, not in loops: two processes that spin on two cores bring each other to a halt.
export OMP_WAIT_POLICY := passive

.PHONY: setup demo test bench lint bare
setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/lamlam demo --out runs/demo

# A test file to a process, as many as there are cores, each with one thread.
test: setup lint bare
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# An install without extras must import every module but those of the server and the report, say which extra these need,
# answer --help and hold the model that comes with it. It runs from another folder, so that it is the wheel that is tried
# and not the working tree.
BARE := $(CURDIR)/.venv-bare/bin
bare: .venv-bare/.installed
	$(BARE)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	cd / && $(BARE)/lamlam --help > /dev/null
	cd / && $(BARE)/python -c "import lamlam, pkgutil as p; [__import__(m.name) for m in p.walk_packages(lamlam.__path__, 'lamlam.') if m.name.split('.')[1] not in ('demo', 'report', 'serve')]"
	cd / && ! $(BARE)/lamlam serve 2> $(CURDIR)/.venv-bare/serve.txt && grep -q "lamlam\[serve\]" $(CURDIR)/.venv-bare/serve.txt
	cd / && $(BARE)/python -c "from lamlam.model.checkpoint import Checkpoint; from lamlam.serve.places import SHIPPED; Checkpoint.load(SHIPPED)"

.venv-bare/.installed: pyproject.toml constraints.txt
	test -x $(BARE)/python || $(PYTHON) -m venv .venv-bare
	$(BARE)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt .
	touch $@

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,bench]"
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks
