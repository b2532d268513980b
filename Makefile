# One command for each thing a person does here. `make` alone lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
REFEREES ?= .venv-referees
PEERS    ?= .venv-peers
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check acceptance referees bench bench-peers soak reference lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# The lock files pin every package by hash; the project itself is installed last, without looking for more.
$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tradeserver needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/run.stamp ## the whole daemon against a simulated Binance and KuCoin; ARGS="--duration 60 --json FILE"
	$(BIN)/tradeserver demo $(ARGS)

test: $(VENV)/dev.stamp ## all tests
	$(BIN)/python -m pytest -m "not system" -n auto $(ARGS)
	$(BIN)/python -m pytest -m system -p no:randomly -n 2 --dist loadfile $(ARGS)

check: $(VENV)/dev.stamp ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

acceptance: $(VENV)/dev.stamp ## what must be seen, one verdict a line (needs the shared protocol data)
	$(BIN)/python -m tradeserver.lab.acceptance $(ARGS)

# Clients that others wrote live in an environment of their own; none of them is a dependency of ours.
$(REFEREES)/run.stamp: referees/requirements.txt
	test -x $(REFEREES)/bin/python || $(PYTHON) -m venv $(REFEREES)
	$(REFEREES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r referees/requirements.txt
	@touch $@

referees: $(VENV)/run.stamp $(REFEREES)/run.stamp ## ccxt and the venues' own SDKs against the simulator; ARGS="--seconds 20 --json FILE"
	$(REFEREES)/bin/python referees/run.py --tradeserver $(BIN)/tradeserver $(ARGS)

bench: $(VENV)/run.stamp ## the stopwatch: every figure with its target, and build/bench.json; ARGS="--help" or "--rounds 1 --only latency"
	$(BIN)/python -m tradeserver.lab.bench $(ARGS)

soak: $(VENV)/run.stamp ## the whole house under load for two hours: what grew, what was lost; ARGS="--minutes 10"
	$(BIN)/python -m tradeserver.lab.soak $(ARGS)

# What we are compared with lives in an environment of its own too.
$(PEERS)/run.stamp: bench/peers/requirements.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/peers/requirements.txt
	@touch $@

bench-peers: $(VENV)/run.stamp $(PEERS)/run.stamp ## the same feed through us, ccxt.pro and plain libraries, with ratios; ARGS="--rounds 1"
	$(BIN)/python -m tradeserver.lab.bench.versus --python $(PEERS)/bin/python $(ARGS)

reference: $(VENV)/dev.stamp ## what is generated from the code: config/reference.toml and docs/schemas
	$(BIN)/python -m tradeserver.config.describe
	$(BIN)/python -m tradeserver.services.schemas

lock: ## renew the lock files (needs uv)
	uv pip compile pyproject.toml --extra demo --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --upgrade -o requirements/run.txt
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --upgrade -c requirements/run.txt -o requirements/dev.txt
	uv pip compile requirements/build.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --upgrade -o requirements/build.txt
	uv pip compile referees/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --upgrade -o referees/requirements.txt
	uv pip compile bench/peers/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --upgrade -o bench/peers/requirements.txt

clean: ## everything that can be made again
	rm -rf $(VENV) $(REFEREES) $(PEERS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache state
