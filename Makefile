.PHONY: demo test test-release test-all example

demo: ## generate a repository, train three folds on the demo data, score the submission; TASK=… another task than the first
	ci/demo

test: ## the generator's tests, then each task and recipe with a generated repository's own tests
	ci/test

test-release: ## the same, the tests that only a release must pass, and docs/guide.md typed for each task
	ci/test release

test-all: ## these, and every variant (ci/variants.py all)
	ci/test all

example: ## what a release needs: each task's repository generated, trained, and updated from the last release
	ci/example
