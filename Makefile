# The two commands; each also works without make, as bin/demo and bin/test.
.PHONY: demo test setup lock audit format clean

demo: ## The portal with sample customers, on this machine
	@exec bin/demo

test: ## Every check and every test
	@exec bin/test

setup: ## What tests and checks need
	@exec bin/setup --dev

lock: ## Write the locks anew from the .in files
	@exec bin/lock

audit: ## Look every locked package up in the advisory database
	@exec bin/audit

format: setup ## Lay out the code
	@.venv/bin/ruff check --fix --quiet . ; exec .venv/bin/ruff format .

clean: ## Throw the environment and all data away, also the embedded database's
	@exec bin/clean
