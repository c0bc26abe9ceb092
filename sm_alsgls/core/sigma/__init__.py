"""The Sigma-step: factor analysis of residuals, whole or seen in part."""
