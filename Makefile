# Everything starts here; GNU make 3.81 or newer. PYTHON= and TORCH_INDEX= are explained in scripts/maintenance/create_venv.sh.

python := .venv/bin/python
# Folders below results/ that hold runs.
experiments = $(sort $(patsubst %/,%,$(dir $(patsubst %/,%,$(dir $(wildcard results/*/*/run.json))))))

.PHONY: help demo test slow fuzz check format docs bench results lock clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile

demo: .venv/installed ## train four small networks and compare them: two minutes, no data needed
	$(python) train.py experiment=demo

test: .venv/installed-dev ## run the tests, but for those marked slow
	$(python) -m pytest -n auto --maxprocesses 4 --dist worksteal

slow: .venv/installed-dev ## run the tests marked slow: kills, clusters, simulations, whole walk-throughs
	$(python) -m pytest -n auto --maxprocesses 4 --dist worksteal -m slow

fuzz: .venv/installed-fuzz ## give hostile files to all readers, 60 s each; SECONDS=1800 READER=onnx changes this
	$(python) -m tests.fuzz.campaign $(READER) $(if $(SECONDS),--seconds $(SECONDS))

check: .venv/installed-dev ## check formatting, style, types and the layers of the package
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	$(python) -m mypy
	.venv/bin/lint-imports

format: .venv/installed-dev ## format the code, and mend what ruff can mend
	$(python) -m ruff format .
	$(python) -m ruff check --fix .

docs: .venv/installed-docs ## build docs/ into a site that works without a network: site/index.html
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --strict --quiet

bench: .venv-peers/installed ## time training and prediction beside Keras and plain PyTorch; IMDB=folder reads it there
	.venv-peers/bin/python -m scripts.benchmarks.peers $(if $(IMDB),--path "$(IMDB)")

results: .venv/installed ## make reports, README's tables, docs/results.md and the model card from results/
	for runs in $(experiments); do .venv/bin/lstm-sentiment report $$runs || exit 1; done
	$(python) -m scripts.publish.pages

lock: .venv/installed ## renew constraints.txt with the newest versions that fit together
	$(python) -m scripts.maintenance.lock

clean: ## remove .venv, .venv-peers, the site, caches and build leftovers; runs stay
	rm -rf .venv .venv-peers site build dist *.egg-info
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps lie in .venv and vanish with it. They are touched last: what was interrupted is not there.
# One at a time: each rule installs into the same folder.
.NOTPARALLEL:
.venv/installed: pyproject.toml constraints.txt
	scripts/maintenance/create_venv.sh
	@touch $@

.venv/installed-dev .venv/installed-docs: pyproject.toml constraints.txt
	scripts/maintenance/create_venv.sh $(patsubst .venv/installed-%,%,$@)
	@touch .venv/installed $@

.venv/installed-fuzz: .venv/installed-dev
	scripts/maintenance/create_venv.sh fuzz
	@touch $@

# An environment of its own: TensorBoard would take TensorFlow wherever it finds it. TensorFlow has
# no wheels for a newer Python.
.venv-peers/installed: pyproject.toml constraints.txt
	VENV=.venv-peers NEWEST=3.13 scripts/maintenance/create_venv.sh peers
	@touch $@
