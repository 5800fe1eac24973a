# Strata. `make help` lists what there is; `make demo` and `make test` need CPython >= 3.11, make and git, nothing else.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHART := build/chart-env
TCP := build/tcp-env
LOCKED := --generate-hashes --no-header --no-annotate --no-strip-extras --no-emit-index-url --no-emit-find-links --python-version 3.11
LOCATION ?= greenit
COMMIT ?= $(shell git rev-parse HEAD)
REF ?= $(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null | sed 's,^,refs/tags/,' | grep . || git symbolic-ref -q HEAD || echo refs/heads/detached)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-ui test-s3 test-release test-soak test-chart test-tcp image replay lint ui bench lock down clean

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

$(CHART)/.ready $(TCP)/.ready: build/%-env/.ready: deploy/%-requirements.lock
	@echo "making build/$*-env from $<"
	@$(PYTHON) -m venv build/$*-env
	@build/$*-env/bin/pip install -q --require-hashes -r $<
	@touch $@

test-chart: $(READY) $(CHART)/.ready ## the Helm chart: rendered and linted by Helm, Kubernetes' schemas, checkov, what it opens
	@$(BIN)/python -m pytest -m chart tests/chart

test-tcp: $(READY) $(CHART)/.ready $(TCP)/.ready ## the path on a PostgreSQL over TCP with scram and TLS, and the image's steps with production's values against it
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m tcp tests/tcp

test-soak: $(READY) ## long ones: STRATA_SOAK_RUNS (1,000) forked runs, a daemon, a code server and commands killed at named points, restores from dumps
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -s -m soak tests/soak tests/recovery tests/launches
	@$(BIN)/python -m pytest -s -m soak tests/ui

lint: $(READY) ## ruff, mypy and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

ui: $(READY) ## serve Dagster (webserver, daemon, code server) on http://127.0.0.1:3000
	@$(BIN)/strata ui

bench: $(READY) ## the figures of the path (P), the method (C) and many customers (D), each against its goal; it takes long: python -m benchmarks.run P2 measures one
	@$(BIN)/python -m benchmarks.run

image: ## build the image of LOCATION (needs Docker): make image BASE_IMAGE=python:3.11-slim-bookworm@sha256:…
	@[[ "$(BASE_IMAGE)" =~ @sha256:[0-9a-f]{64}$$ ]] || { echo "BASE_IMAGE is not named by its digest: BASE_IMAGE=python:3.11-slim-bookworm@sha256:…"; exit 1; }
	@[ -z "$$(git status --porcelain)" ] || { echo "this checkout has changes that no commit holds, and an image says its commit: commit or remove them"; exit 1; }
	@docker build --build-arg BASE_IMAGE="$(BASE_IMAGE)" --build-arg LOCATION="$(LOCATION)" --build-arg COMMIT="$(COMMIT)" --build-arg REF="$(REF)" --tag strata-$(LOCATION):$(COMMIT) .

replay: ## the steps of the Dockerfile in build/image, without Docker
	@rm -rf build/image
	@$(PYTHON) deploy/replay.py build build/image --build-arg BASE_IMAGE=replayed@sha256:$$(printf '0%.0s' {1..64}) --build-arg LOCATION="$(LOCATION)" --build-arg COMMIT="$(COMMIT)" --build-arg REF="$(REF)"

lock: $(READY) ## pin and hash all packages anew: of Strata, of its image, and of the tools of test-chart and test-tcp
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --extra dev $(LOCKED) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --extra kubernetes --extra image -c requirements.lock $(LOCKED) pyproject.toml -o deploy/image-requirements.lock
	@for name in chart sbom tcp; do $(BIN)/uv pip compile -q $(LOCKED) deploy/$$name-requirements.in -o deploy/$$name-requirements.lock; done

down: ## stop the embedded PostgreSQL
	@[ ! -x $(BIN)/strata ] || $(BIN)/strata down

clean: down ## remove the state of this installation, and what tests and images made
	@rm -rf .strata build
