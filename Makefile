# make help      what there is
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Also pins what builds the package, in pip's isolated environment.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The whole fault plan; the random part lasts SOAK_SECONDS (600), and SOAK_SEED repeats it.
SOAK_SECONDS ?= 600

.PHONY: help install demo test test-integrations contract-record soak check package clean bench bench-fleet \
	bench-million bench-adaptive bench-logging bench-store bench-watch bench-stopping bench-digits

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing besom into $(VENV)"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "installing the tools for tests"
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(VENV)/installed  ## Build .venv with besom in it

demo: $(VENV)/installed  ## Run the example sweep: 24 trials on 2 agents, about a minute
	@$(BIN)/besom demo

test: $(VENV)/installed-dev  ## Run all tests
	@.ci/packages redis-server=redis-server ip=iproute2 pg_ctlcluster=postgresql
	$(BIN)/python -m pytest -n 2 --dist loadfile tests

contract-record:  ## Record what the wandb package does into tests/data, for the tests to compare with: 3 minutes
	@test -x build/contract/bin/python || $(PYTHON) -m venv build/contract
	@PIP_CONSTRAINT= build/contract/bin/python -m pip install --quiet -r tests/conformance/requirements.txt
	@mkdir -p tests/data
	PYTHONPATH=$(CURDIR) build/contract/bin/python -m tests.conformance.record tests/data

soak: $(VENV)/installed-dev  ## Run the long fault tests: 25 minutes at most
	@.ci/packages redis-server=redis-server
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -n 2 --dist worksteal -m soak -rs tests/faults

# A venv of its own: what these tests need is bigger than all the rest. The libraries may warn of each other.
INTEGRATIONS := build/integrations

$(INTEGRATIONS)/installed: pyproject.toml constraints.txt tests/integrations/requirements.txt
	@test -x $(INTEGRATIONS)/bin/python || $(PYTHON) -m venv $(INTEGRATIONS)
	@echo "installing the libraries of tests/integrations into $(INTEGRATIONS)"
	@grep -v '^python-dateutil==' constraints.txt >$(INTEGRATIONS)/constraints.txt  # s3fs needs an older one
	@PIP_CONSTRAINT=$(INTEGRATIONS)/constraints.txt $(INTEGRATIONS)/bin/python -m pip install --quiet --editable '.[dev]' \
		-r tests/integrations/requirements.txt
	@touch $@

test-integrations: $(INTEGRATIONS)/installed  ## Run the tests with real training libraries, about 5 minutes
	@.ci/packages redis-server=redis-server
	HF_HUB_OFFLINE=1 KERAS_BACKEND=torch $(INTEGRATIONS)/bin/python -m pytest -W default -n 2 --dist loadfile -m integrations tests/integrations

check: $(VENV)/installed-dev package  ## Check format, lint and types, and that the built wheel works by itself
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy besom

package: $(VENV)/installed-dev
	@rm -rf build/package && mkdir -p build/package
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/package .
	@$(PYTHON) -m venv build/package/venv
	@build/package/venv/bin/python -m pip install --quiet build/package/besom-*.whl
	@cd build/package && BESOM_HOME=$(CURDIR)/build/package/home ./venv/bin/python $(CURDIR)/tests/package_smoke.py
	@rm -rf build/package

clean:  ## Remove what was built
	rm -rf $(VENV) build dist

$(VENV)/installed-bench: $(VENV)/installed-dev
	@echo "installing what besom is measured against"
	@$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	@touch $@

bench: $(VENV)/installed-bench  ## Measure the hand-out of trials against its peers, about 8 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.handout

bench-fleet: $(VENV)/installed-bench  ## Measure with 1000 and 5000 simulated agents, about 6 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.fleet

bench-million: $(VENV)/installed-bench  ## Run a million trials for real, about 3 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.million

bench-adaptive: $(VENV)/installed-bench  ## Measure a bayes sweep after 100, 1000 and 10 000 trials, about 2 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.adaptive

bench-store: $(VENV)/installed-dev  ## Measure the store with 10 million points, SQLite and PostgreSQL, about 10 minutes
	@.ci/packages redis-server=redis-server pg_ctlcluster=postgresql
	@$(BIN)/python -m benchmarks.store
	@$(BIN)/python -m benchmarks.store --postgres

bench-stopping: $(VENV)/installed-bench  ## Measure what stopping rules save, next to Optuna's, about 20 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.stopping

bench-digits: $(VENV)/installed-bench  ## Measure bayes against random on the example, about 10 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.digits --plot build/digits.png

# The trackers that besom is measured against need other versions of what it needs.
PEERS := build/peers

$(PEERS)/installed: benchmarks/logging-peers.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "installing trackio, tensorboardX and wandb into $(PEERS)"
	@PIP_CONSTRAINT= $(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/logging-peers.txt
	@touch $@

bench-logging: $(VENV)/installed-bench $(PEERS)/installed  ## Measure run.log against other trackers, about 4 minutes
	@.ci/packages redis-server=redis-server
	@$(BIN)/python -m benchmarks.logging

# A venv of its own, since torch is bigger than all the rest.
WATCH := build/watch

$(WATCH)/installed: pyproject.toml constraints.txt
	@test -x $(WATCH)/bin/python || $(PYTHON) -m venv $(WATCH)
	@echo "installing torch and wandb into $(WATCH)"
	@$(WATCH)/bin/python -m pip install --quiet --editable . torch==2.13.0 wandb==0.31.0
	@touch $@

bench-watch: $(WATCH)/installed  ## Measure watching a model against wandb, about 3 minutes
	@.ci/packages redis-server=redis-server
	@$(WATCH)/bin/python -m benchmarks.watch
