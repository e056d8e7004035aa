# Everything people and CI run. `make help` lists it.
PYTHON ?= python3
CACHE := .cache
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := $(CACHE)/envs/clients
export SAKER_ENGINES_HOME ?= $(CURDIR)/$(CACHE)/engines

.DEFAULT_GOAL := help
.PHONY: help install serve engines test test-clients lint format bench bench-engine docs check clean

help:  ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Saker needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version). Name one: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

# The stamps tell what was installed from which pyproject.toml.
$(VENV)/.server: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[openvino]'
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(CLIENTS)/.installed: tests/clients/requirements.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet -r tests/clients/requirements.txt
	@touch $@

install: $(VENV)/.server  ## Make .venv with the `saker` command

serve: install  ## Start the platform with a model deployed (data in SAKER_HOME, default ~/.saker)
	@exec env -u SAKER_ENGINES_HOME $(BIN)/saker up

engines: install  ## Make the torch engine environment (conversion, transformers)
	$(BIN)/saker engines install torch

test: $(VENV)/.dev engines test-clients  ## Install and pass all tests
	$(BIN)/python -m pytest

test-clients: install $(CLIENTS)/.installed  ## The tests with clients that know nothing of Saker
	$(CLIENTS)/bin/python -m pytest -c tests/clients/pytest.ini tests/clients

lint: $(VENV)/.dev  ## ruff, mypy, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## Format the code, mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.dev  ## Measure: ratios to the peers, in one run
	$(BIN)/python -m bench

bench-engine: $(VENV)/.dev engines  ## Measure our CPU engine beside OpenVINO GenAI (MODELS="135m-int8 …" or all; OPTIONS=--quick)
	$(BIN)/python -m bench paged $(if $(MODELS),--models $(MODELS)) $(OPTIONS)

docs: $(VENV)/.dev  ## Write the generated pages, run every example of the docs
	$(BIN)/python tools/make_reference.py
	$(BIN)/python -m pytest tests/docs

check: lint test docs  ## All that CI runs, and lint

clean:  ## Remove the environments and caches of this checkout (not your data folder)
	rm -rf $(VENV) $(CACHE)
