# Crewcall: every command a developer or a user of this checkout needs. `make` alone lists them.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What `make security` and `make mutants` take, apart from the rest.
TOOLS := .tools/security
MUTANTS := .tools/mutants
# Most tests wait rather than compute. `make test PARALLEL=` runs them one by one.
PARALLEL := -n 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-stalled coverage lint type contracts format bench bench-reaction bench-drain bench-recovery bench-delayed bench-overhead bench-enqueue bench-fairness bench-quality bench-replay bench-failover bench-board soak bench-scale benchmarks-doc release-check docs board-pictures reference images chart compose-check kind-up e2e lock security mutants clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it
demo: $(READY) ## See a pool go 0 -> n -> 0 on an embedded Redis, without a cluster
	@$(BIN)/python -m examples.demo

##@ Check it
test: $(READY) ## Run all tests that need no cluster and no Docker
	@$(BIN)/pytest -m "not slow" $(PARALLEL)

test-slow: $(READY) ## Run the long chaos tests as well
	@$(BIN)/pytest $(PARALLEL)

test-stalled: $(READY) ## Run the tests on a machine that stands still now and then: none may have too short a deadline
	@$(BIN)/python -m scripts.stalled $(BIN)/pytest -m "not slow" $(PARALLEL)

coverage: $(READY) ## Run the tests, and hold the core's lines and branches to 100 %, all others' to 90 %
	@$(BIN)/pytest -m "not slow" $(PARALLEL) --cov --cov-report=
	@$(BIN)/coverage report --skip-covered --include='*/crewcall_operator/core/*' --fail-under=100
	@$(BIN)/coverage report --skip-covered --omit='*/crewcall_operator/core/*' --sort=cover --fail-under=90

lint: $(READY) ## Check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

type: $(READY) ## Check types, strictly
	@$(BIN)/mypy

contracts: $(READY) ## Check which package may import which
	@$(BIN)/lint-imports

format: $(READY) ## Rewrite the code in the project's format
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

security: $(TOOLS)/.ready ## Look for secrets ever committed, bandit's findings, and known flaws in dependencies (asks PyPI)
	@$(TOOLS)/bin/python -m scripts.security

mutants: $(MUTANTS)/.ready ## Change the core in every small way, and show what no test notices (an hour; MODULE=limits)
	@$(MUTANTS)/bin/python -m scripts.mutants $(MODULE)

##@ Measure it
bench: $(READY) ## Run all benchmarks and write docs/benchmarks.md (an hour; ONLY="enqueue delayed", CREWCALL_TRACES)
	@$(BIN)/python -m benchmarks $(ONLY)

bench-reaction: $(READY) ## Time from 1,000 jobs in an idle pool to 50 replicas asked for
	@$(BIN)/python -m benchmarks.reaction

bench-drain: $(READY) ## 60 scale-downs under load: jobs cut off, lost, done twice (3 minutes)
	@$(BIN)/python -m benchmarks.drain

bench-recovery: $(READY) ## 20 workers killed while busy: how soon their jobs are ready again, and jobs lost
	@$(BIN)/python -m benchmarks.recovery

bench-delayed: $(READY) ## Delayed jobs while their pool sleeps at zero: how late they begin
	@$(BIN)/python -m benchmarks.delayed

bench-overhead: $(READY) ## Jobs per second with the runtime, against plain Dramatiq
	@$(BIN)/python -m benchmarks.overhead

bench-enqueue: $(READY) ## Jobs enqueued a second by the QueueService, one by one and in batches, against plain `send`
	@$(BIN)/python -m benchmarks.enqueue

bench-fairness: $(READY) ## Behind another organisation's 5,000 jobs: how long 50 jobs wait, in turns and in one line
	@$(BIN)/python -m benchmarks.fairness

bench-quality: $(READY) ## How well queueLatency keeps its promise, against other autoscalers (CREWCALL_TRACES)
	@$(BIN)/python -m benchmarks.quality

bench-failover: $(READY) ## 10 kills and 10 clean ends of the leading operator: how soon another scales on (3 minutes)
	@$(BIN)/python -m benchmarks.failover

bench-scale: $(READY) ## 5,000 idle pools on 20 Redis servers: start, CPU, memory, writes, reaction (3 minutes)
	@$(BIN)/python -m benchmarks.scale

bench-board: $(READY) ## The board's pages with a million jobs in a queue, and with none: time, and what they cost Redis
	@$(BIN)/python -m benchmarks.board

soak: $(READY) ## Ten minutes of every failure at random: wrong changes of replicas, memory, log (MINUTES, SEED)
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),10) $(and $(SEED),--seed $(SEED))

bench-replay: $(READY) ## Ten minutes of a trace by real workers, against the simulator (CREWCALL_TRACES)
	@$(BIN)/python -m benchmarks.replay

benchmarks-doc: $(READY) ## Write docs/benchmarks.md and docs/autoscalers.md anew from what is recorded
	@$(BIN)/python -m benchmarks --page

##@ Ship it
images: ## Build both images with docker, podman or buildah (CONTAINER_TOOL, BASE_IMAGE)
	@scripts/images

chart: $(READY) ## Lint and render the Helm chart
	@$(BIN)/pytest tests/chart

release-check: $(READY) ## Build and try all of a release from a clean clone of HEAD, into dist/ (5 to 10 minutes)
	@$(BIN)/python -m scripts.release_check

compose-check: ## Run both Compose files end to end (needs Docker)
	@scripts/compose-check

kind-up: ## Make a kind cluster with both images loaded (needs Docker)
	@scripts/kind-up

e2e: $(READY) ## Run the end-to-end tests on the cluster that KUBECONFIG names
	@$(BIN)/pytest tests/e2e

##@ Keep it
lock: ## Resolve the dependencies anew into requirements/
	@scripts/lock

reference: $(READY) ## Write docs/reference anew, from the CRD, the chart and the code
	@$(BIN)/python -m scripts.reference

board-pictures: $(READY) ## Take the pictures of docs/board anew (needs Chromium)
	@$(BIN)/python -m scripts.board_pictures

docs: $(READY) ## Build the documentation as a site in build/site
	@$(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going -c docs . build/site
	@echo build/site/docs/index.html

clean: ## Remove the environment and every cache
	rm -rf $(VENV) .tools build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*

# A PYTHON that is asked for builds the environment anew, unless it was built with that one.
ifneq ($(filter command environment,$(origin PYTHON)),)
ifneq ($(PYTHON),$(shell cat $(VENV)/.python 2>/dev/null))
.PHONY: another-python
another-python:
$(READY): another-python
endif
endif

# The environment: everything pinned by hash, then this checkout itself in place.
$(READY): requirements/dev.lock pyproject.toml
	@echo "Building the environment in $(VENV) (once; one to three minutes) ..." >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Crewcall needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)$(if $(filter another-python,$^), --clear)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo $(PYTHON) > $(VENV)/.python
	@touch $@

$(TOOLS)/.ready: requirements/security.lock
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/security.lock
	@touch $@

$(MUTANTS)/.ready: requirements/mutants.lock
	@$(PYTHON) -m venv $(MUTANTS)
	@$(MUTANTS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutants.lock
	@touch $@
