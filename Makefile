.PHONY: check test slow docs bench

check:  ## format, lint and types
	ruff format --check
	ruff check
	pyright

test:  ## the default suite, on all cores (pytest -n 0: in one process)
	pytest

slow:  ## learning and other checks of minutes
	pytest -m slow

docs:  ## house rules, and the examples of the documentation, which are files that tests run
	pytest tests/house

bench:  ## speed of stepping beside installed peers
	python benchmarks/stepping.py
