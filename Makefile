PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

BACKENDS := .venv-backends
BACKENDS_STAMP := $(BACKENDS)/.installed

PEERS := .venv-benchmarks
PEERS_STAMP := $(PEERS)/.installed

DOCS := .venv-docs
DOCS_STAMP := $(DOCS)/.installed
DOCS_VERSION ?= latest

SERVING := .venv-serving
SERVING_STAMP := $(SERVING)/.installed
SERVED := saved_models/csc_ctrl_digits
ANSWERS := runs/served
PORT ?= 8501

PAGE := serving/browser
PAGE_STAMP := $(PAGE)/node_modules/.installed
MODEL ?= csc_ctrl_cifar10

.PHONY: demo serving browser test test-thorough test-devices hostile test-backends \
  test-browser benchmarks docs lint format clean

demo: $(STAMP)
	mkdir -p runs
	$(BIN)/python training/report.py --preset=csc_ctrl_digits --output=runs/shipped.html
	@echo "This is a model that ships. Now one is trained:"
	$(BIN)/python training/train.py --flagfile=digits.flags --metrics=samples,codes
	$(BIN)/python training/report.py --workdir=runs/digits
	@echo "Next: open runs/digits/report.html in a browser"
	@echo "Next: $(BIN)/python training/export.py --workdir=runs/digits"
	@echo "Next: $(BIN)/python training/restore.py --task=denoise --image=serving/browser/example.jpg --output=runs/denoised.png"
	@echo "Next: read docs/how_to.md"

# A server of a model is started, asked for a picture and its features, stopped.
serving: export TF_CPP_MIN_LOG_LEVEL := 2
serving: $(SERVING_STAMP)
	mkdir -p $(ANSWERS)
	@$(SERVING)/bin/python serving/server.py $(SERVED) --port=$(PORT) \
	  > $(ANSWERS)/server.log 2>&1 & \
	trap "kill $$!" EXIT; \
	ask="$(SERVING)/bin/python serving/client.py"; \
	to="--port=$(PORT) --model=$(notdir $(SERVED)) --retries=9 --overwrite"; \
	$$ask sample --label=3 --output=$(ANSWERS) $$to && \
	$$ask encode $(ANSWERS)/0.png $$to || { tail $(ANSWERS)/server.log; exit 1; }

# Pages that run a model and the denoiser in the browser, in serving/browser/site.
browser: $(STAMP) $(PAGE_STAMP)
	$(BIN)/python -m pip install --quiet --group onnx
	rm -rf runs/browser
	for model in $(MODEL) sparse_denoiser; do \
	  $(BIN)/python training/export.py --preset=$$model --output=runs/browser || exit; \
	done
	npm run build --silent --prefix $(PAGE)
	for signature in $(MODEL)/1/encode $(MODEL)/1/decode sparse_denoiser/1/denoise_tile; do \
	  $(BIN)/python -m tf2onnx.convert --saved-model runs/browser/saved_models/$$(dirname $$signature) \
	    --signature_def $$(basename $$signature) \
	    --output $(PAGE)/site/model/$$(basename $$signature).onnx || exit; \
	done

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile \
	  --no-loadscope-reorder $(PYTEST_FLAGS)

# The same, and one more of each kind that is slow by its nature.
test-thorough: PYTEST_FLAGS := --thorough
test-thorough: test

# What this machine's devices compute, GPUs or two logical CPUs.
test-devices: $(STAMP)
	$(BIN)/python -m pytest tests/devices.py

# What a hostile user does, and how it ends: the whole list.
hostile: $(STAMP)
	$(BIN)/python -m pytest --numprocesses=2 --thorough tests/cli/test_hostile.py

# The layers on JAX and torch against the same on TensorFlow.
test-backends: export PYTHONPATH := .:tests/backends
test-backends: $(STAMP) $(BACKENDS_STAMP)
	KERAS_BACKEND=tensorflow $(BIN)/python tests/backends/cases.py $(BACKENDS)/tensorflow.npz
	pids=; for backend in jax torch; do \
	  KERAS_BACKEND=$$backend TENSORFLOW_RESULTS=$(BACKENDS)/tensorflow.npz \
	    $(BACKENDS)/bin/python -m pytest --noconftest tests/backends & \
	  pids="$$pids $$!"; \
	done; \
	failed=0; for pid in $$pids; do wait $$pid || failed=1; done; exit $$failed

# Pages in Debian's Chromium.
test-browser: $(STAMP) $(PAGE_STAMP)
	$(BIN)/python -m pip install --quiet --group browser --group onnx
	REQUIRE_BROWSER=1 \
	  $(BIN)/python -m pytest tests/report/test_page.py tests/explorer/test_page.py \
	  tests/serving/test_browser.py

# Times on this machine, beside the times of the libraries it is compared with.
benchmarks: $(PEERS_STAMP)
	$(PEERS)/bin/python benchmarks/agreement.py
	$(PEERS)/bin/python benchmarks/steps.py --peer=torch

# The documentation, with its notebooks, in docs/_build/latest; a release's beside
# it, for the list of versions. A warning fails.
docs: export DOCS_VERSION := $(DOCS_VERSION)
docs: $(DOCS_STAMP)
	PATH="$(CURDIR)/$(DOCS)/bin:$$PATH" $(DOCS)/bin/python -m sphinx -W \
	  --keep-going -q docs docs/_build/$(DOCS_VERSION)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A virtual environment $(1), with what pip installs by $(2).
install = $(PYTHON) -m venv $(1) && \
  $(1)/bin/python -m pip install --quiet --upgrade pip && \
  $(1)/bin/python -m pip install --quiet --no-compile $(2) && \
  touch $@

$(STAMP): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(call install,$(VENV),-r requirements.txt)

$(BACKENDS_STAMP): pyproject.toml
	$(call install,$(BACKENDS),--group backends)

$(SERVING_STAMP): pyproject.toml
	$(call install,$(SERVING),--group serving)

$(PEERS_STAMP): requirements.txt pyproject.toml
	$(call install,$(PEERS),-r requirements.txt --group benchmarks)

$(DOCS_STAMP): requirements.txt pyproject.toml
	$(call install,$(DOCS),-r requirements.txt --group docs)

$(PAGE_STAMP): $(PAGE)/package-lock.json
	npm ci --silent --ignore-scripts --prefix $(PAGE)
	touch $@

clean:
	rm -rf $(VENV) $(BACKENDS) $(PEERS) $(SERVING) $(DOCS) docs/_build
	rm -rf $(PAGE)/node_modules $(PAGE)/site docs/api/generated .pytest_cache .ruff_cache .hypothesis
