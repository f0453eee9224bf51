# The project's commands. Everything is installed into .venv; nothing outside the checkout is touched.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
PORT ?= 3000
INSTALLED := .venv/.installed

.PHONY: help install full_eval ingest seed_study test fuzz check ui clean

help: ## list the commands
	@grep -E '^[a-z_]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: $(INSTALLED) ## install everything into .venv

$(INSTALLED): pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

full_eval: $(INSTALLED) ## raw files in, five models trained and compared, report out
	source .envrc && dagster job execute -j full_eval

ingest: $(INSTALLED) ## raw files in, shards and the data profile out: before any training
	source .envrc && dagster job execute -j ingest

seed_study: $(INSTALLED) ## the same over three seeds, with mean and spread
	source .envrc && python -m benchmarks.seed_study

ui: $(INSTALLED) ## serve the Dagster UI on 127.0.0.1 (PORT=3000)
	source .envrc && dagster dev --host 127.0.0.1 --port $(PORT)

check: $(INSTALLED) ## formatting, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

test: $(INSTALLED) check ## lint, types and every test
	source .envrc && dagster definitions validate -w workspace.yaml
	.venv/bin/python -m pytest

fuzz: $(INSTALLED) ## 500 broken and hostile raw files, one by one
	.venv/bin/python -m benchmarks.fuzz

clean: ## remove what was made (data/), keep .venv
	rm -rf data
