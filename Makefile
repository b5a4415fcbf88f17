# `make run` and `make test` are all a newcomer needs: each builds .venv on demand. Requires Python 3.11 or newer;
# with a C++ compiler the CPU kernels are built too.

PYTHON ?= python3
# Test processes. Two, because every one of them loads torch.
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
# An environment variable and not --constraint, since only that one also reaches pip's isolated build environments.
# A relative path, since pip splits the variable at spaces. Errors alone are printed.
PIP_INSTALL := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq
BUILD_INPUTS := pyproject.toml constraints.txt CMakeLists.txt cmake/kernels.cmake laboratory/pyproject.toml \
  laboratory/CMakeLists.txt $(shell find src/longlag/csrc laboratory/csrc -type f)

TYPES := $(BIN)/mypy --strict src laboratory/src tests/typed_client.py
LAYERS := $(BIN)/lint-imports --no-logo

.DEFAULT_GOAL := help
.PHONY: help run test test-fast lint style format map clean
# Steps share one environment and one terminal: never side by side, even under make -j.
.NOTPARALLEL:

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Fit the built-in sunspot series, score it against simple baselines, write runs/sunspots
	@rm -rf runs/sunspots
	@$(BIN)/longlag fit sunspots --out runs/sunspots

# Types take a minute that the tests need not wait for. They are heard of where one is wrong: the tests' summary comes last.
test: $(VENV)/.dev style ## Every check: style, types, layers, tests
	@log=$$(mktemp); { $(TYPES) && $(LAYERS); } > $$log 2>&1 & \
	  echo "== mypy and import-linter, beside pytest"; \
	  $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder; tests=$$?; \
	  wait $$!; checks=$$?; [ $$checks -eq 0 ] || cat $$log; rm -f $$log; \
	  [ $$tests -eq 0 ] && [ $$checks -eq 0 ]

test-fast: $(VENV)/.dev ## The quick tests: no processes, clusters, Triton interpreter, whole fits or commands
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --hypothesis-profile fast \
	  -m "not slow and not gpu and not processes and not ray and not interpreter and not costly"

lint: style ## Style, types and layers, without the tests
	@echo "== mypy"
	@$(TYPES)
	@echo "== import-linter"
	@$(LAYERS)

style: $(VENV)/.dev
	@echo "== ruff check"
	@$(BIN)/ruff check --quiet --output-format concise .
	@echo "== ruff format"
	@$(BIN)/ruff format --check --quiet . || { echo "run make format"; exit 1; }

format: $(VENV)/.dev ## Rewrite the sources in the team's style
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

map: $(VENV)/.dev ## Write docs/architecture.md's tree and docs/modules.md from the modules
	@$(BIN)/python docs/map.py

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps. The development environment contains the lighter one, so making it makes both.

$(VENV)/.created:
	@echo "== making $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "longlag needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# torch first: the one large download, and a failure there should not hide behind a build.
$(VENV)/.torch: constraints.txt | $(VENV)/.created
	@echo "== installing torch (takes minutes the first time)"
	@$(PIP_INSTALL) torch
	@touch $@

$(VENV)/.run: $(BUILD_INPUTS) | $(VENV)/.torch
	@echo "== installing longlag"
	@$(PIP_INSTALL) --editable . --editable ./laboratory
	@$(call say_if_pure)
	@touch $@

$(VENV)/.dev: $(BUILD_INPUTS) | $(VENV)/.torch
	@echo "== installing longlag and its development tools"
	@$(PIP_INSTALL) --editable ".[dev,data,ray,tables]" --editable ./laboratory
	@$(call say_if_pure)
	@touch $@ $(VENV)/.run

say_if_pure = $(BIN)/python -c 'from importlib.util import find_spec; import sys; \
	sys.exit(find_spec("longlag._native") is None or find_spec("longlag_lab._native") is None)' \
	|| echo "note: no working C++ compiler, so longlag runs without its CPU kernels (same results, slower)"
