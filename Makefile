# make run    a fresh machine: sets up .venv, runs the study quickstart, prints where its report lies
# make test   a fresh machine: sets up .venv, passes the tests
# make test-slow  proofs that take longer: Ray, PostgreSQL, several processes, kills
# make check  formatter, linter, type checker
# make bench  measurements beside peers, in one run
# make lock   requirements.lock, from pyproject.toml
# make server a shared tracking server: MLflow before PostgreSQL, on loopback (docs/server.md)
# make ui     the MLflow UI on what was run here

PYTHON ?= $(shell command -v python3.11 || command -v python3)
STUDY ?= quickstart
PORT ?= 5000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-slow check bench lock mlproject server ui setup clean

run: setup
	$(BIN)/python -m entrypoints.experiment --study $(STUDY)

PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST) -m "not slow"

test-slow: setup
	$(PYTEST) -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python -m bench.$$(basename $$file .py) || exit 1; done

setup: $(READY)

# pip takes the CPU build of torch where the platform's index offers one; the lock names no build.
$(READY): requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check -r requirements.lock
	touch $(READY)

lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install -qq --disable-pip-version-check torch==2.13.0
	build/lock/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print('\n'.join(p['dependencies'] + p['optional-dependencies']['dev']))" > build/lock/in.txt
	build/lock/bin/pip install -qq --disable-pip-version-check -r build/lock/in.txt
	(echo "# Written by 'make lock' from pyproject.toml. No build tags and no hashes for torch: its CPU"; \
	 echo "# build has another name on every index."; \
	 build/lock/bin/pip freeze --exclude-editable | sed -e 's/^torch==\([0-9.]*\).*/torch==\1/' \
	   -e "s/^pgserver==.*/&; $$(sed -n 's/.*"pgserver==[^;]*; \(.*\)",/\1/p' pyproject.toml)/") > requirements.lock
	rm -rf build/lock

mlproject: setup
	$(BIN)/python -c "from collapse.parameters.mlproject import mlproject; print(mlproject(), end='')" > MLproject.new
	mv MLproject.new MLproject

server: setup
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/python -m collapse.tracking.server --port $(PORT)

ui: setup
	MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
