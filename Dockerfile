# syntax=docker/dockerfile:1
# The chat on port 7860: a Hugging Face Space (sdk: docker), or any machine. docs/deploy.md explains.
#
#   docker build -t medcards .
#   docker run -p 7860:7860 -v medcards:/data medcards
FROM python:3.11-slim-bookworm

# "models,hub" adds torch for a CPU and what reads a hub.
ARG EXTRAS=""
# "full" bakes the 33,955-card deck and the weights of BASE and ADAPTER; else they are fetched on
# the first start, where a hub answers.
ARG BAKE="starter"
ARG BASE="TinyLlama/TinyLlama-1.1B-Chat-v1.0"
ARG ADAPTER=""

ENV VENV=/opt/medcards \
    PATH=/opt/medcards/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    MEDCARDS_HOME=/data \
    HF_HOME=/data/hub \
    HOST=0.0.0.0 \
    PORT=7860

WORKDIR /srv/medcards

# Layers by how seldom they change: system, dependencies, medcards, data.
COPY deploy/install.sh deploy/install.sh
RUN deploy/install.sh system
COPY pyproject.toml constraints.txt ./
RUN deploy/install.sh dependencies
COPY README.md LICENSE app.py ./
COPY index index
COPY assistant assistant
COPY ui ui
COPY docs docs
RUN deploy/install.sh application

# Spaces run as user 1000; so does everyone else.
RUN useradd --create-home --uid 1000 medcards && install -d -o medcards -g medcards /data
USER medcards
RUN deploy/install.sh data
VOLUME /data

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/healthz\", timeout=4)"]
# One process, which ends answers under way in order when it is told to stop.
STOPSIGNAL SIGTERM
CMD ["python", "app.py"]
