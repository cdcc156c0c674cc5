# `make run` and `make test` each work alone on a fresh machine with Python 3.11 or newer; see README.md.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIPELINE ?= distillation_then_quantization
CONFIG ?= pipelines/$(PIPELINE)/configs/sample.yaml
OUTPUT ?= runs/$(PIPELINE)
# docker: each task in a container of the images that a cluster uses (make images).
RUNNER ?= process
# An index to take torch from, such as https://download.pytorch.org/whl/cu130 for CUDA; empty: a CPU build where
# pip's own index or PyTorch's offers one (tools/install.py).
TORCH_INDEX_URL ?=
export TORCH_INDEX_URL
# More `key=value` parameters of the pipeline, and options of pytest.
ARGS ?=
# Two processes of tests, each file in one of them: most tests wait for imports and use one thread. Files are taken in
# the order of pyproject.toml, the longest first; by default, pytest-xdist takes those with the most tests first.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
# Which of tests/services.
SERVICES ?= kfp storage manifests launch images browser

BIN := .venv/bin
INSTALLED := .venv/installed
IPEX_BIN := .venv-ipex/bin
IPEX_INSTALLED := .venv-ipex/installed
# mypy finds `compaware.components` by these links: it does not read the editable install's mapping.
TYPES := build/types/compaware

