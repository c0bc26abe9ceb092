# First-stage F of Card's (1995) schooling data by R AER, classical and robust to heteroscedasticity:
#
#   python -c "from linearmodels.datasets import card
#   card.load().dropna(subset=['lwage', 'educ', 'exper']).to_csv('card.csv', index=False)"
#   Rscript tests/reference/card_aer.R card.csv > tests/reference/card_aer.csv
#
# Endogenous: education; then education and experience, with age as a further instrument.
suppressMessages({library(AER); library(sandwich)})
card <- read.csv(commandArgs(trailingOnly = TRUE)[1])
hc1 <- function(x) vcovHC(x, type = "HC1")
one <- ivreg(lwage ~ educ + exper + expersq + black + south + smsa |
               nearc2 + nearc4 + exper + expersq + black + south + smsa, data = card)
two <- ivreg(lwage ~ educ + exper + black + south + smsa |
               nearc2 + nearc4 + age + black + south + smsa, data = card)
cat("# R", as.character(getRversion()), "AER", as.character(packageVersion("AER")), "\n")
cat("fit,covariance,regressor,statistic,df1,df2\n")
put <- function(fit, name, covariance, ...) {
  found <- summary(fit, diagnostics = TRUE, ...)$diagnostics
  found <- found[grepl("Weak", rownames(found)), , drop = FALSE]
  for (i in seq_len(nrow(found)))
    cat(name, covariance, if (nrow(found) == 1) "educ" else sub(".*\\((.*)\\)", "\\1", rownames(found)[i]),
        sprintf("%.16g", found[i, "statistic"]), found[i, "df1"], found[i, "df2"], sep = ",", fill = TRUE)
}
put(one, "one", "classical")
put(one, "one", "HC1", vcov. = hc1)
put(two, "two", "classical")
put(two, "two", "HC1", vcov. = hc1)
