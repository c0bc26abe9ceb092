"""How many factors: the legal numbers, criteria on a model, folds, the selection as a result."""
