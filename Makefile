# `make demo` and `make test` set up what they need; both work with and without a ComfyUI on the machine.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test unit live browser ui lint types bench clean setup

demo: $(VENV)/.ready
	$(BIN)/resource-gate demo

test: setup lint types ui unit live browser

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	mkdir -p build/typing
	ln -sfn ../.. build/typing/resource_gate
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

unit: setup
	$(PYTEST) -m "not live and not browser"

# Against a real ComfyUI (COMFYUI_PATH, else ~/comfy/ComfyUI); says in one line where there is none.
live: setup
	$(PYTEST) -m "live and not browser" tests/live

browser: setup
	$(PYTEST) -m browser tests/browser

ui: ui/node_modules/.ready
	cd ui && npm run --silent check

ui/node_modules/.ready: ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund
	touch $@

clean:
	rm -rf $(VENV) build dist ui/node_modules
