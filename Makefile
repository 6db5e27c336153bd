# make demo   set everything up and run the main job on embedded data: a leaderboard and a picture
# make test   set everything up and check everything: ruff, mypy, fast tests with coverage
# make test-all   the slow tests too
# make format   let ruff format and fix

PYTHON ?= python3
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/xaibench
# Dependencies are several GB with torch: they live once per set of requirements and Python version, outside the clone.
KEY := $(shell { $(PYTHON) -VV; cat pyproject.toml; } | sha256sum | cut -c1-16)
DEPS := $(CACHE)/env-$(KEY)
BIN := .venv/bin

# Without it a library's optional `import datasets`, run from here, would find our folder.
export PYTHONSAFEPATH = 1

.PHONY: demo test test-all lint types format env clean

demo: env
	$(BIN)/xaibench run quick --out runs/demo
	$(BIN)/xaibench leaderboard runs/demo --format md
	$(BIN)/xaibench gallery runs/demo --out runs/demo/gallery.png

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

test-all: lint types
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -m "not gpu"

lint: env
	$(DEPS)/bin/ruff check .
	$(DEPS)/bin/ruff format --check .

types: env
	$(BIN)/python -m mypy

format: env
	$(DEPS)/bin/ruff check --fix .
	$(DEPS)/bin/ruff format .

env: .venv/complete-$(KEY)

# The clone's own environment is light: this clone, editable, on top of the shared dependencies.
.venv/complete-$(KEY): $(DEPS)/complete
	rm -rf .venv
	$(DEPS)/bin/python -m venv --without-pip .venv
	$(BIN)/python -c "import sysconfig, pathlib; pathlib.Path(sysconfig.get_path('purelib'), 'dependencies.pth').write_text(\
	'import site; site.addsitedir(\"' + '$(DEPS)/lib/python' + sysconfig.get_python_version() + '/site-packages' + '\")\n')"
	$(DEPS)/bin/python -m pip --python $(BIN)/python install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# pip reads the requirements from pyproject.toml only by installing the project, which must not stay in the shared part.
$(DEPS)/complete:
	rm -rf $(DEPS)
	$(PYTHON) -m venv $(DEPS)
	$(DEPS)/bin/python -m pip install --quiet --editable ".[dev]"
	$(DEPS)/bin/python -m pip uninstall --quiet --yes xaibench
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
