# make demo   run the main job on a real clip with the embedded model
# make test   lint and tests
# make lint   mend what the linter can
# Both set up .venv themselves.

PYTHON ?= python3
PY := .venv/bin/python
# The first request decides: a looser one for torch pulls several gigabytes of CUDA packages on many machines.
TORCH ?= torch==2.13.0
DEMO_OUT ?= lavida-out

.PHONY: demo test lint clean

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
	$(PY) -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(PY) -m pip install --quiet --disable-pip-version-check -e ".[$(1)]"
	touch $@
endef

clean:
	rm -rf .venv build dist src/*.egg-info
