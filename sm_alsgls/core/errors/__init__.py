"""Laws of the errors: what the loop asks of a covariance model."""
