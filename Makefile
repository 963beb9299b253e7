# The one door, for people and CI alike. Needs Python >= 3.11 and make; everything else comes from PyPI into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTEST := $(BIN)/pytest -q

.DEFAULT_GOAL := help
.PHONY: help up test unit contract conformance e2e faults check fmt docs proto bench setup

help:
	@echo "make up      set everything up and run the whole system (Ctrl-C stops it)"
	@echo "make test    set everything up and run every kind of test but the long faults"
	@echo "make check   lint, types, import law"
	@echo "also: unit contract conformance e2e faults bench fmt docs proto"

up: setup
	@$(BIN)/tidings up

test: check unit contract conformance e2e

check: setup
	timeout 300 $(BIN)/ruff check
	timeout 60 $(BIN)/ruff format --check
	timeout 300 $(BIN)/mypy
	timeout 120 $(BIN)/lint-imports --no-cache
	timeout 120 $(PYTEST) tests/architecture

unit: setup
	timeout 300 $(PYTEST) tests/unit tests/property

contract: setup
	timeout 1500 $(PYTEST) tests/contract

conformance: setup
	timeout 900 $(PYTEST) tests/conformance

e2e: setup
	timeout 900 $(PYTEST) tests/e2e

# FAULTS=short is the rotating part that CI runs. All of them go into the record, if nothing is changed.
faults: setup
	timeout $(if $(filter short,$(FAULTS)),600,3600) env TIDINGS_FAULTS=$(or $(FAULTS),all) \
		TIDINGS_FAULTS_RECORD=$(if $(filter short,$(FAULTS)),,clean) $(PYTEST) tests/faults; \
	status=$$?; $(BIN)/python docs/generate.py; exit $$status

bench: setup
	timeout 3600 $(BIN)/python -m bench

fmt: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup
	$(BIN)/python docs/generate.py

# The protobuf module of core/connections/client.proto. Only its maker needs the compiler, so that is no dependency.
PROTO := core/connections/client
proto: setup
	$(BIN)/uv run --no-project --with grpcio-tools==1.85.1 python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. $(PROTO).proto
	for file in $(PROTO)_pb2.py $(PROTO)_pb2.pyi; do \
		(echo '# Generated from client.proto by `make proto`: change that, not this.' && cat $$file) > $$file.new && mv $$file.new $$file; \
	done

setup: $(READY)

# A virtual environment with uv in it, and then exactly what uv.lock names.
$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tidings needs Python 3.11 or newer; set PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || (echo "No venv module: install it (Debian: apt install python3-venv)." && false)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "Installing what uv.lock names into $(VENV) …"
	@$(BIN)/uv sync --frozen --quiet --inexact --python $(BIN)/python
	@touch $@
