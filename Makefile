# `make train` and `make test` work from a bare clone with Python 3.11+ and pip; nothing else needs installing first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test soak lint clean
train: $(VENV)/installed
	$(BIN)/python -m lstm_ae.train experiment=digits

test: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The long part of the tests: processes killed by the hundred. It prints its counts.
soak: $(VENV)/installed
	$(BIN)/python -m pytest -m soak -s --durations=0 tests

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The stamp is written last, so that an interrupted install starts over instead of passing for a finished one.
$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) *.egg-info
