"""Bridges to packages that take models or results by class; each is imported by its own name."""
