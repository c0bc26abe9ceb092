# Two- and three-stage least squares by R systemfit, Sigma = E'E/N; first stages and Sargan by AER.
#
#   Rscript tests/reference/three_stage_systemfit.R > tests/reference/three_stage_systemfit.csv
#
# From the top of the repository; klein.csv and kmenta.csv are systemfit's KleinI and Kmenta. A row is a system, a method, a
# quantity, a name and a value: coef, std_err; sigma, which made them, of pairs of equations;
# residual_sigma, E'E/N of the last residuals. Systems that end in _own have instruments of their
# own in each equation; "GLS", systemfit's default, and "EViews" take y - Xhat b for the residuals
# of the normal equations, which is not consistent there, so they are not asked. ivreg's rows are named equation:test:regressor.
suppressMessages({library(systemfit); library(AER)})
klein <- read.csv("sm_alsgls/datasets/klein.csv")[-1, ]
kmenta <- read.csv("tests/reference/kmenta.csv")

cat("# R", as.character(getRversion()), "systemfit", as.character(packageVersion("systemfit")),
    "AER", as.character(packageVersion("AER")), "\n")
cat("system,method,quantity,name,value\n")
put <- function(system, method, quantity, name, value)
  cat(system, ",", method, ",", quantity, ",", name, ",", sprintf("%.16g", value), "\n", sep = "")

matrix_of <- function(system, method, quantity, S)
  for (i in rownames(S)) for (j in rownames(S)) if (i <= j)
    put(system, method, quantity, paste(i, j, sep = ":"), S[i, j])

fit <- function(system, label, formulas, inst, data, method, ...) {
  found <- systemfit(formulas, method, inst = inst, data = data, methodResidCov = "noDfCor",
                     tol = 1e-12, ...)
  cat("# ", system, " ", label, ": ", found$iter, " iterations\n", sep = "")
  b <- coef(found)
  se <- sqrt(diag(vcov(found)))
  for (n in names(b)) {
    put(system, label, "coef", n, b[[n]])
    put(system, label, "std_err", n, se[[n]])
  }
  if (method == "3SLS") matrix_of(system, label, "sigma", found$residCovEst)
  matrix_of(system, label, "residual_sigma", found$residCov)
}

single <- function(system, formulas, inst, data) {
  for (name in names(formulas)) {
    rhs <- if (inherits(inst, "formula")) inst else inst[[name]]
    whole <- as.formula(paste(deparse(formulas[[name]], 500), "|", deparse(rhs[[2]], 500)))
    found <- summary(ivreg(whole, data = data), diagnostics = TRUE)$diagnostics
    for (test in grep("Weak|Sargan", rownames(found), value = TRUE)) {
      x <- if (test == "Sargan") "" else sub(".*[(](.*)[)]", "\\1", test)
      if (test == "Weak instruments") x <- setdiff(all.vars(formulas[[name]][[3]]), all.vars(rhs))
      if (is.na(found[test, "statistic"])) next
      of <- paste(name, if (test == "Sargan") test else "first stage F", x, sep = ":")
      put(system, "ivreg", "statistic", of, found[test, "statistic"])
      put(system, "ivreg", "df", of, found[test, "df1"])
      put(system, "ivreg", "pvalue", of, found[test, "p-value"])
    }
  }
}

all_of <- function(system, formulas, inst, data) {
  own <- !inherits(inst, "formula")
  fit(system, "2sls", formulas, inst, data, "2SLS")
  for (how in if (own) c("IV", "GMM") else c("GLS", "IV", "GMM", "Schmidt", "EViews"))
    fit(system, how, formulas, inst, data, "3SLS", method3sls = how)
  # GMM of klein_own does not come to rest.
  for (how in if (own) "IV" else "GLS")
    fit(system, paste(how, "iterated"), formulas, inst, data, "3SLS", method3sls = how,
        maxiter = 1000)
  single(system, formulas, inst, data)
}

equations <- list(consump = consump ~ corpProf + corpProfLag + wages,
                  invest = invest ~ corpProf + corpProfLag + capitalLag,
                  privWage = privWage ~ gnp + gnpLag + trend)
all_of("klein", equations, ~ govExp + taxes + govWage + trend + capitalLag + corpProfLag + gnpLag,
       klein)
all_of("klein_own", equations,
       list(consump = ~ govExp + taxes + govWage + corpProfLag,
            invest = ~ govExp + taxes + capitalLag + corpProfLag,
            privWage = ~ govExp + taxes + trend + gnpLag), klein)

market <- list(demand = consump ~ price + income, supply = consump ~ price + farmPrice + trend)
all_of("kmenta", market, ~ income + farmPrice + trend, kmenta)
all_of("kmenta_own", market, list(demand = ~ income + farmPrice, supply = ~ income + farmPrice + trend),
       kmenta)
