# make demo    set everything up, then simulate, train and bound on the built-in grid
# make test    set everything up, then lint, check the layers, build the wheel and test
# make lint    style and import contracts only
# make models  train and certify compressed and specvit_tiny on the demo bank, in models/
# make bench   print speeds as ratios to named baselines
# make docs    the site in docs/build/html, notebooks run, every warning an error
# make release sdist, wheel, bill of materials (CycloneDX) and hashes in dist/
#
# PYTHON=python3.12       the interpreter to use
# TORCH_INDEX=URL         a package index to take torch from, e.g. a CPU-only one

USABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(USABLE)' 2>/dev/null && echo "$$python" && break; done),python3)
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKSHOP := $(VENV)/.workshop
FILES := api data_contract simulator fisher learners cli
LEARN := $(VENV)/.learn
LINKS := $(VENV)/.links-$(shell find $(FILES) -type f ! -name '*.pyc' ! -name '*.nb?' | LC_ALL=C sort | cksum | cut -d' ' -f1)
# Packages hold ten times the modules that anything here imports: those compile as they are imported first.
PIP_FLAGS := --quiet --disable-pip-version-check --no-compile -c constraints.txt
unexport PYTHONDONTWRITEBYTECODE
# What pyproject.toml asks for by name; starsmith itself, installed below, may be at work meanwhile.
ASKED := import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	asked = project["optional-dependencies"] | {"base": project["dependencies"]}; \
	print(*(one for name in sys.argv[1:] for one in asked[name]), sep="\n")
EDITABLE := --config-settings editable_mode=strict --editable

# numba's cache outlives the tree of links; it would not see that a kernel which another one calls has changed
KERNELS := $(shell grep -rl --include='*.py' njit $(FILES) | LC_ALL=C sort | xargs cat | cksum | cut -d' ' -f1)
export NUMBA_CACHE_DIR ?= $(CURDIR)/$(VENV)/numba/$(KERNELS)

.PHONY: demo grid models test lint bench docs release clean
.DELETE_ON_ERROR:

# The grid is built while torch, which it does without, is fetched.
demo: $(LINKS)
	@$(MAKE) --jobs 2 --no-print-directory grid $(LEARN)
	$(BIN)/python -m starsmith.cli.demo --out demo

grid: $(LINKS)
	@$(BIN)/python -m starsmith.cli.specsim grid build

models: $(LINKS) $(LEARN)
	$(BIN)/python -m starsmith.cli.specsim generate -n 24000 --out models/data.zarr
	$(BIN)/python -m starsmith.cli.speclearn train models/data.zarr --model compressed \
		--target logg --target teff --target m_h --out models/compressed
	$(BIN)/python -m starsmith.cli.speclearn train models/data.zarr --model specvit_tiny \
		--target logg --out models/specvit_tiny
	$(BIN)/python -m starsmith.cli.speclearn certify models/compressed models/data.zarr
	$(BIN)/python -m starsmith.cli.speclearn certify models/specvit_tiny models/data.zarr

test: lint
	$(BIN)/pytest

lint: $(LINKS) $(WORKSHOP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/mypy

bench: $(LINKS) $(LEARN)
	$(BIN)/python -m benchmarks.generate

docs: $(LINKS) $(LEARN)
	$(BIN)/python -m pip install $(PIP_FLAGS) $(EDITABLE) '.[docs]'
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/build/html
	@echo "docs/build/html/index.html"

release: $(LINKS)
	@rm -rf dist
	$(BIN)/python -m pip install $(PIP_FLAGS) $(EDITABLE) '.[release]'
	$(BIN)/python -m build --outdir dist .
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type library --output-reproducible --of JSON -o dist/sbom.json
	$(BIN)/python -m twine check --strict dist/*.whl dist/*.tar.gz
	cd dist && sha256sum *.whl *.tar.gz sbom.json > SHA256SUMS

# An environment made elsewhere (a moved folder) is stale: its scripts name the old path.
$(shell [ "$$(cat $(STAMP) 2>/dev/null)" = "$$PWD" ] || rm -f $(STAMP))

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) found; install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -c '$(USABLE)' || { echo "starsmith needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "Setting up $(VENV) with $$($(PYTHON) -V) (a minute or two) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -c '$(ASKED)' base > $(VENV)/.base
	$(BIN)/python -m pip install $(PIP_FLAGS) 'setuptools>=77' -r $(VENV)/.base
	@echo "$$PWD" > $@

$(LEARN): $(STAMP) | $(LINKS)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install $(PIP_FLAGS) --index-url $(TORCH_INDEX) torch)
	@$(BIN)/python -c '$(ASKED)' learn > $@
	$(BIN)/python -m pip install $(PIP_FLAGS) -r $@

# What the demo does without: other formats, clusters, tests.
$(WORKSHOP): $(LEARN)
	@$(BIN)/python -c '$(ASKED)' hdf5 onnx cluster view exchange hub dev > $@
	$(BIN)/python -m pip install $(PIP_FLAGS) -r $@

# Code is installed as a tree of links, which static tools can follow; a new file needs a new tree.
$(LINKS): $(STAMP)
	@rm -rf build *.egg-info $(VENV)/.links-*
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation $(EDITABLE) .
	@touch $@

clean:
	rm -rf $(VENV) build dist docs/build docs/generated *.egg-info demo
