"""Models in the habits of statsmodels."""
