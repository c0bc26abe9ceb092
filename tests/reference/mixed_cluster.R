# Values of tests of mixed models: clubSandwich's CR0 to CR3 of lme4 and nlme fits, t tests with
# Satterthwaite's degrees of freedom and the joint test HTZ. In this folder: Rscript mixed_cluster.R
#
# Clusters are the subjects; the working covariance is the fit's own. vcov and cov_re, sigma, phi,
# ratios of the fit are kept so that a test can start from them.
source("mixed_write.R")
suppressPackageStartupMessages({
  library(lme4)
  library(nlme)
  library(clubSandwich)
})
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
                       optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
fits <- list()
add <- function(name, data, fixed, random, m) {
  b <- fixef(m)
  of_lme <- inherits(m, "lme")
  v <- c(about(name, data, fixed[[3]], random), list(llf = logLik(m)[1], names = names(b), fixef = b, sigma = sigma(m),
            cov_re = if (of_lme) unclass(as.matrix(getVarCov(m))) else as.matrix(Matrix::bdiag(VarCorr(m)))))
  if (of_lme) {
    s <- m$modelStruct
    if (!is.null(s$corStruct)) v$phi <- coef(s$corStruct, unconstrained = FALSE)
    if (!is.null(s$varStruct)) v$ratios <- as.list(coef(s$varStruct, unconstrained = FALSE, allCoef = TRUE))
  }
  for (type in c("CR0", "CR1", "CR2", "CR3")) {
    V <- vcovCR(m, type = type)
    t <- coef_test(m, vcov = V, test = "Satterthwaite")
    one <- list(vcov = matrix(V, length(b)), se = t$SE, df = t$df_Satt, p = t$p_Satt)
    if (type == "CR2") {
      w <- Wald_test(m, constraints = constrain_zero(seq_along(b)[-1]), vcov = V, test = "HTZ")
      one$joint <- list(F = w$Fstat, ndf = w$df_num, ddf = w$df_denom, scaling = w$delta, p = w$p_val)
    }
    v[[type]] <- one
  }
  fits[[name]] <<- v
  cat(name, v$CR2$se, v$CR2$df, "\n")
}
by_lme4 <- function(name, data, fixed, random, reml) {
  m <- lmer(as.formula(paste(deparse(fixed), "+ (", random, "| Subject)")), data, REML = reml, control = control)
  add(name, data, fixed, str2lang(random), m)
}
by_nlme <- function(name, data, fixed, reml, ...) {
  m <- do.call(lme, list(fixed, data, ~ 1 | Subject, method = if (reml) "REML" else "ML", ...))
  m$call$data <- if (nrow(data) == nrow(S)) quote(S) else quote(O)
  add(name, data, fixed, 1, m)
}
for (variant in c("", " few")) {
  S <- if (variant == "") sleepstudy else few(sleepstudy)
  O <- if (variant == "") orthodont else few(orthodont)
  for (reml in c(TRUE, FALSE)) {
    say_of <- function(model) paste0(model, variant, if (reml) " REML" else " ML")
    by_lme4(say_of("sleepstudy slope"), S, Reaction ~ Days, "Days", reml)
    by_lme4(say_of("sleepstudy intercept"), S, Reaction ~ Days, "1", reml)
    by_lme4(say_of("orthodont intercept"), O, distance ~ age + Sex, "1", reml)
    by_lme4(say_of("orthodont interaction"), O, distance ~ age * Sex, "1", reml)
    by_nlme(say_of("orthodont levels"), O, distance ~ age + Sex, reml, weights = varIdent(form = ~ 1 | Sex))
    by_nlme(say_of("sleepstudy ar"), S, Reaction ~ Days, reml,
            correlation = corAR1(form = ~ Days | Subject))
  }
}
say(fits, "mixed_cluster.json")
