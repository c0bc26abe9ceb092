"""The beta-step and its standard errors."""
