# Full-information maximum likelihood of three Grunfeld firms with missing investments, an
# unrestricted Sigma, by R lavaan:
#
#   python -c "from sm_alsgls.datasets import load_grunfeld
#   load_grunfeld().to_csv('grunfeld.csv', index=False)"
#   Rscript tests/reference/full_lavaan.R grunfeld.csv > tests/reference/full_lavaan.csv
#
# Data are in hundreds, so that lavaan's optimiser sees comparable sizes. Missing: General Motors
# 1935-1937, Chrysler 1937, 1938 and 1950, US Steel 1953.
suppressMessages(library(lavaan))
grunfeld <- read.csv(commandArgs(trailingOnly = TRUE)[1])
firms <- c(gm = "General Motors", ch = "Chrysler", us = "US Steel")
wide <- data.frame(year = 1935:1954)
for (f in names(firms)) {
  part <- grunfeld[grunfeld$firm == firms[[f]], ]
  part <- part[order(part$year), ]
  wide[[paste0("i_", f)]] <- part$invest / 100
  wide[[paste0("v_", f)]] <- part$value / 100
  wide[[paste0("k_", f)]] <- part$capital / 100
}
wide$i_gm[wide$year %in% 1935:1937] <- NA
wide$i_ch[wide$year %in% c(1937, 1938, 1950)] <- NA
wide$i_us[wide$year == 1953] <- NA
model <- "i_gm ~ v_gm + k_gm
          i_ch ~ v_ch + k_ch
          i_us ~ v_us + k_us
          i_gm ~~ i_ch + i_us
          i_ch ~~ i_us"
fit <- sem(model, wide, missing = "fiml", fixed.x = TRUE, meanstructure = TRUE,
           information = "expected",
           optim.force.converged = TRUE,
           control = list(rel.tol = 1e-15, x.tol = 1e-15, iter.max = 10000, eval.max = 20000))
cat("# R", as.character(getRversion()), "lavaan", as.character(packageVersion("lavaan")),
    "gradient", max(abs(lavInspect(fit, "optim.gradient"))), "\n")
cat("# llf", sprintf("%.16g", as.numeric(logLik(fit))), "\n")
cat("quantity,name,value\n")
est <- parameterEstimates(fit)
for (r in seq_len(nrow(est))) {
  e <- est[r, ]
  if (!grepl("^i_", e$lhs)) next
  if (e$op == "~~") cat("sigma,", e$lhs, ":", e$rhs, ",", sprintf("%.16g", e$est), "\n", sep = "")
  else {
    name <- if (e$op == "~1") paste0(e$lhs, "_Intercept") else paste(e$lhs, e$rhs, sep = "_")
    cat("coef,", name, ",", sprintf("%.16g", e$est), "\n", sep = "")
    cat("std_err,", name, ",", sprintf("%.16g", e$se), "\n", sep = "")
  }
}
