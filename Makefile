# Every target sets up what it needs, and takes seconds when that is already there.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.txt

.DEFAULT_GOAL := help
.PHONY: help demo server desktop test check bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-8s %s\n", $$1, $$2}'

demo: .venv/run ## start a private server, send 10,000 requests, check every reply
	@$(BIN)/python -c 'from wire import frames; exit(frames.LANGUAGE != "C")' \
		|| echo "Frames in plain Python: for full speed install a C compiler, then make clean." >&2
	@$(BIN)/wsroll-send --with-server

server: .venv/run ## serve ws://localhost:8765/ and the page at http://localhost:8765/
	@$(BIN)/wsroll-server

desktop: .venv/desktop ## open the window
	@$(BIN)/wsroll-desktop

test: .venv/dev ## run all the tests, in a real browser and a real window too
	@sh tests/system_packages.sh
	@$(BIN)/pytest

check: .venv/dev ## check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m tests.wire.c_compiler

bench: .venv/bench ## measure server and sender beside their peers, write benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

clean: ## remove the environment and all that was built
	@rm -rf .venv build dist *.egg-info wire/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

# Three stamps, each a layer on the one before: the commands, the window, the tests.
.venv/run: pyproject.toml requirements.txt wire/frames_native.c
	@echo "Setting up .venv (once) ..." >&2
	@$(PYTHON) -m venv .venv
	@$(PIP) --editable .
	@touch $@

.venv/desktop: .venv/run
	@echo "Adding Qt (once) ..." >&2
	@$(PIP) --editable '.[desktop]'
	@touch $@

.venv/dev: .venv/desktop
	@echo "Adding the test tools (once) ..." >&2
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

# A peer that cannot be installed is named here and in the results; the others are measured.
.venv/bench: .venv/run benchmarks/requirements.txt benchmarks/package.json
	@echo "Adding the peers of the benchmarks (once) ..." >&2
	@grep -v '^#' benchmarks/requirements.txt | while read -r pin; do \
		$(PIP) "$$pin" || echo "Missing: $$pin (PyPI)" >&2; done
	@cd benchmarks && npm install --no-package-lock --no-audit --no-fund --silent \
		|| echo "Missing: the peers from npm" >&2
	@touch $@
