.PHONY: demo test test-all

demo: ## generate a repository, train three folds on the demo data, score the submission; TASK=… another task than the first
	ci/demo

test: ## the generator's tests, then each task and recipe with a generated repository's own tests
	ci/test

test-all: ## the same with every variant: ci/variants.py all
	ci/test all
