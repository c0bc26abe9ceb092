"""Equations that are too many for memory: how they are read, and what they are called."""
