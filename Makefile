# make demo   run the main job on a real clip with the embedded model
# make check  between two edits: lint, types and the fast tests, in a minute and a half
# make test   lint, types and all tests
# make lint   mend what the linter can
# They set up .venv themselves. The tests at both ends of what pyproject.toml allows, each in an environment of its own:
# make test-lowest   with the lowest version of every dependency, in .venv-lowest; needs Python 3.11
# make test-newest   with what is newest now, in .venv-newest
# torch is TORCH in all of them.
# make coverage      lines and branches that the tests pass through
# make constraints   write the versions of .venv down in constraints.txt

PYTHON ?= python3
PY := .venv/bin/python
# The first request decides: a looser one for torch pulls several gigabytes of CUDA packages on many machines.
TORCH ?= torch==2.13.0
DEMO_OUT ?= lavida-out
PIP := -m pip install --quiet --disable-pip-version-check
CODE := src tests benchmarks docs
# Some environments forbid it; each test process would then compile and rewrite all of it again, for ten seconds or more.
unexport PYTHONDONTWRITEBYTECODE
# Two test processes a core (`check`: fewer), each with one thread, where there is memory for them (tests/conftest.py).
WORKERS ?= auto
TESTS := -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

.PHONY: demo check test test-lowest test-newest coverage static lint constraints clean

demo: .venv/demo
	$(PY) -m lavida detect "$$($(PY) -m lavida demo-clip)" -a cyclist -a dog -a boat --out $(DEMO_OUT)

check: static
	OMP_NUM_THREADS=1 $(PY) $(TESTS) -m "not slow"

test: static
	OMP_NUM_THREADS=1 $(PY) $(TESTS)

static: .venv/dev
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check --quiet $(CODE)
	$(PY) -m mypy

coverage: .venv/dev
	OMP_NUM_THREADS=1 $(PY) $(TESTS) --cov

lint: .venv/dev
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

.venv/demo: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) $(PIP) -e ".[demo]"
	touch $@

.venv/dev: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) $(PIP) "$(TORCH)"
	$(PY) $(PIP) -e ".[dev]"
	touch $@

constraints:
	$(PY) -m pip freeze --exclude-editable | sed 's/+.*//' > constraints.txt

test-lowest: .venv-lowest/dev
	OMP_NUM_THREADS=1 .venv-lowest/bin/python $(TESTS)

.venv-lowest/dev: pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	$(PYTHON) tests/lowest_versions.py > .venv-lowest/versions.txt
	.venv-lowest/bin/python $(PIP) "$(TORCH)"
	.venv-lowest/bin/python $(PIP) -c .venv-lowest/versions.txt -e ".[dev]"
	touch $@

test-newest:
	test -x .venv-newest/bin/python || $(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python $(PIP) "$(TORCH)"
	.venv-newest/bin/python $(PIP) --upgrade --upgrade-strategy eager "$(TORCH)" -e ".[dev]"
	OMP_NUM_THREADS=1 .venv-newest/bin/python $(TESTS)

clean:
	rm -rf .venv .venv-lowest .venv-newest build dist src/*.egg-info
