"""Tests of Sigma, and of how many factors it has: what `sm_alsgls.diagnostics` shows."""
