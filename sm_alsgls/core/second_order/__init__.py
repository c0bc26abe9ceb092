"""Curvature and stationarity."""
