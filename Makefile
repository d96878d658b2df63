# `make help` lists the targets. The first that needs it sets up .venv; later ones find it there.
.DEFAULT_GOAL := help
.PHONY: help book lab test lint notebooks ablation bench clean

PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SETUP := .venv/.complete

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1: /'

$(SETUP): requirements.txt pyproject.toml
	@$(or $(PYTHON),python3) tools/check_machine.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: $(SETUP) ## build the site and its EPUB from the stored notebooks
	$(BIN)/jupyter-book build --quiet --builder custom --custom-builder epub .
	$(BIN)/jupyter-book build --quiet .
	@echo "The book is at _build/html/index.html"

lab: $(SETUP) ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

lint: $(SETUP) ## check the style and the types of the code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@if command -v actionlint >/dev/null; then actionlint; else echo "actionlint is not installed: workflows not checked"; fi

test: lint ## run all that is checked, as CI does
	$(BIN)/pytest -n 2 --dist loadscope --nbval-lax --nbval-cell-timeout 300 tests notebooks

notebooks: $(SETUP) ## execute all notebooks in full on MNIST and store their outputs
	$(BIN)/python tools/notebooks.py execute

ablation: $(SETUP) ## train the DCGAN in eight ways with three seeds each, for the table of chapter 9
	$(BIN)/python tools/ablation.py

bench: $(SETUP) ## time a training step: MLX as installed, with mlxgan.cpu, and PyTorch where it is installed
	$(BIN)/python tools/benchmark.py

clean: ## remove what was built, and .venv
	rm -rf _build .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis src/mlxgan.egg-info
