# Each target sets up what it needs, once. UV_TORCH_BACKEND=cpu in the environment takes the small torch without CUDA.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNS := $(VENV)/.runs
ALL := -c constraints.txt -e '.[test,export,lint,browser]'
LEAN := -c constraints.txt -e .
ARGS ?=
enough = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is not Python 3.11 or newer; name one that is: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
# What verbs import, as bytecode: uv leaves that to the first start, and where Python is told to write none, to each.
compiled = $(BIN)/python -m compileall -q harness baselines && PYTHONDONTWRITEBYTECODE= $(BIN)/python -c \
	'import harness.cli, harness.render.terminal, harness.report.document, harness.render.figures'

.DEFAULT_GOAL := help
.PHONY: help setup hashes demo test test-all test-slurm test-gpu fuzz lint bench profile scale inventory docs screenshots vouch

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(READY) ## .venv with all that is needed; PYTHON=python3.12 chooses the interpreter, HASHES=1 checks every file

hashes: $(READY) ## hashes.txt anew, from constraints.txt: what `make setup HASHES=1` holds every file against
	echo editables | $(BIN)/uv pip compile pyproject.toml - -c constraints.txt --all-extras --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	--quiet -o hashes.txt

demo: $(firstword $(wildcard $(READY)) $(RUNS)) ## Table 1 on the bundled digits: trains what is missing (minutes), prints it
	@begin=$$(date +%s); $(BIN)/python -m harness run table1 --preset smoke $(ARGS); code=$$?; \
	took=$$(($$(date +%s) - begin)); echo "demo: $$((took / 60)) min $$((took % 60)) s" >&2; exit $$code

test: $(READY) ## the tests, on up to four cores; ARGS="-k fold" narrows them down, ARGS="-n 0" takes one process
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

test-all: $(READY) ## those and the long ones: every method stopped, resumed, recomputed and exported, one by one
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --long $(ARGS)

test-slurm: $(READY) ## the tests on a SLURM cluster of two nodes, started here; ARGS=--short takes minutes
	@$(BIN)/python slurm/testcluster.py check >/dev/null
	$(BIN)/python -m pytest tests/slurm $(ARGS)

test-gpu: $(READY) ## on a GPU, eight minutes: kernels, cells, speeds -> results/bench/gpu-*; ARGS=--stand-in tries it on a CPU
	@$(BIN)/python tests/gpu/run.py $(ARGS)

fuzz: $(READY) ## 10,000 odd inputs against every promise of SECURITY.md, a quarter of an hour; ARGS="--seed 2"
	$(BIN)/python tests/fuzz/run.py $(ARGS)

lint: $(READY) ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY) ## the benchmarks (pytest-benchmark)
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only $(ARGS)

profile: $(READY) ## where a training step and a table of 10,000 results spend their time: results/bench/profile-*.txt
	PYTHONPATH=.:tests $(BIN)/python tests/benchmarks/profiles.py training results/bench/profile-training.txt
	PYTHONPATH=.:tests $(BIN)/python tests/benchmarks/profiles.py engine results/bench/profile-engine.txt

scale: $(READY) ## what asking a store takes from 1,000 to 100,000 results: results/bench/scale-cpu.*; 2 GB in FOLDER=
	PYTHONPATH=.:tests $(BIN)/python tests/benchmarks/scale.py $(or $(FOLDER),$$(mktemp -d)) results/bench/scale-cpu

vouch: $(READY) ## after a change to what computes numbers: have they moved? ARGS="--raise NAME" where they should have
	PYTHONPATH=.:tests $(BIN)/python tests/numerics/vouch.py $(ARGS)

inventory: $(READY) ## what every method folds into, and its parameters: tables/inventory.toml anew, from the registry
	PYTHONPATH=.:tests $(BIN)/python tests/baselines/inventory.py tables/inventory.toml

docs: $(READY) ## docs/protocols.md anew, from tables/
	@mkdir -p docs
	$(BIN)/python -m harness show protocol paper own --format markdown > docs/protocols.md

screenshots: $(READY) ## docs/screens anew: the report on results/cpu, in Debian's chromium
	$(BIN)/python tests/report/screenshots.py

# What a run needs: no tests, no linters, no browser; where there is no GPU, the small torch, if its index can be reached.
$(RUNS): pyproject.toml constraints.txt
	@$(enough)
	@echo "setting up $(VENV) with what a run needs: a minute or two; 6 GB with CUDA, less without" >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv && \
	{ UV_TORCH_BACKEND=$${UV_TORCH_BACKEND:-auto} $(BIN)/uv pip install --python $(BIN)/python $(LEAN) || \
	$(BIN)/uv pip install --python $(BIN)/python $(LEAN); } || $(BIN)/python -m pip install $(LEAN)
	@$(compiled)
	@touch $@

$(READY): pyproject.toml constraints.txt
	@$(enough)
	@echo "setting up $(VENV): a few minutes and 6 GB the first time, UV_TORCH_BACKEND=cpu takes less" >&2
	$(PYTHON) -m venv $(VENV)
ifdef HASHES
	$(BIN)/python -m pip install --no-deps --only-binary :all: --require-hashes -r hashes.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
else
	$(BIN)/python -m pip install --quiet uv && $(BIN)/uv pip install --python $(BIN)/python $(ALL) || \
	{ [ -z "$$UV_TORCH_BACKEND" ] && $(BIN)/python -m pip install $(ALL); } # slower, where uv cannot be had
endif
	@$(compiled)
	@touch $@
