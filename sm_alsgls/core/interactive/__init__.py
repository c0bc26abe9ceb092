"""Interactive effects: factors and loadings as parameters, which may move with the regressors."""
