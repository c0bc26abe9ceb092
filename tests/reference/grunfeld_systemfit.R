# Iterated SUR (maximum likelihood) of three Grunfeld firms by R systemfit, with the data of
# statsmodels.datasets.grunfeld (Grunfeld 1958, 11 firms, 1935-1954):
#
#   python -c "from sm_alsgls.datasets import load_grunfeld; load_grunfeld().to_csv('grunfeld.csv', index=False)"
#   Rscript tests/reference/grunfeld_systemfit.R grunfeld.csv > tests/reference/grunfeld_systemfit.csv
#
# With three equations one factor is a saturated Sigma, so the limits coincide; these three firms
# have no Heywood case.
library(systemfit)
args <- commandArgs(trailingOnly = TRUE)
data <- read.csv(args[1])
firms <- c("General Motors", "Chrysler", "US Steel")
formulas <- list()
wide <- data.frame(year = 1935:1954)
for (i in seq_along(firms)) {
  part <- data[data$firm == firms[i], ]
  part <- part[order(part$year), ]
  wide[[paste0("i", i)]] <- part$invest
  wide[[paste0("v", i)]] <- part$value
  wide[[paste0("k", i)]] <- part$capital
  formulas[[paste0("e", i)]] <- as.formula(paste0("i", i, " ~ v", i, " + k", i))
}
fit <- systemfit(formulas, "SUR", data = wide, methodResidCov = "noDfCor",
                 maxiter = 2000, tol = 1e-14)
cat("# R", as.character(getRversion()), "systemfit", as.character(packageVersion("systemfit")),
    "iterations", fit$iter, "\n")
cat("# logLik", format(as.numeric(logLik(fit)), digits = 15), "\n")
s <- fit$residCov
cat("# sigma", paste(format(s[upper.tri(s, diag = TRUE)], digits = 15), collapse = " "), "\n")
cat("firm,variable,coef,std_err\n")
b <- summary(fit)$coefficients
for (i in seq_along(firms)) for (j in 1:3) {
  row <- 3 * (i - 1) + j
  cat(firms[i], c("Intercept", "value", "capital")[j],
      format(b[row, 1], digits = 15), format(b[row, 2], digits = 15), sep = ",")
  cat("\n")
}
