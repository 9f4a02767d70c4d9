# Two commands: `make up` installs what is missing and serves; `make test` does all that CI does.

bin := .venv/bin
stamp := .venv/.installed
locked := uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header
# An upgrade of the system may have taken away the Python that the environment was made with.
$(shell $(bin)/python -c "" 2>/dev/null || rm -f $(stamp) $(stamp)-test)

.PHONY: load test-fuzz-http up test check lint fix test-embargo test-kills test-fuzz test-readers test-differential-adql test-harvests
.PHONY: test-statistics test-years
.PHONY: lock bench bench-check mutants islands docs site clean help
.PHONY: system system-test system-bench
.DEFAULT_GOAL := up

## up: install what is missing, start the embedded cluster, load events, and serve until Ctrl-C
up: system $(stamp)
	@exec $(bin)/km3vo up

## test: everything that CI runs: style, types, imports, all tests, and how much of the code they reach
test: system-test lint node_modules
	@$(bin)/pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report= || { echo "What failed, once more by itself:"; \
		$(bin)/pytest -n 0 --last-failed --last-failed-no-failures none --no-cov && $(bin)/coverage report --format=total; }

## check: the same in under a minute, without the slow tests and the clients
check: system lint
	@$(bin)/pytest -q -n 2 --dist loadfile -m "not slow and not client"

# Style, types, and that no import runs upwards.
lint: $(stamp)-test
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/mypy
	@$(bin)/lint-imports --no-logo

## fix: mend what can be mended by itself: order of imports, layout
fix: $(stamp)-test
	@$(bin)/ruff check --fix
	@$(bin)/ruff format

## test-embargo: the differential test in its long form: 100,000 answers compared
test-embargo: $(stamp)-test
	@KM3VO_DIFFERENTIAL=$${KM3VO_DIFFERENTIAL:-100000} $(bin)/pytest \
		tests/embargo/test_while_both_answer.py tests/embargo/test_noninterference.py

## test-kills: kill service, dispatcher, PostgreSQL and broker while events are released and alerts sent, 200 times each
test-kills: $(stamp)-test
	@KM3VO_KILLS=$${KM3VO_KILLS:-200} KM3VO_ALERT_KILLS=$${KM3VO_ALERT_KILLS:-200} \
		$(bin)/pytest tests/embargo/test_kill.py tests/alerts/test_kill.py

## test-fuzz: random queries, geometries and alerts, ten minutes and many examples
test-fuzz: $(stamp)-test
	@KM3VO_FUZZ_SECONDS=$${KM3VO_FUZZ_SECONDS:-600} KM3VO_EXAMPLES=$${KM3VO_EXAMPLES:-1000} \
		KM3VO_MUTATIONS=$${KM3VO_MUTATIONS:-100000} $(bin)/pytest \
		tests/adql/test_safety.py tests/adql/test_geometry.py tests/adql/test_moc.py tests/adql/test_properties.py \
		tests/alerts/test_standard.py

## test-readers: 100,000 damaged files of every format, read in a process of little memory
test-readers: $(stamp)-test
	@KM3VO_FUZZ_FILES=$${KM3VO_FUZZ_FILES:-100000} $(bin)/pytest tests/readers/test_fuzz.py

## test-differential-adql: 5,000 random queries, compared with what duckdb and astropy make of them
test-differential-adql: $(stamp)-test
	@KM3VO_ADQL_QUERIES=$${KM3VO_ADQL_QUERIES:-5000} $(bin)/pytest tests/adql/test_differential.py

## test-fuzz-http: anything at all over sockets, a million conversations
test-fuzz-http: $(stamp)-test
	@KM3VO_FUZZ_HTTP=$${KM3VO_FUZZ_HTTP:-1000000} $(bin)/pytest -s -n 0 tests/protocols/test_fuzz_http.py

## test-harvests: random harvests beside changes of the records, in the long form
test-harvests: $(stamp)-test
	@KM3VO_TEST_HARVESTS=$${KM3VO_TEST_HARVESTS:-500} $(bin)/pytest tests/registry/test_harvest.py

## load: 300 clients beside hogs, a minute; KM3VO_LOAD_SECONDS=600 for ten, KM3VO_WORKERS=4 for four server processes
load: system $(stamp)-test
	@$(bin)/python -m benchmarks.load

## test-statistics: p-values of 200 skies without sources for each method, and 100 skies with one
test-statistics: $(stamp)-test
	@KM3VO_TEST_NULL=$${KM3VO_TEST_NULL:-200} $(bin)/pytest -s -n 0 tests/correlation/test_null.py

## test-years: two years of an experiment with a load each night, half an hour
test-years: $(stamp)-test
	@KM3VO_STEP_DAYS=$${KM3VO_STEP_DAYS:-1} $(bin)/pytest -n 0 tests/operating/test_years.py

## mutants: make mistakes in the rooms that matter most, and say which the tests do not notice; half an hour
mutants: $(stamp)-test
	@$(bin)/python -m scripts.mutants

## lock: write the lock files anew after a change of dependencies; needs uv
lock:
	@$(locked) pyproject.toml --output-file requirements.lock
	@$(locked) --extra test pyproject.toml --output-file requirements-test.lock

## bench: the figures of docs/performance.md, measured here
bench: system-bench $(stamp)-test
	@$(bin)/python -m benchmarks

## bench-check: measure, and say which ratios are worse than those that docs/performance.md records
bench-check: system-bench $(stamp)-test
	@mkdir -p build
	@$(bin)/python -m benchmarks --save build/bench
	@$(bin)/python -m benchmarks.compare build/bench.json

## islands: make the scripts of the pages from islands/; needs npm
islands: node_modules
	@npm run --silent build

## docs: write the pages that follow from the code
docs: $(stamp)
	@$(bin)/python scripts/docs.py
	@$(bin)/python scripts/rooms.py

## site: the documentation as pages, in build/site
site: $(stamp)-test
	@NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict

## clean: remove the virtual environment and caches; your events stay
clean:
	rm -rf .venv build dist *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
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

# What the scripts of the pages are made with, and what looks at pages for barriers; tests skip where npm is missing.
node_modules: package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent && touch $@; fi

$(stamp)-test: requirements-test.lock requirements.lock pyproject.toml
	@scripts/venv.sh requirements-test.lock
	@touch $(stamp) $@
