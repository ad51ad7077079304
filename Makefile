PYTHON ?= .venv/bin/python

.PHONY: install check format lint types imports test integration lab bench screenshots

install:
	python3 -m venv --without-pip .venv
	python3 -m pip --python .venv/bin/python install -q -e '.[dev]'

check: lint types imports test

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m codespell_lib

types:
	$(PYTHON) -m mypy

imports:
	$(dir $(PYTHON))lint-imports --no-logo

test:
	$(PYTHON) -m pytest --cov

integration:
	$(PYTHON) -m pytest -m integration

lab:
	$(PYTHON) -m pytest -m lab tests/lab

bench:
	$(PYTHON) tests/benchmarks/run.py

screenshots:
	$(PYTHON) screenshots/make.py
