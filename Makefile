# make run    a fresh machine: sets up .venv, runs the study quickstart, prints where its report lies
# make test   a fresh machine: sets up .venv with the developers' packages, passes the tests
# make test-slow  proofs that take longer: Ray, PostgreSQL, several processes, kills
# make check  formatter, linter, type checker
# make bench  measurements beside peers, in one run
# make lock   requirements.lock and requirements-dev.lock, from pyproject.toml
# make server a shared tracking server: MLflow before PostgreSQL, on loopback (docs/server.md)
# make ui     the MLflow UI on what was run here

PYTHON ?= $(shell command -v python3.11 || command -v python3)
STUDY ?= quickstart
PORT ?= 5000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALL := $(BIN)/pip install -qq --disable-pip-version-check

.PHONY: run test test-slow check bench lock mlproject server ui setup setup-dev clean

run: setup
	$(BIN)/python -m entrypoints.experiment --study $(STUDY)

PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: setup-dev
	$(PYTEST) -m "not slow"

test-slow: setup-dev
	$(PYTEST) -m slow

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup-dev
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python -m bench.$$(basename $$file .py) || exit 1; done

setup: $(READY)

setup-dev: $(VENV)/.dev

# pip takes the CPU build of torch where the platform's index offers one; the lock names no build.
# It compiles every file, of which we import a fifth. So these are imported once instead, and kept
# also where Python is told to write no bytecode: each start would take ten seconds more.
$(READY): requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --no-compile -r requirements.lock
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c "from importlib import import_module; from pkgutil import walk_packages; [import_module(one.name) for own in ('collapse', 'analysis') for one in walk_packages([own], own + '.')]"
	touch $@

$(VENV)/.dev: $(READY) requirements-dev.lock
	$(INSTALL) -r requirements-dev.lock
	touch $@

$(VENV)/.server: $(READY) requirements-dev.lock
	grep -E '^(psycopg2-binary|pgserver)==' requirements-dev.lock | $(INSTALL) -c requirements-dev.lock -r /dev/stdin
	touch $@

FREEZE := build/lock/bin/pip freeze --exclude-editable | sed -e 's/^torch==\([0-9.]*\).*/torch==\1/' \
	-e "s/^pgserver==.*/&; $$(sed -n 's/.*"pgserver==[^;]*; \(.*\)",/\1/p' pyproject.toml)/"

lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install -qq --disable-pip-version-check -e .
	$(FREEZE) > build/lock/run
	build/lock/bin/pip install -qq --disable-pip-version-check -c build/lock/run -e '.[dev]'
	$(FREEZE) > build/lock/dev
	(echo "# Written by 'make lock' from pyproject.toml: what running takes. No build tags and no hashes"; \
	 echo "# for torch: its CPU build has another name on every index."; \
	 cat build/lock/run) > requirements.lock
	(echo "# Written by 'make lock' from pyproject.toml: what its extra 'dev' adds."; \
	 echo "-r requirements.lock"; \
	 grep -vxFf build/lock/run build/lock/dev) > requirements-dev.lock
	rm -rf build/lock

mlproject: setup-dev
	$(BIN)/python -c "from collapse.parameters.mlproject import mlproject; print(mlproject(), end='')" > MLproject.new
	mv MLproject.new MLproject

server: $(VENV)/.server
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/python -m collapse.tracking.server --port $(PORT)

ui: setup
	MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
