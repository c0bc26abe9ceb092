# Values of the page on rr(): glmmTMB's fit of 30 taxa of 100 subjects, two factors and a residual
# variance a taxon. Rscript mixed_rr.R taxa.csv, where
# python -c "from random_slopes import taxa; taxa(100, 30, 2).frame.to_csv('taxa.csv', index=False)"
# in benchmarks/ makes taxa.csv. sigma is the covariance of a subject's taxa, by rows.
suppressPackageStartupMessages(library(glmmTMB))
data <- read.csv(commandArgs(trailingOnly = TRUE)[1])
data$taxon <- factor(data$taxon)
data$subject <- factor(data$subject)
time <- system.time(m <- suppressWarnings(glmmTMB(
  y ~ 0 + taxon + taxon:x + rr(0 + taxon | subject, d = 2), data, dispformula = ~ 0 + taxon)))
b <- fixef(m)$cond
psi <- exp(fixef(m)$disp)  # variances, in 1.1.5
G <- VarCorr(m)$cond$subject
sigma <- matrix(G, nrow(G)) + diag(psi)
cat(sum(time[1:2]), logLik(m), m$fit$convergence, m$fit$message, "\n")
values <- list(llf = logLik(m)[1], names = names(b), b = unname(b), se = unname(sqrt(diag(vcov(m)$cond))),
               convergence = m$fit$convergence, version = as.character(packageVersion("glmmTMB")), sigma = sigma)
writeLines(jsonlite::toJSON(values, auto_unbox = TRUE, digits = I(10)), "mixed_rr.json")
print(m)
