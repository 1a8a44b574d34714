# medcards: `make run` opens the chat, `make test` passes the tests. Everything else is a part.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 7860

.PHONY: run test check setup clean constraints

run: $(VENV)/.serving
	PORT=$(PORT) $(BIN)/python app.py

test: $(VENV)/.everything
	$(BIN)/python -m pytest

check: $(VENV)/.everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(VENV)/.everything

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medcards needs Python 3.11 or newer: set PYTHON=... for make")'
	$(PYTHON) -m venv $(VENV)

# medcards-minilm ships as ONNX and needs no extra; `models` is there for the generators.
$(VENV)/.serving: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[models]'
	touch $@

$(VENV)/.everything: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[models,remote,hub,eval,train,postgres,scale,dev]'
	touch $(VENV)/.serving $@

clean:
	rm -rf $(VENV) .medcards build *.egg-info

# After changing a dependency: the versions that are installed and pass the tests.
constraints: $(VENV)/.everything
	@{ echo "# Exact versions that pass the tests together; regenerate with 'make constraints'."; \
	   $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v ' @ '; } > constraints.txt
