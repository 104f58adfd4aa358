# `make demo` and `make test` set up what they need; both work with and without a ComfyUI on the machine.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test setup lint types ui unit live browser chromium modules clean fuzz coverage mutation bench pictures release

demo: setup
	$(BIN)/resource-gate demo

test: lint types ui unit live browser

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
	$(PYTEST) -m "not live and not browser and not gpu"

# Against a real ComfyUI (COMFYUI_PATH, else ~/comfy/ComfyUI), and a real card; says in one line where there is none.
live: setup
	$(PYTEST) tests/live tests/compat tests/gpu || [ $$? -eq 5 ]

browser: setup chromium modules
	$(PYTEST) tests/browser || [ $$? -eq 5 ]

chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || test -n "$$CHROMIUM" \
		|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
		then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
		else echo "No Chromium here: the browser tests do not run. Install it, or name it in CHROMIUM."; fi

# What the panel is built and looked at with. npm writes that file last; without npm the browser tests that need it say so.
modules: ui/node_modules/.package-lock.json

ui/node_modules/.package-lock.json: ui/package-lock.json
	@if command -v npm >/dev/null; then cd ui && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json; fi

# The panel: is the committed file the build of its source, do its types and tests hold?
ui: modules
	@if command -v npm >/dev/null; \
		then cd ui && npm run --silent types && npm run --silent check && npm test --silent; \
		else echo "No npm here: the panel's own tests and its build check do not run."; fi

# Set the version everywhere, test, commit, tag, push: make release VERSION=0.2.0
release: setup
	$(BIN)/python tools/release.py $(VERSION)

clean:
	rm -rf $(VENV) build dist ui/node_modules

# Whatever may be sent to a route or lie in a file of ours: as long as is asked for, with another seed each round.
MINUTES ?= 5
fuzz: setup
	$(BIN)/python bench/fuzz.py --minutes $(MINUTES)

# What the tests reach, by branch, of the rooms that decide.
coverage: setup
	$(BIN)/coverage run -m pytest -m "not live and not browser and not gpu" -q
	$(BIN)/coverage report

# Whether the tests would notice a change; half an hour.
mutation: setup
	$(BIN)/pip install --quiet 'cosmic-ray>=8.3'
	$(BIN)/python bench/mutation.py

# All that is measured, and the READMEs' table of it: three hours. One again: .venv/bin/python bench/table.py --run react
bench: setup chromium modules
	$(BIN)/pip install --quiet 'cosmic-ray>=8.3'
	$(BIN)/python bench/table.py

# The panel's pictures in docs/images, after its look has changed; look at each before you commit it.
pictures: setup chromium
	$(BIN)/python tools/pictures.py
