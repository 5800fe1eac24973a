# Strata. `make help` lists what there is; `make demo` and `make test` need CPython >= 3.11, make and git, nothing else.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-ui test-s3 test-release test-soak lint ui bench lock down clean

help: ## what there is
	@grep -hE '^[a-z0-9-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@echo "making $(VENV) from requirements.lock"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Strata needs CPython >= 3.11; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## three sample customers, from generated files to published KPIs
	@$(BIN)/strata demo

test: $(READY) lint ## unit, contract, isolation and fault tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

test-ui: $(READY) ## the browser test: a partition materialized from Dagster's UI (needs Chromium)
	@$(BIN)/python -m pytest -m ui tests/ui

test-s3: $(READY) ## landing and lake on an S3 server, with each customer's login kept to its prefix
	@$(BIN)/python -m pytest -m s3 tests/s3

test-release: $(READY) ## a release's whole way: tried, held, approved, promoted, taken back, on a copy of this project
	@$(BIN)/python -m pytest -m release tests/releases

test-soak: $(READY) ## long ones: STRATA_SOAK_RUNS (1,000) forked runs, a killed daemon, restores from dumps
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -s -m soak tests/soak tests/recovery
	@$(BIN)/python -m pytest -s -m soak tests/ui

lint: $(READY) ## ruff, mypy and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

ui: $(READY) ## serve Dagster (webserver, daemon, code server) on http://127.0.0.1:3000
	@$(BIN)/strata ui

bench: $(READY) ## the figures of the path (P), the method (C) and many customers (D), each against its goal; it takes long: python -m benchmarks.run P2 measures one
	@$(BIN)/python -m benchmarks.run

lock: $(READY) ## pin and hash all packages anew from pyproject.toml
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --extra dev --generate-hashes --no-header --no-annotate --no-strip-extras --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml -o requirements.lock

down: ## stop the embedded PostgreSQL
	@[ ! -x $(BIN)/strata ] || $(BIN)/strata down

clean: down ## remove the state of this installation
	@rm -rf .strata
