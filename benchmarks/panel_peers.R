# Processor seconds of plm's panels: panel_speed.py runs this.
#
#     Rscript panel_peers.R FILE.csv random|pggls
#
# FILE has columns i, t, y and x. random: Swamy and Arora's random effects; pggls: feasible GLS with
# an unrestricted covariance, of units where these are fewer than periods, else of periods.
# Prints the version and the seconds, the best of three.
suppressMessages(library(plm))
args <- commandArgs(trailingOnly = TRUE)
d <- pdata.frame(read.csv(args[1]), index = c("i", "t"))
few <- length(unique(d$i)) < length(unique(d$t))
fit <- if (args[2] == "random") {
  function() summary(plm(y ~ x, d, model = "random"))
} else {
  function() summary(pggls(y ~ x, d, model = "pooling", effect = if (few) "time" else "individual"))
}
taken <- replicate(3, sum(system.time(fit())[1:2]))
cat(as.character(packageVersion("plm")), min(taken), "\n")
