# `make run` and `make test` each work alone on a fresh machine with Python 3.11 or newer; see README.md.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIPELINE ?= distillation_then_quantization
CONFIG ?= pipelines/$(PIPELINE)/configs/sample.yaml
OUTPUT ?= runs/$(PIPELINE)
# Where torch comes from; empty: the index that pip uses for everything. Its CPU build: see "Installation" in README.md.
TORCH_INDEX_URL ?=
# More `key=value` parameters of the pipeline, and options of pytest.
ARGS ?=
PYTEST_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed
# mypy finds `compaware.components` by these links: it does not read the editable install's mapping.
TYPES := build/types/compaware

.DEFAULT_GOAL := help
.PHONY: help run test test-services lint types compile docs check-fresh lock clean install

help:
	@echo "make run [PIPELINE=…] [CONFIG=…] [OUTPUT=…] [ARGS='key=value …']   run a pipeline on this machine"
	@echo "make test | lint | types | check-fresh                             the checks that CI runs"
	@echo "make compile | docs | lock                                         regenerate YAML, READMEs, lock files"
	@echo "make clean                                                         remove .venv, build and caches"

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not there; name yours: make PYTHON=python3.12 …"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "torch==2.13.0" $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL))
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

run: $(INSTALLED)
	@$(BIN)/compaware run $(PIPELINE) --config $(CONFIG) --output $(OUTPUT) $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Against real services, named by KUBECONFIG, S3_ENDPOINT and so on; tests/services says which.
test-services: $(INSTALLED)
	$(BIN)/python -m pytest tests/services $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	@mkdir -p $(TYPES)
	@ln -sfn ../../../components $(TYPES)/components
	@ln -sfn ../../../pipelines $(TYPES)/pipelines
	$(BIN)/mypy -p compaware.components -p compaware.pipelines

compile: $(INSTALLED)
	$(BIN)/compaware compile

docs: $(INSTALLED)
	$(BIN)/compaware docs

check-fresh: $(INSTALLED)
	$(BIN)/compaware compile --check
	$(BIN)/compaware docs --check

lock:
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python tools/lock.py

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
