"""Tests of residuals."""
