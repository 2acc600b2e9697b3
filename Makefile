.PHONY: demo test

demo: ## generate a repository, train three folds on the demo data, score the submission; TASK=align for another task
	ci/demo

test: ## the generator's tests, then a generated repository's own
	ci/test
