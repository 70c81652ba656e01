# A front to Meson. `make help` lists the targets; CONTRIBUTING.md says more.

PREFIX ?= /usr/local
BUILD ?= build
JOBS ?= $(shell nproc)
# Debian's, also where a Python of pyenv or conda comes first on PATH.
PYTHON := /usr/bin/python3
MESON := $(or $(wildcard /usr/bin/meson),meson)
ARGS ?=
export JOBS

# Sets the build folder up; $(1) says what to do about llama.cpp (tools/setup-build) unless LLAMA does.
define prepare
@tools/install-deps build
@LLAMA=$(or $(LLAMA),$(1)) tools/setup-build $(BUILD) --prefix $(PREFIX)
@ninja -C $(BUILD) -j $(JOBS) product
endef

PYTHON_LLAMA = $(if $(filter no,$(LLAMA)),,$(addsuffix /lib/pkgconfig,$(shell tools/get-llama --find)))

.PHONY: help run build python llama test bench install lint format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Builds llama.cpp only where a model is configured, so that a first run takes a minute.
run: ## install what is missing, build, and serve on http://127.0.0.1:8000 (ARGS='--db ...')
	$(call prepare,$(if $(MINDCORE_LLAMA_MODEL_PATH),yes,found))
	exec $(BUILD)/mindcore serve $(ARGS)

build: ## install what is missing and build build/mindcore and build/libmindcore.so (LLAMA=no: no local models)
	$(call prepare,yes)

llama: ## build the pinned llama.cpp for local models, once, in ~/.cache/mindcore (two minutes)
	@tools/install-deps llama
	@tools/get-llama

python: ## the Python package: its wheel in build/wheel, installed into build/python-venv (LLAMA=no: no local models)
	@tools/install-deps build python
	@mkdir -p $(BUILD)
	@rm -rf $(BUILD)/wheel
	@test -x $(BUILD)/python-venv/bin/python || $(PYTHON) -m venv $(BUILD)/python-venv
	@PKG_CONFIG_PATH=$(PYTHON_LLAMA) $(BUILD)/python-venv/bin/pip wheel --quiet --no-deps --wheel-dir $(BUILD)/wheel .
	@$(BUILD)/python-venv/bin/pip install --quiet --force-reinstall --no-deps $(BUILD)/wheel/mindcore-*.whl
	@echo "$(BUILD)/python-venv/bin/python has the package"

test: ## every test, plain and under sanitizers (SUITE=unit|e2e|lint|fuzz|..., PLAIN=1 for a quick run)
	@tools/install-deps build test python
	@LLAMA=$(LLAMA) $(PYTHON) tools/run_tests.py --jobs $(JOBS) $(if $(SUITE),--suite $(SUITE)) $(if $(PLAIN),--plain) $(ARGS)

bench: ## run every benchmark of bench/ and write bench/RESULTS.md
	@tools/install-deps build bench python
	@LLAMA=$(LLAMA) $(PYTHON) tools/run_bench.py --build $(BUILD) $(ARGS)

install: ## install program, library, headers, man pages (PREFIX=, DESTDIR=)
	$(call prepare,yes)
	@$(MESON) configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD) -j $(JOBS) product
	DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

lint: ## format, layers, cppcheck and clang-tidy
	@tools/install-deps build test
	@LLAMA=$(LLAMA) $(PYTHON) tools/run_tests.py --jobs $(JOBS) --suite lint $(ARGS)

format: ## put every C file into the format of .clang-format
	@tools/install-deps test
	@git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built
	rm -rf build build-asan build-tsan build-fuzz
