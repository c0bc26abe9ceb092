"""Kinds of files of data, by how their names end."""

#: Where a file of text ends in one of these, its separator is looked for.
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
EXCEL = (".xlsx", ".xlsm")
KINDS = (*TEXT, *EXCEL, ".parquet", ".feather", ".dta")
