# The project's commands. Everything is installed into .venv; nothing outside the checkout is touched.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
PORT ?= 3000
INSTALLED := .venv/.installed

# The questions that have a job of their own: docs/ablations.md.
STUDIES := ablations seed_study ablation_entities ablation_batch_size ablation_losses ablation_prior ablation_budget \
	ablation_ambiguity ablation_group_batches ablation_plus same_style_seeds same_style_ablation cross_modal
BENCHMARKS := ingest retrieval training loader features same_style search command_line

.PHONY: help install full_eval same_style ingest refresh tune $(STUDIES) real_study catalogue_study tables test check fuzz cache_test \
	crash_test $(BENCHMARKS:%=benchmark_%) status slots ui search clean

##@ The first hour

help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {print "\n" substr($$0, 5)} /^[a-z_]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## install everything into .venv

$(INSTALLED): pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

full_eval: $(INSTALLED) ## raw files in, models trained and compared, report out
	source .envrc && dagster job execute -j full_eval

same_style: $(INSTALLED) ## clicks in, pairs of one style mined, models trained and compared, report out
	source .envrc && dagster job execute -j same_style_eval

ingest: $(INSTALLED) ## raw files in, shards and the data profile out: before any training
	source .envrc && dagster job execute -j ingest

tune: $(INSTALLED) ## rates of rows 3 and 5 drawn and judged on the validation split: EICLIP_TUNE__TRAININGS=8
	source .envrc && dagster job execute -j tune

status: $(INSTALLED) ## each output: made, reused, or stale, and why
	source .envrc && eiclip status

refresh: $(INSTALLED) ## new, changed and removed products into the search, by the models trained last: no training
	source .envrc && dagster job execute -j refresh

ui: $(INSTALLED) ## serve the Dagster UI on 127.0.0.1 (PORT=3000)
	source .envrc && exec python -m pipelines.ui --port $(PORT)

search: $(INSTALLED) ## serve the search page on 127.0.0.1 (PORT=8000)
	source .envrc && python -m eiclip.web --port $(if $(filter file,$(origin PORT)),8000,$(PORT))

clean: ## remove what was made (data/), keep .venv
	rm -rf data

##@ Studies (docs/ablations.md): a question each, with a table, a plot and a sentence in the report

ablations: ## all of them up to ablation_plus, in one run
seed_study: ## rows 2 to 6 with three training seeds: mean and spread
ablation_entities: ## each entity group alone, as text and as entity
ablation_batch_size: ## rows 3 and 5 at batch 16 to 128
ablation_losses: ## row 5 without each term of its loss
ablation_prior: ## row 5 without the mixture of entities of several groups
ablation_budget: ## rows 3, 4 and 5 against training steps
ablation_ambiguity: ## made-up brand names against the real, ambiguous ones
ablation_group_batches: ## rows 3, 4 and 5 with every second epoch in batches of one subcategory
ablation_plus: ## row 6 with noise and group batches, and row 3 with its image levels
same_style_seeds: ## same-style rows with three training seeds
same_style_ablation: ## the same-style loss without each of its parts
cross_modal: ## FashionBERT, Kaleido-BERT and a re-ranker of row 5, in tables of their own: docs/cross_modal.md
$(STUDIES): $(INSTALLED)
	source .envrc && dagster job execute -j $@

real_study: $(INSTALLED) ## rows 1 to 6, three seeds, ablations and judged queries on real products: resumable
	source .envrc && python -m benchmarks.real_study

catalogue_study: $(INSTALLED) ## full_eval over three catalogues drawn anew, and the goals as JSON lines
	source .envrc && python -m benchmarks.catalogue_study

tables: $(INSTALLED) ## rewrite the tables of docs/tables.md from the home's catalogue
	source .envrc && python -m benchmarks.tables

##@ Tests and proofs

test: $(INSTALLED) check ## formatting, lint, types and every test
	source .envrc && dagster definitions validate -w workspace.yaml
	.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED) ## formatting, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

fuzz: $(INSTALLED) ## broken and hostile raw files, one by one; properties on examples never tried
	.venv/bin/python -m benchmarks.fuzz
	.venv/bin/python -m pytest -m hypothesis --hypothesis-profile=default

cache_test: $(INSTALLED) ## functions changed one by one: no output whose bytes would change is reused
	.venv/bin/python -m benchmarks.cache

crash_test: $(INSTALLED) ## trainings and runs killed at 20 points and run again: the same bytes at the end
	.venv/bin/python -m benchmarks.crash

##@ Benchmarks (docs/benchmarks.md), beside a peer or a bare limit

benchmark_ingest: ## speed and memory of ingestion
benchmark_retrieval: ## exact ranks beside bare products, a full sort and faiss
benchmark_training: ## training steps beside open_clip_train
benchmark_loader: ## the loader beside simplejpeg alone
benchmark_features: ## features of frozen towers beside timm's inference loop
benchmark_command_line: ## `eiclip search` beside a bare import of torch
benchmark_same_style: ## mining beside polars
benchmark_search: ## hybrid search beside words and vectors on judged queries, and its speed
$(BENCHMARKS:%=benchmark_%): $(INSTALLED)
	source .envrc && python -m benchmarks.$(@:benchmark_%=%)

##@ Operations (docs/operations.md)

slots: $(INSTALLED) ## pool slots and runs that have died; `python -m pipelines.slots --free` frees them
	source .envrc && python -m pipelines.slots
