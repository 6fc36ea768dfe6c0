# Each target makes .venv by itself when it is missing; `make test` is the one gate.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TOKENIZERS_PARALLELISM := false

.PHONY: setup demo test bench lint bare
setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/lamlam demo --out runs/demo

test: setup lint bare
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# An install without the dev extras must import and answer --help: the wheel goes into an empty environment that sees
# only the run-time dependencies.
bare: setup
	$(BIN)/python tests/bare_install.py

bench: setup
	$(BIN)/python -m benchmarks
