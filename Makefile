.PHONY: check test slow docs bench

check:  ## format, lint, types
	ruff format --check
	ruff check
	pyright

test:  ## the default suite
	pytest

slow:  ## learning checks of minutes
	pytest -m slow

docs:  ## documentation: its examples are files that tests run
	pytest tests/house

bench:  ## speed, beside installed peers
	python benchmarks/stepping.py
