.PHONY: demo test test-all

demo: ## generate a repository, train three folds on the demo data, score the submission; TASK=… another task than the first
	ci/demo

test: ## the generator's tests, then each task and recipe with a generated repository's own tests
	ci/test

test-all: ## every variant (ci/variants.py all), and the tests that only a release must pass
	ci/test all
