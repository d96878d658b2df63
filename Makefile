# `make help` lists the targets. The first that needs it sets up .venv; later ones find it there.
.DEFAULT_GOAL := help
.PHONY: help book lighthouse lab check test lint spelling notebooks ablation collapse speedrun bench pytorch mutants lock wheels clean

PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SETUP := .venv/.complete
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1: /'

$(BIN)/python:
	@$(or $(PYTHON),python3) tools/check_machine.py
	$(PYTHON) -m venv .venv

$(SETUP): requirements.txt constraints.txt pyproject.toml | $(BIN)/python
	$(PIP) -r requirements.txt
	@touch $@

book: $(SETUP) ## build the site and its EPUB from the stored notebooks
	$(BIN)/jupyter-book build --quiet --builder custom --custom-builder epub .
	$(BIN)/jupyter-book build --quiet .
	@echo "The book is at _build/html/index.html"

lighthouse: $(SETUP) ## measure the built site with Lighthouse on a simulated phone; needs Node.js and Chromium
	$(BIN)/python tools/lighthouse.py

lab: $(SETUP) ## open JupyterLab on the first chapter
	JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter" $(BIN)/jupyter lab

check: lint ## check within a minute what most changes break: lint, and the unit tests that are not slow
	$(BIN)/pytest -n 2 tests/unit -m "not slow"

lint: spelling ## check the style and the types of the code, and the spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@if command -v actionlint >/dev/null; then actionlint; else echo "actionlint is not installed: workflows not checked"; fi

spelling: $(SETUP) ## check the spelling of text and code
	$(BIN)/codespell --skip "*.ipynb,*.svg,*.safetensors,*.egg-info,*/_static/generator/*,*/_static/fonts/*,*/_static/minisearch*" \
		--ignore-words-list theis *.md .github book notebooks src tests tools

test: lint ## run all that is checked, as CI does
	$(BIN)/pytest -n 2 --dist loadscope --nbval-lax --nbval-cell-timeout 300 --nbval-sanitize-with tests/notebooks/sanitize.cfg \
		tests notebooks

notebooks: $(SETUP) ## execute all notebooks in full on MNIST and store their outputs
	$(BIN)/python tools/notebooks.py execute

ablation: $(SETUP) ## train a small DCGAN in 15 ways with five seeds each, for the tables on stability
	$(BIN)/python tools/ablation.py

collapse: $(SETUP) ## train the plain GAN without and with the penalty, twelve seeds each: how often does it collapse?
	$(BIN)/python tools/collapse.py

speedrun: $(SETUP) ## train the best recipe against the clock, with three seeds, for the table of the chapter To the floor
	$(BIN)/python tools/speedrun.py

bench: $(SETUP) ## time training steps on this machine's CPU and GPU; the book collects the results
	$(BIN)/python tools/speed.py

pytorch: $(SETUP) ## compare a training step with PyTorch, on the CPU: MLX as installed, MLX with mlxgan, PyTorch
	$(BIN)/python tools/benchmark.py

# cosmic-ray changes the code; only this target needs it
$(BIN)/cosmic-ray: | $(SETUP)
	$(PIP) -c constraints.txt cosmic-ray==8.7.0

mutants: $(BIN)/cosmic-ray ## put small faults into a copy of the code, and list those that no unit test sees
	$(BIN)/python tools/mutants.py

# uv resolves for other systems and Pythons than this one; only these two targets need it
UV_COMPILE := $(BIN)/uv pip compile - --quiet --no-annotate

$(BIN)/uv: | $(BIN)/python
	$(PIP) uv==0.13.9

lock: $(BIN)/uv ## write constraints.txt anew: the newest version of every package that requirements.txt brings with it
	grep -v '^-' requirements.txt | $(UV_COMPILE) --universal --python-version 3.11 --upgrade \
		$$(sed -nE 's/^([a-z0-9-]+).*==.*/--no-emit-package \1/p' requirements.txt) \
		--custom-compile-command "make lock" --output-file constraints.txt
	@$(MAKE) wheels

wheels: $(BIN)/uv ## ask the package index whether all pins have a wheel for each system and Python
	@for system in aarch64-apple-darwin x86_64-manylinux_2_35 aarch64-manylinux_2_35; do \
		for python in 3.11 3.12 3.13 3.14; do \
			grep -v '^-e' requirements.txt | MACOSX_DEPLOYMENT_TARGET=14.0 $(UV_COMPILE) --only-binary :all: \
				--python-platform $$system --python-version $$python >/dev/null || exit 1; \
			echo "wheels for all packages: $$system, Python $$python"; \
		done; \
	done

clean: ## remove what was built, and .venv
	rm -rf _build .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis src/mlxgan.egg-info
