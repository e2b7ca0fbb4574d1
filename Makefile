# The commands a newcomer needs. Everything happens in .venv, data, runs and reports; nothing outside this folder.
PYTHON ?= python3
BIN := .venv/bin
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
STAMP := .venv/installed

.PHONY: help study report test slow lab lint smoke bench clean

help:  ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The environment: exact pins, and this library in place. Made anew when a pin changes.
$(STAMP): requirements.lock pyproject.toml
	@echo "Making the environment in .venv: about 130 packages, two to five minutes, once ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock \
		| awk '/^(Collecting|Installing)/ {print substr($$0, 1, 100); fflush()}'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

study: $(STAMP)  ## the embedded study: three modality shifts on drawn tissue, no download; ends with a Dice table
	$(BIN)/histobridge study --profile phantom

report: $(STAMP)  ## the site of the phantom study: open runs/phantom/site/index.html
	$(BIN)/histobridge report runs/phantom

# Two at a time, each on one thread: most of them wait for a single core.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

test: $(STAMP)  ## all tests but the slow ones
	$(PYTEST)

slow: $(STAMP)  ## the slow tests too
	$(PYTEST) -m "slow or not slow"

lint: $(STAMP)  ## style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

smoke: $(STAMP)  ## the whole graph of jobs in minutes, to see that everything runs
	$(BIN)/histobridge study --profile smoke

bench: $(STAMP)  ## how fast this machine trains, translates and segments (twenty minutes; let nothing else run)
	$(BIN)/histobridge bench

lab: $(STAMP)  ## JupyterLab in that environment
	$(BIN)/jupyter lab notebooks

clean:  ## remove the environment and caches (runs and data stay: they may have cost hours)
	rm -rf .venv build .pytest_cache .ruff_cache lib/*.egg-info
