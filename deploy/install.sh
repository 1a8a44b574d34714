#!/usr/bin/env bash
# What the Dockerfile runs, one step a layer. The same steps set up a bare machine, and CI runs
# them in a clean environment (benchmarks/serving.py).
#
#   deploy/install.sh system         Debian packages; needs root
#   deploy/install.sh dependencies   the exact versions of constraints.txt, into $VENV
#   deploy/install.sh application    medcards itself, into $VENV
#   deploy/install.sh data           indexes and weights, into $MEDCARDS_HOME
#
# EXTRAS   of pyproject.toml, e.g. "models,hub"; empty for the smallest install
# BAKE     starter | full: which indexes and weights `data` makes
# BASE, ADAPTER   hub ids that `BAKE=full` fetches
set -euo pipefail
cd "$(dirname "$0")/.."
: "${VENV:=.venv}" "${PYTHON:=python3}" "${EXTRAS:=}" "${BAKE:=starter}"
: "${BASE:=TinyLlama/TinyLlama-1.1B-Chat-v1.0}" "${ADAPTER:=}"
export PIP_DISABLE_PIP_VERSION_CHECK=1

case "${1:-}" in
system)
    # The OpenMP runtime, for wheels that do not carry it; everything else is in the wheels.
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends libgomp1 >/dev/null
    rm -rf /var/lib/apt/lists/*
    ;;
dependencies)
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    # Only what pyproject.toml names: this layer stays as it is until that file changes.
    wanted=$(mktemp)
    trap 'rm -f "$wanted"' EXIT
    EXTRAS="$EXTRAS" "$VENV/bin/python" >"$wanted" <<'PYTHON'
import os
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
names = [name.strip() for name in os.environ["EXTRAS"].split(",") if name.strip()]
groups = [project["dependencies"], *(project["optional-dependencies"][name] for name in names)]
print("\n".join(requirement for group in groups for requirement in group))
PYTHON
    # torch for a CPU is a tenth of what the package index gives, and has its own index.
    cpu=()
    grep -q '^torch' "$wanted" && [ "${TORCH:-cpu}" = cpu ] &&
        cpu=(--extra-index-url https://download.pytorch.org/whl/cpu)
    "$VENV/bin/python" -m pip install --quiet ${cpu[@]+"${cpu[@]}"} -c constraints.txt -r "$wanted"
    ;;
application)
    "$VENV/bin/python" -m pip install --quiet --no-deps -c constraints.txt -e .
    # The image's user cannot write beside the sources, and would compile them at every start.
    "$VENV/bin/python" -m compileall -q app.py assistant index ui
    ;;
data)
    "$VENV/bin/python" -m index build --deck starter
    if [ "$BAKE" = full ]; then
        # The first answer of the full profile fetches, converts and indexes all that it needs.
        export MEDCARDS_PROFILE=full MEDCARDS_BASE="$BASE"
        [ -z "$ADAPTER" ] || export MEDCARDS_ADAPTER="$ADAPTER"
        "$VENV/bin/python" -m assistant ask "What is asthma?" >/dev/null
    fi
    ;;
*)
    echo "usage: deploy/install.sh system | dependencies | application | data" >&2
    exit 2
    ;;
esac
