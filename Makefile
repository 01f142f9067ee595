# `make` alone lists what there is to do.
.DEFAULT_GOAL := help
.PHONY: help lab ebpf test check notebooks bench kernelbench measure clean

VENV ?= .venv
BIN := $(VENV)/bin
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=300
ROOT := $(filter 0,$(shell id -u))
# JupyterLab does not start as root unless told to
LAB := $(if $(ROOT),--allow-root)
# only root may run above other programs
PRIORITY := $(if $(ROOT),--priority)

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

lab: .run  ## set up and open JupyterLab on notebook 00
	$(BIN)/jupyter lab $(LAB) --ServerApp.root_dir="$(CURDIR)" \
		--LabApp.default_url=/lab/tree/notebooks/00-start-here.ipynb

ebpf: .ebpf  ## set up the kernel lab (as root on Debian), and say what this machine can do
	$(BIN)/python -m toolkit ebpf doctor --try

test: .test  ## set up and run everything a change must pass
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --doctest-modules -m "not alone" -n auto toolkit tests
	$(BIN)/pytest $(NBVAL) -m alone tests notebooks

check: .test  ## format, lint, types and the fast tests: a minute or less
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --doctest-modules -m "not slow and not alone" -q -n auto toolkit tests

notebooks: .test  ## run every notebook from top to bottom
	$(BIN)/pytest $(NBVAL) notebooks

bench: .bench  ## set up and measure speed and memory beside other simulators: ten minutes
	for program in engines growth figures slider simpy_engine import_time; do \
		$(BIN)/python tests/benchmarks/$$program.py || exit 1; done

kernelbench: .ebpf  ## measure the kernel's limiters, and what a micro-VM costs: ten minutes more
	$(BIN)/python tests/benchmarks/kernel_limiter.py
	$(BIN)/python tests/benchmarks/microvm_start.py

measure: .test  ## measure again what notebook 08 shows, into build/measured: 80 minutes
	$(BIN)/python data/collect/collect_code_exhibit.py --out build/measured/code-exhibit
	$(BIN)/python data/collect/collect_lean_overbuilt.py --out build/measured/lean-overbuilt $(PRIORITY)
	$(BIN)/python data/collect/lean_overbuilt_facts.py build/measured/lean-overbuilt --parts
	$(BIN)/python data/collect/code_exhibit_facts.py build/measured/code-exhibit

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: .run .ebpf .test .bench
.run:
	@VENV=$(VENV) binder/install.sh
.ebpf:
	@VENV=$(VENV) binder/install.sh ebpf
.test:
	@VENV=$(VENV) binder/install.sh test
.bench:
	@VENV=$(VENV) binder/install.sh bench
