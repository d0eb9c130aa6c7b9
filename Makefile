# Every target sets up what it needs, and takes seconds when that is already there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A file is the work of one process, so that its tests share what is expensive to start.
PYTEST := $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.txt

.DEFAULT_GOAL := help
.PHONY: help demo server desktop test test-fast check bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-9s %s\n", $$1, $$2}'

demo: $(VENV)/run ## start a private server, send 10,000 requests, check every reply
	@$(BIN)/python -c 'from wire import frames; exit(frames.LANGUAGE != "C")' \
		|| echo "Frames in plain Python: for full speed install a C compiler, then make clean." >&2
	@$(BIN)/wsroll-send --with-server

server: $(VENV)/run ## serve ws://localhost:8765/ and the page at http://localhost:8765/
	@$(BIN)/wsroll-server

desktop: $(VENV)/desktop ## open the window
	@$(BIN)/wsroll-desktop

test: $(VENV)/dev ## run all the tests, in a real browser and a real window too
	@sh tests/system_packages.sh
	@$(PYTEST)

test-fast: $(VENV)/dev ## run the tests that need no browser, window, proxy or cluster
	@$(PYTEST) -m 'not slow'

check: $(VENV)/dev ## check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m tests.wire.c_compiler

bench: $(VENV)/bench ## measure server and sender beside their peers, write benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

clean: ## remove the environment and all that was built
	@rm -rf .venv .venv-* build dist *.egg-info wire/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

# The interpreter of the environment. It is missing, and the environment is made again, if another
# version of Python made it, or if that Python has gone.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
$(BIN)/python$(VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"wsroll needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=..." % sys.version_info[:2])'
	@echo "Setting up $(VENV) with Python $(VERSION) (once) ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)

# Three stamps, each a layer on the one before: the commands, the window, the tests.
$(VENV)/run: $(BIN)/python$(VERSION) pyproject.toml requirements.txt wire/frames_native.c
	@$(PIP) --editable .
	@touch $@

$(VENV)/desktop: $(VENV)/run
	@echo "Adding Qt (once) ..." >&2
	@$(PIP) --editable '.[desktop]'
	@touch $@

$(VENV)/dev: $(VENV)/desktop
	@echo "Adding the test tools (once) ..." >&2
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

# A peer that cannot be installed is named here and in the results; the others are measured.
$(VENV)/bench: $(VENV)/run benchmarks/requirements.txt benchmarks/package.json
	@echo "Adding the peers of the benchmarks (once) ..." >&2
	@grep -v '^#' benchmarks/requirements.txt | while read -r pin; do \
		$(PIP) "$$pin" || echo "Missing: $$pin (PyPI)" >&2; done
	@$${CC:-cc} -O2 -o $(BIN)/floor_server benchmarks/peers/floor_server.c \
		|| echo "Missing: the floor, which needs a C compiler" >&2
	@cd benchmarks && npm install --no-package-lock --no-audit --no-fund --silent \
		|| echo "Missing: the peers from npm" >&2
	@touch $@
