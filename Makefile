# Two commands: `make up` installs what is missing and serves; `make test` does all that CI does.

bin := .venv/bin
stamp := .venv/.installed
# An upgrade of the system may have taken away the Python that the environment was made with.
$(shell $(bin)/python -c "" 2>/dev/null || rm -f $(stamp) $(stamp)-test)

.PHONY: up test check bench docs clean help system system-test system-bench
.DEFAULT_GOAL := up

## up: install what is missing, start the embedded cluster, load events, and serve until Ctrl-C
up: system $(stamp)
	@exec $(bin)/km3vo up

## test: everything that CI runs: style, types, all tests
test: system-test $(stamp)-test
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/mypy
	@$(bin)/pytest -n 2 --dist loadfile

## check: the same in under a minute, without the slow tests and the clients
check: system $(stamp)-test
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/mypy
	@$(bin)/pytest -q -n 2 --dist loadfile -m "not slow and not client"

## bench: the figures of docs/performance.md, measured here
bench: system-bench $(stamp)-test
	@$(bin)/python -m benchmarks

## docs: write the pages that follow from the code
docs: $(stamp)
	@$(bin)/python scripts/docs.py

## clean: remove the virtual environment and caches; your events stay
clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

## help: this list
help:
	@sed -n 's/^## /make /p' $(MAKEFILE_LIST)

# System packages: a glance when they are there.
system:
	@scripts/install.sh

system-test:
	@scripts/install.sh --test

system-bench:
	@scripts/install.sh --bench

# The virtual environment. It is made again when the list of versions has changed.
$(stamp): requirements.lock pyproject.toml
	@scripts/venv.sh requirements.lock
	@touch $@

$(stamp)-test: requirements-test.lock requirements.lock pyproject.toml
	@scripts/venv.sh requirements-test.lock
	@touch $(stamp) $@
