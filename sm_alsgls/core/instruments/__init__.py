"""Systems with endogenous regressors: two faces of a design, 3SLS and GMM, weak instruments."""
