# Luthier: two commands matter, `make demo` and `make test`; each works from a fresh clone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: demo run test test-fast lint types setup setup-web assets bench bench-data bench-datasets bench-pages bench-projections bench-metrics bench-first-rows bench-lineage bench-matrix fuzz-uploads chaos prove-stops prove-dead-worker prove-resume prove-checkpoints prove-drift prove-effect prove-upgrade prove-derived states migrations clean

$(VENV)/.web: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/install.py web
	$(BIN)/python tools/native.py
	touch $@

$(VENV)/.engine: $(VENV)/.web
	$(BIN)/python tools/install.py engine
	touch $@

$(VENV)/.test: $(VENV)/.engine
	$(BIN)/python tools/install.py test
	touch $@

static/vendor/.done: package-lock.json static/icons.txt tools/assets.py $(VENV)/.web
	$(BIN)/python tools/assets.py
	touch $@

assets: static/vendor/.done
setup: $(VENV)/.engine assets

run: setup
	$(BIN)/python -m config.first_run
	$(BIN)/python -m config.processes

demo: setup
	$(BIN)/python -m demo

test: $(VENV)/.test assets
	$(BIN)/python tools/test.py

test-fast: $(VENV)/.test assets
	$(BIN)/python tools/test.py fast

lint: $(VENV)/.test
	$(BIN)/python tools/test.py lint

bench: $(VENV)/.test assets
	$(BIN)/python -m benchmarks

bench-data: $(VENV)/.web
	$(BIN)/python -m benchmarks.data.generator --rows $(or $(ROWS),100000) --malformed $(or $(MALFORMED),1)

bench-datasets: $(VENV)/.test
	$(BIN)/python -m benchmarks.peers

bench-pages: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.pages

bench-first-rows: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.first_rows

bench-metrics: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.metrics

bench-matrix: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.matrix

bench-lineage: $(VENV)/.test assets
	NODES=$(or $(NODES),10000) $(BIN)/python -m benchmarks.lineage

bench-projections: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.projections

fuzz-uploads: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.fuzz_uploads --files $(or $(FILES),10000)

prove-resume: $(VENV)/.test
	$(BIN)/python -m benchmarks.prove_resume

prove-checkpoints: $(VENV)/.test
	$(BIN)/python -m benchmarks.prove_checkpoints

prove-drift: $(VENV)/.test
	$(BIN)/python -m benchmarks.prove_drift

prove-effect: $(VENV)/.test
	$(BIN)/python -m benchmarks.prove_effect

prove-upgrade: $(VENV)/.test assets
	$(BIN)/python -m benchmarks.prove_upgrade

prove-derived: $(VENV)/.test
	$(BIN)/python -m benchmarks.prove_derived

chaos: $(VENV)/.test assets
	FAULTS=$(or $(FAULTS),1000) SEED=$(or $(SEED),1) $(BIN)/python -m benchmarks.chaos

prove-stops: $(VENV)/.test assets
	RUNS=$(or $(RUNS),50) $(BIN)/python -m benchmarks.prove_stops

prove-dead-worker: $(VENV)/.test assets
	RUNS=$(or $(RUNS),5) $(BIN)/python -m benchmarks.prove_dead_worker

states: $(VENV)/.web
	$(BIN)/python manage.py states

migrations: $(VENV)/.web
	$(BIN)/python manage.py makemigrations

clean:
	rm -rf var staticfiles static/vendor node_modules
