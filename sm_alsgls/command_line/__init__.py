"""The command line: formulas and a data file in; a summary and files out."""
