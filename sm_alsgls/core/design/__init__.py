"""The regressors: bases, fitted values, projections, restrictions."""
