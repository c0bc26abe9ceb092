# The textbook chapter (docs/textbook) by R systemfit, Sigma = E'E/N unless said otherwise.
#
#   Rscript tests/reference/textbook_systemfit.R > tests/reference/textbook_systemfit.csv
#
# From the top of the repository. The settings are those with which the authors of systemfit replicate Greene (2003) and
# Theil (1971) in section 5 of its vignette (Henningsen and Hamann 2007), and AER's page "Greene2003" its Table 14.3.
# Grunfeld's data are systemfit's GrunfeldGreene ("greene", with the errors of the fifth edition) and AER's Grunfeld
# ("grunfeld", the dissertation's). A row is a system, a method, a quantity, a name and a value.
suppressMessages({library(systemfit); library(plm); library(AER)})
cat("# R", as.character(getRversion()), "systemfit", as.character(packageVersion("systemfit")),
    "AER", as.character(packageVersion("AER")), "\n")
cat("system,method,quantity,name,value\n")
put <- function(system, method, quantity, name, value)
  cat(system, ",", method, ",", quantity, ",", name, ",", sprintf("%.16g", value), "\n", sep = "")

data("GrunfeldGreene", package = "systemfit")
data("Grunfeld", package = "AER")
invest <- invest ~ value + capital
five <- unique(as.character(GrunfeldGreene$firm))
plain <- function(data) {data$firm <- as.character(data$firm); data[order(data$firm, data$year), ]}

# What identifies the data: sums with weights 1, 2, ..., 20 over the years.
whole <- plain(Grunfeld)
for (firm in unique(whole$firm)) for (v in c("invest", "value", "capital"))
  put("grunfeld", "data", "weighted_sum", paste(firm, v, sep = "_"), sum(1:20 * whole[whole$firm == firm, v]))
theirs <- plain(GrunfeldGreene)
right <- whole[whole$firm %in% five, ]
for (v in c("invest", "value", "capital")) for (i in which(abs(theirs[[v]] - right[[v]]) > 1e-9)) {
  cell <- paste(right$firm[i], right$year[i], v, sep = "_")
  put("greene", "data", "cell", cell, theirs[[v]][i])
  put("grunfeld", "data", "cell", cell, right[[v]][i])
}

named <- function(x) sub("\\(Intercept\\)", "Intercept", gsub("\\.", " ", x))
of <- function(system, method, fit, pooled = FALSE, llf = FALSE) {
  table <- if (pooled) coef(summary(fit$eq[[1]])) else coef(summary(fit))
  for (n in rownames(table)) {
    put(system, method, "coef", named(n), table[n, 1])
    put(system, method, "std_err", named(n), table[n, 2])
  }
  S <- fit$residCov
  for (i in rownames(S)) for (j in rownames(S)) if (i <= j)
    put(system, method, "residual_sigma", paste(named(i), named(j), sep = ":"), S[i, j])
  if (llf) put(system, method, "llf", "", as.numeric(logLik(fit)))
}

# -- Greene (2003), Tables 14.1 to 14.3 ---------------------------------------------------------------------------
firms_of <- function(data) pdata.frame(data, c("firm", "year"))
for (system in c("greene", "grunfeld")) {
  data <- firms_of(if (system == "greene") theirs else right)
  n <- 20
  ols <- systemfit(invest, "OLS", data = data)
  of(system, "ols", ols)
  for (eq in ols$eq) put(system, "ols", "ssr_over_n", named(eq$eqnLabel), summary(eq)$ssr / n)
  R <- cor(as.matrix(residuals(ols)))
  put(system, "ols", "lm", "", n * sum(R[upper.tri(R)]^2))
  pooled_ols <- systemfit(invest, "OLS", data = data, pooled = TRUE)
  of(system, "pooled_ols", pooled_ols, pooled = TRUE)
  sur <- function(...) systemfit(invest, "SUR", data = data, methodResidCov = "noDfCor", ...)
  of(system, "sur", sur())
  of(system, "pooled_sur", sur(pooled = TRUE, residCovWeighted = TRUE), pooled = TRUE)
  of(system, "ml", sur(maxiter = 2000, tol = 1e-13), llf = TRUE)
  of(system, "pooled_ml", sur(pooled = TRUE, maxiter = 5000, tol = 1e-13), pooled = TRUE, llf = TRUE)
}

# -- Zellner's two firms: Theil (1971), pages 295 to 316 --------------------------------------------------------------
two <- firms_of(theirs[theirs$firm %in% c("General Electric", "Westinghouse"), ])
of("two", "ols", systemfit(invest, "OLS", data = two))
sur <- systemfit(invest, "SUR", data = two, methodResidCov = "noDfCor")
of("two", "sur", sur)
of("two", "geomean", systemfit(invest, "SUR", data = two, methodResidCov = "geomean"))
of("two", "ml", systemfit(invest, "SUR", data = two, methodResidCov = "noDfCor", maxiter = 2000, tol = 1e-13), llf = TRUE)
R <- rbind(c(0, 1, 0, 0, -1, 0), c(0, 0, 1, 0, 0, -1))
put("two", "sur", "theil_f", "slopes", linearHypothesis(sur, R)$F[2])
put("two", "sur", "wald", "slopes", linearHypothesis(sur, R, test = "Chisq")$Chisq[2])
of("two", "restricted", systemfit(invest, "SUR", data = two, methodResidCov = "noDfCor",
                                  restrict.matrix = R, residCovRestricted = FALSE))

# -- Berndt and Wood's shares without symmetry: full_systemfit.R has them with it ------------------------------------------
costs <- read.csv("sm_alsgls/datasets/berndt_wood.csv")
inputs <- c("capital", "labor", "energy", "materials")
shares <- costs[, paste0(inputs, "_share")]
names(shares) <- inputs
for (i in inputs) {
  shares[[paste0("p.", i)]] <- log(costs[[paste0(i, "_price")]])
  shares[[paste0("q.", i)]] <- log(costs[[paste0(i, "_price")]]) - log(costs$materials_price)
}
for (method in c("homogeneous", "neither")) {
  right <- if (method == "neither") paste0("p.", inputs) else paste0("q.", inputs[1:3])
  formulas <- lapply(inputs[1:3], function(i) as.formula(paste(i, "~", paste(right, collapse = " + "))))
  fit <- systemfit(formulas, "SUR", data = shares, methodResidCov = "noDfCor", maxiter = 2000, tol = 1e-13)
  put("berndt_wood", method, "llf", "", as.numeric(logLik(fit)))
}
