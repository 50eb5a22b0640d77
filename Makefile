# make lab     a JupyterLab with llama_nb in it, open on the first notebook     (ARGS=--no-browser, --port=…)
# make test    everything: lint, TypeScript, Python, a live kernel, a real JupyterLab in Chromium
# make lint    style, types, and who may import whom
# make soak    make test with the long tests and large counts
# make wheel   dist/*.whl and dist/*.tar.gz
# make clean   back to a clean clone
#
# Needs Python 3.11 to 3.13, Node.js 20 or newer, and make. Everything else goes into .venv and node_modules.
# PIP_ARGS is passed to pip, for example to take torch from an index of CPU builds.

PYTHON   ?= python3
PIP_ARGS ?=
ARGS     ?=

VENV   := .venv
BIN    := $(VENV)/bin
WIDGET := llama_nb/static/panel.js
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
SAY     = @printf '\n== %s\n'

.DEFAULT_GOAL := help
.PHONY: help lab test lint soak wheel clean chromium
.DELETE_ON_ERROR:

help:
	@sed -n '/^# make/s/^# /  /p' Makefile

# --- What people ask for --------------------------------------------------------------------------------------------

lab: $(VENV)/.lab
	$(SAY) 'JupyterLab, on notebooks/01_hello.ipynb'
	@$(BIN)/jupyter lab notebooks/01_hello.ipynb $$([ "$$(id -u)" != 0 ] || echo --allow-root) $(ARGS)

test: lint chromium
	$(SAY) 'TypeScript tests'
	@npm test --silent
	$(SAY) 'Python tests'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest --require-browser $(ARGS)

soak: lint chromium
	$(SAY) 'TypeScript tests'
	@LLAMA_NB_FULL=1 npm test --silent
	$(SAY) 'Python tests, the long ones too'
	@PATH="$(CURDIR)/$(BIN):$$PATH" LLAMA_NB_FULL=1 $(BIN)/python -m pytest --require-browser --timeout=3600 --durations=15 $(ARGS)

lint: $(VENV)/.test
	$(SAY) 'Style, types, and the floors'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted: run $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache
	@npm run lint --silent

wheel: $(VENV)/.test
	@$(BIN)/python -m build
	@ls -l dist

clean:
	rm -rf $(VENV) node_modules llama_nb/static dist build *.egg-info
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- How it is made: each file is newer than what it is made of ----------------------------------------------------------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "llama_nb needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try make PYTHON=python3.13 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.lab: pyproject.toml constraints.txt hatch_build.py package.json $(WIDGET) | $(VENV)/bin/python
	$(SAY) 'Installing llama_nb and JupyterLab into .venv (the first time takes minutes: torch is large)'
	@$(INSTALL) -e '.[lab]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt hatch_build.py package.json $(WIDGET) | $(VENV)/bin/python
	$(SAY) 'Installing llama_nb and what its tests need into .venv (the first time takes minutes: torch is large)'
	@$(INSTALL) -e '.[lab,test]'
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	$(SAY) 'Installing what the chat panel is built with into node_modules'
	@node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' \
	  || { echo "llama_nb needs Node.js 20 or newer to build its panel (found: $$(node --version 2>/dev/null || echo none))."; exit 1; }
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WIDGET): node_modules/.package-lock.json $(shell find js/src -type f 2>/dev/null) $(wildcard js/*.* esbuild.* tsconfig.json)
	$(SAY) 'Building the chat panel'
	@npm run build --silent
	@touch $@

# The browser tests drive a Chromium or a Chrome: yours if there is one, else Debian's, else Playwright's own.
chromium: $(VENV)/.test
	@for name in chromium chromium-browser google-chrome $(BIN)/chromium; do command -v $$name >/dev/null && exit 0; done; \
	echo 'Installing Chromium for the browser tests'; \
	if [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else \
	  $(BIN)/playwright install chromium && ln -sf "$$($(BIN)/python -c "$$WHERE_IS_CHROMIUM")" $(BIN)/chromium; \
	fi

export WHERE_IS_CHROMIUM = from playwright.sync_api import sync_playwright as start; \
  page = start().start(); print(page.chromium.executable_path); page.stop()
