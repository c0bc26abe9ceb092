"""Formulas and long panels become arrays and labels."""