# Images: which, of what registry, and more options of `docker build`, such as --build-arg PIP_INDEX_URL=….
IMAGES ?= launcher data trainer benchmark
# Where `push` pushes; `localhost` stands for this machine.
REGISTRY ?= localhost
NETWORK ?= default
SOURCE ?= $(shell sed -n 's/^urls.Repository = "\(.*\)"/\1/p' pyproject.toml)
LICENSES ?= $(shell sed -n 's/^license = "\(.*\)"/\1/p' pyproject.toml)
# Empty: the one that images/Containerfile pins by digest.
BASE_IMAGE ?=
BUILD_ARGS ?=
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PREFIX = $(REGISTRY)/compaware
TAG = $(PREFIX)/$(1):$(VERSION)
LABEL := --label org.opencontainers.image
REVISION = $(shell git describe --always --dirty --abbrev=40 --exclude='*')
BUILD_OPTIONS = --file images/Containerfile --network $(NETWORK) $(LABEL).version=$(VERSION) \
	$(LABEL).revision=$(REVISION) --build-arg REVISION=$(REVISION) $(LABEL).licenses=$(LICENSES) \
	$(if $(SOURCE),$(LABEL).source=$(SOURCE)) \
	$(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	$(if $(TORCH_INDEX_URL),--build-arg TORCH_INDEX_URL=$(TORCH_INDEX_URL)) $(BUILD_ARGS)
LIST_PACKAGES = python -m venv /tmp/tools; /tmp/tools/bin/pip install --quiet --require-hashes --requirement /dev/stdin; \
	/tmp/tools/bin/cyclonedx-py environment --output-reproducible /opt/venv/bin/python

# The checked-in pipelines name no site's images.
NO_SITE = env -u COMPAWARE_IMAGES -u COMPAWARE_IMAGE_PULL_SECRETS -u COMPAWARE_SITE

.DEFAULT_GOAL := help
.PHONY: help run test test-families test-ipex test-services lint types compile docs manifests check-fresh release-check lock clean install images image-names image-digests push sbom

help:
	@echo "make install                                                       install compaware and its packages into .venv"
	@echo "make run [PIPELINE=…] [CONFIG=…] [OUTPUT=…] [ARGS='key=value …']   run a pipeline on this machine"
	@echo "make test | lint | types | check-fresh                             the checks of each change"
	@echo "make test-families | test-ipex | test-services                     longer tests; see CONTRIBUTING.md"
	@echo "make compile | docs | manifests | lock                             update generated files and lock files"
	@echo "make release-check                                                 check whether this tree can be released"
	@echo "make images | push | sbom [REGISTRY=…] [IMAGES=…]                  build images, push them, list their packages"
	@echo "make image-digests REGISTRY=…                                      the setting for pushed images, by digest"
	@echo "make clean                                                         remove .venv, build and caches"

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not there; name yours: make PYTHON=python3.12 …"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python tools/install.py requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --quiet
	@touch $@

$(IPEX_INSTALLED): requirements/ipex.lock requirements.lock pyproject.toml
	test -x $(IPEX_BIN)/python || $(PYTHON) -m venv .venv-ipex
	$(IPEX_BIN)/python tools/install.py requirements/ipex.lock
	sed -n 's/^\([a-z0-9.-]*==[^ ]*\).*/\1/p' requirements.lock | \
		$(IPEX_BIN)/python -m pip install --quiet --constraint /dev/stdin pytest pytest-timeout
	$(IPEX_BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: $(INSTALLED)
	@$(BIN)/compaware run $(PIPELINE) --config $(CONFIG) --output $(OUTPUT) --runner $(RUNNER) $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Eleven families of models and multi-label data, each through all stages, and a sweep: about a minute each.
test-families: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --dist load tests/families tests/sweep

# Intel Extension for PyTorch, in an environment of its own with the torch that it needs.
test-ipex: $(IPEX_INSTALLED)
	$(IPEX_BIN)/python -m pytest tests/ipex

# Against real services, named by KUBECONFIG, S3_ENDPOINT and so on; tests/services says which.
test-services: $(INSTALLED) manifests
	$(BIN)/python -m pytest $(SERVICES:%=tests/services/%)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	@mkdir -p $(TYPES)
	@ln -sfn ../../../components $(TYPES)/components
	@ln -sfn ../../../pipelines $(TYPES)/pipelines
	$(BIN)/mypy -p compaware.components -p compaware.pipelines

compile: $(INSTALLED)
	$(NO_SITE) $(BIN)/compaware compile
	$(NO_SITE) $(BIN)/python tools/pipeline_resources.py

docs: $(INSTALLED)
	$(BIN)/compaware docs

# The pipelines as resources of KFP's Kubernetes API, with the images of COMPAWARE_IMAGES.
manifests: $(INSTALLED)
	$(BIN)/python tools/pipeline_resources.py

check-fresh: $(INSTALLED)
	$(NO_SITE) $(BIN)/compaware compile --check
	$(NO_SITE) $(BIN)/python tools/pipeline_resources.py --check
	$(BIN)/compaware docs --check

release-check: $(INSTALLED)
	@$(BIN)/python tools/release_check.py

# ARGS=--upgrade: the newest versions that fit together, in place of those that the locks have.
lock:
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python tools/lock.py $(ARGS)

# Other names than these: trainer-ipex. NETWORK=host where the engine has no bridge.
images:
	$(foreach image,$(IMAGES),docker build $(BUILD_OPTIONS) --target $(image) --tag $(call TAG,$(image)) . &&) true

# The names with which they are tagged.
image-names:
	@echo $(foreach image,$(IMAGES),$(call TAG,$(image)))

push:
	@test $(REGISTRY) != localhost || { echo "error: name a registry: make push REGISTRY=registry.example.com/team"; exit 2; }
	$(foreach image,$(IMAGES),docker push $(call TAG,$(image)) &&) true
	@echo "export COMPAWARE_IMAGES=$(PREFIX):$(VERSION)"

# With the digests that the registry gave the images when they were pushed.
image-digests:
	@printf 'export COMPAWARE_IMAGES='; for image in $(IMAGES); do \
		docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' $(PREFIX)/$$image:$(VERSION) \
			| sed -n "s#^$(PREFIX)/$$image@#$$image=&#p" | head -n 1; done | paste -sd ,

# What is in each image, as CycloneDX JSON: read in the image itself, by a tool that is not left in it.
sbom:
	@mkdir -p build/sbom
	$(foreach image,$(IMAGES),docker run --rm --interactive --network $(NETWORK) $(call TAG,$(image)) sh -ec '$(LIST_PACKAGES)' \
		< requirements/sbom.lock > build/sbom/$(image).part && mv build/sbom/$(image).part build/sbom/$(image).cdx.json &&) true

clean:
	rm -rf .venv .venv-ipex build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
