# make demo   run the main job on a real clip with the embedded model
# make test   lint and tests
# make lint   mend what the linter can
# They set up .venv themselves. The tests at both ends of what pyproject.toml allows, each in an environment of its own:
# make test-lowest   with the lowest version of every dependency, in .venv-lowest; needs Python 3.11
# make test-newest   with what is newest now, in .venv-newest
# torch is TORCH in all of them.

PYTHON ?= python3
PY := .venv/bin/python
# The first request decides: a looser one for torch pulls several gigabytes of CUDA packages on many machines.
TORCH ?= torch==2.13.0
DEMO_OUT ?= lavida-out
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-lowest test-newest lint clean

demo: .venv/demo
	$(PY) -m lavida detect "$$($(PY) -m lavida demo-clip)" -a cyclist -a dog -a boat --out $(DEMO_OUT)

test: .venv/dev
	$(PY) -m ruff check src tests benchmarks docs
	OMP_NUM_THREADS=2 $(PY) -m pytest

lint: .venv/dev
	$(PY) -m ruff check --fix src tests benchmarks docs
	$(PY) -m ruff format src tests benchmarks docs

.venv/demo: pyproject.toml
	$(call install,demo)

.venv/dev: pyproject.toml
	$(call install,dev)

define install
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) $(PIP) "$(TORCH)"
	$(PY) $(PIP) -e ".[$(1)]"
	touch $@
endef

test-lowest: .venv-lowest/dev
	OMP_NUM_THREADS=2 .venv-lowest/bin/python -m pytest

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
	OMP_NUM_THREADS=2 .venv-newest/bin/python -m pytest

clean:
	rm -rf .venv .venv-lowest .venv-newest build dist src/*.egg-info
