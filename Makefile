PYTHON ?= .venv/bin/python

.PHONY: install check format lint types imports test coverage integration lab bench screenshots demo

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
	$(PYTHON) -m pytest

# The same, half as fast again: by line and branch, with a floor.
coverage:
	$(PYTHON) -m pytest --cov

integration:
	$(PYTHON) -m pytest -m integration

lab:
	$(PYTHON) -m pytest -m lab tests/lab

bench:
	$(PYTHON) tests/benchmarks/run.py

screenshots:
	$(PYTHON) screenshots/make.py

# Twelve minutes on a machine that does nothing else: the guest is emulated where there is no KVM. Podman's API takes
# seconds there, and half of the CPU; its files name its containers as well.
demo:
	tests/lab/lab up && tests/lab/lab load && tests/lab/lab install
	tests/lab/lab ssh 'lab-demo /root/demo.topcon'
	tests/lab/lab get /root/demo.topcon topcon/recordings && chmod 644 topcon/recordings/demo.topcon
