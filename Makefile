# The commands a newcomer needs. Everything is written to .venv, data, runs and reports; nothing outside this folder.
PYTHON ?= python3
BIN := .venv/bin
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
STAMP := .venv/installed

.PHONY: help study report test lint lab wheel clean

help:  ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The environment: exact pins, and this library in place. Made anew when a pin changes.
$(STAMP): requirements.lock pyproject.toml
	@echo "Making the environment in .venv: about 260 packages, three to six minutes, once ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock \
		| awk '/^(Collecting|Installing)/ {print substr($$0, 1, 100); fflush()}'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

study: $(STAMP)  ## the embedded study on drawn tissue, no download; ends with a Dice table
	$(BIN)/histobridge study --profile phantom

report: $(STAMP)  ## a site of that study: open runs/phantom/site/index.html
	$(BIN)/histobridge report runs/phantom

# Two at a time, each on one thread: most of them wait for a single core. A file stays in one process, because its tests share what
# takes long to make. `make test ARGS="-m slow"` runs the slow ones.
test: $(STAMP)  ## all tests but the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: $(STAMP)  ## style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: $(STAMP)  ## JupyterLab in that environment
	$(BIN)/jupyter lab notebooks

wheel: $(STAMP)  ## a wheel, installed into a fresh folder and tried there
	bash tests/try_wheel.sh

clean:  ## remove the environment and caches; data and runs stay
	rm -rf .venv build dist .pytest_cache .ruff_cache lib/*.egg-info
