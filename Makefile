# Everything happens in .venv beside this file; `make` needs Python 3.11 or later and access to a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests and the demo share one converted model in the checkout; `make chat` uses your own sleepd home.
demo test test-all mlx-test crash-test: export SLEEPD_MODELS ?= $(CURDIR)/.models

.PHONY: help install chat demo test test-all mlx-test crash-test lint format docs clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: $(STAMP)  ## Create the virtual environment and install sleepd into it

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sleepd needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(TORCH) --editable '.[dev]'
	touch $@

chat: $(STAMP)  ## Start the daemon (fetching the default model the first time) and talk
	$(BIN)/sleepd start
	$(BIN)/sleepc chat

demo: $(STAMP)  ## Show the main idea without asking anything: learn, restart, sleep, still know
	$(BIN)/python examples/demo.py

test: $(STAMP)  ## Run the test suite
	$(BIN)/python -m pytest --durations=25 -m 'not slow and not mlx'

test-all: $(STAMP)  ## Run the long tests too
	$(BIN)/python -m pytest --durations=25 -m "(slow or mlx) and not crash"

mlx-test: $(STAMP)  ## Run the tests of the mlx backend against torch (on Linux on mlx's CPU build)
	$(BIN)/python -m pytest -m "mlx and not slow" tests/mlx

crash-test: $(STAMP)  ## Kill the daemon a thousand times, and twenty times with the default model
	$(BIN)/python -m pytest -m crash -s tests/crash

lint: $(STAMP)  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## Apply the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Write the reference pages from the code
	$(BIN)/python docs/generate.py

clean:  ## Remove the virtual environment and the caches, not the models nor your memories
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
