"""The checks of `LowRankSURResults.diagnostics`, by what they look at."""
