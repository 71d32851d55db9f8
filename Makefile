# Two commands for a newcomer: `make demo` (see new views of a scene) and `make test` (prove that all works).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install develop demo test check format clean

# For use: novelview with its fast paths.
install: $(VENV)/.installed

# For work on it: also what tests and checks need.
develop: $(VENV)/.developed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[diffusion,fast,mesh,train]"
	touch $@

$(VENV)/.developed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: install
	$(BIN)/novelview demo

test: develop
	$(BIN)/python -m pytest -q

check: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: develop
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) runs demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
