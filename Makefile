# `make demo` and `make test` set everything up by themselves. They need Python >= 3.11 and make, and write into .venv only.
# Another interpreter: make test PYTHON=/path/to/python

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
TORCH_CPU := https://download.pytorch.org/whl/cpu
CODE := $(wildcard src tests examples benchmarks tools)
TEXT := $(wildcard *.md docs Makefile pyproject.toml)

.PHONY: help demo test test-slow fuzz check format clean
.NOTPARALLEL:

help:
	@echo "make demo       ask a video with sound five questions, see the answers in demo/"
	@echo "make test       the tests, in two processes"
	@echo "make test-slow  the tests that take longer"
	@echo "make fuzz       10 000 damaged files through everything that reads files; FUZZ_FILES=300 for fewer"
	@echo "make check      style, types, spelling"
	@echo "make format     put the code into the project's style"
	@echo "make clean      remove caches, builds and demo/ ($(VENV)/ and runs/ stay)"

demo: $(VENV)/.core
	@$(BIN)/mirasol demo

test: $(VENV)/.all
	@$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.all
	@$(BIN)/python -m pytest -n 2 -m slow --timeout 1800

# Goes on where an earlier call was stopped; FUZZ="--fresh" begins again. What went wrong is kept in runs/fuzz.
fuzz: $(VENV)/.all
	@$(BIN)/python tools/fuzz.py --files $(or $(FUZZ_FILES),10000) --results benchmarks/results/fuzz.json $(FUZZ)

check: $(VENV)/.all
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/codespell $(CODE) $(TEXT)

format: $(VENV)/.all
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# The set-up, in steps; each file is the date at which its step was last done. The packages of a step are not fetched
# again by the next one. PYTHON is searched for only when there is no environment yet.

$(VENV)/.python:
	@python=; for name in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$$name && break; \
	done; \
	if test -z "$$python"; then \
		echo "make: expected Python >= 3.11 with venv and pip, found none; install it, or name one: make PYTHON=..." >&2; \
		exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$python ..."; "$$python" -m venv $(VENV)
	@touch $@

# On Linux the default torch is the CUDA build of some GB: without an NVIDIA GPU take the CPU build instead. Where that
# index is out of reach this step may find nothing. That is no error: the next step installs torch from the usual place.
$(VENV)/.torch: $(VENV)/.python constraints.txt
	@if test "$$(uname -s)" = Linux && ! nvidia-smi >/dev/null 2>&1; then \
		echo "No NVIDIA GPU here: looking for the CPU build of torch ..."; \
		$(PIP) --no-deps --retries 1 --timeout 10 --index-url $(TORCH_CPU) torch 2>/dev/null \
			|| echo "Not found; taking the default build."; \
	fi
	@touch $@

$(VENV)/.core: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "Installing mirasol; the first time takes some minutes ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.all: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "Installing mirasol and its tools; the first time takes some minutes ..."
	@$(PIP) -e ".[all,dev]"
	@touch $(VENV)/.core $@
