# Values of tests of mixed models: lme4, lmerTest (Satterthwaite), pbkrtest (Kenward-Roger),
# performance (R2, icc). In this folder, after mixed_data.R: Rscript mixed_lme4.R
#
# cov_re and the like are in the order of the random effects; cond_var is a q x q matrix a group, the
# covariance of b_i given y at known fixed effects. joint: that all but the constant are zero; both:
# that all are. vcov is of the fixed effects. r2 with weights takes sigma^2, the residual variance of a
# row of weight 1. No r2 of `||`: performance 0.10.2 takes the first of its terms alone. No profile of
# orthodont: lme4's fails (0 for the constant's variance, 1.3075 to 1.3242 for sigma).
source("mixed_write.R")
suppressPackageStartupMessages({
  library(lme4)
  library(pbkrtest)
})
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
                       optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
cov_re <- function(m) as.matrix(Matrix::bdiag(VarCorr(m)))
values <- function(m) {
  r <- ranef(m, condVar = FALSE)[[1]]
  list(llf = logLik(m)[1], names = names(fixef(m)), fixef = fixef(m), vcov = as.matrix(vcov(m)),
       se = sqrt(diag(as.matrix(vcov(m)))), cov_re = cov_re(m), sigma = sigma(m), groups = rownames(r), ranef = as.matrix(r))
}
cond_var <- function(m) {
  v <- attr(ranef(m, condVar = TRUE)[[1]], "postVar")
  if (is.list(v)) return(NULL)
  lapply(seq_len(dim(v)[3]), function(i) matrix(v[, , i], dim(v)[1]))
}
test <- function(m, L, ddf) {
  s <- lmerTest::contest(m, L, ddf = ddf)
  list(F = s[["F value"]], ndf = s$NumDF, ddf = s$DenDF, p = s[["Pr(>F)"]])
}
satterthwaite <- function(m) {
  p <- length(fixef(m))
  one <- lapply(seq_len(p), function(j) lmerTest::contest1D(m, diag(p)[j, ], ddf = "Satterthwaite"))
  list(df = sapply(one, `[[`, "df"), t = sapply(one, `[[`, "t value"), p = sapply(one, `[[`, "Pr(>|t|)"),
       single = lapply(seq_len(p), function(j) test(m, diag(p)[j, , drop = FALSE], "Satterthwaite")),
       joint = test(m, diag(p)[-1, , drop = FALSE], "Satterthwaite"),
       both = test(m, diag(p), "Satterthwaite"))
}
kenward_roger <- function(m) {
  p <- length(fixef(m))
  one <- function(L) {
    s <- KRmodcomp(m, L)$stats
    list(F = s$Fstat, unscaled = s$FstatU, ndf = s$ndf, ddf = s$ddf, scaling = s$F.scaling, p = s$p.value)
  }
  adjusted <- as.matrix(vcovAdj(m))
  list(vcov = adjusted, se = sqrt(diag(adjusted)),
       ddf = sapply(seq_len(p), function(j) get_Lb_ddf(m, diag(p)[j, ])),
       single = lapply(seq_len(p), function(j) one(diag(p)[j, , drop = FALSE])),
       joint = one(diag(p)[-1, , drop = FALSE]), both = one(diag(p)))
}
r_squared <- function(m) {
  r <- performance::r2_nakagawa(m)
  i <- performance::icc(m)
  list(marginal = unname(r$R2_marginal), conditional = unname(r$R2_conditional),
       icc_adjusted = i$ICC_adjusted, icc_unadjusted = i$ICC_unadjusted)
}
profiled <- function(m) {
  ci <- confint(m, method = "profile", oldNames = FALSE, quiet = TRUE)
  list(names = rownames(ci), lower = ci[, 1], upper = ci[, 2])
}
fits <- list()
add <- function(name, formula, data, inference = TRUE, profile = FALSE, weights = NULL) {
  for (method in c("ML", "REML")) {
    m <- do.call(lmerTest::lmer, c(list(formula, data, REML = method == "REML", control = control),
                                   if (!is.null(weights)) list(weights = data[[weights]])))
    terms <- findbars(formula)
    random <- if (length(terms) > 1) quote(Days) else terms[[1]][[2]]
    v <- c(about(name, data, nobars(formula)[[3]], random),
           list(diagonal = length(terms) > 1, weighted = !is.null(weights)), values(m), list(
             cond_var = cond_var(m), satterthwaite = satterthwaite(m)))
    if (length(VarCorr(m)) == 1) v$r2 <- r_squared(m)
    if (inference && method == "REML") v$kenward_roger <- kenward_roger(m)
    if (profile && method == "ML") v$profile <- profiled(m)
    fits[[paste(name, method)]] <<- v
    cat(name, method, logLik(m)[1], "\n")
  }
}
add("sleepstudy slope", Reaction ~ Days + (Days | Subject), sleepstudy, profile = TRUE)
add("sleepstudy intercept", Reaction ~ Days + (1 | Subject), sleepstudy, profile = TRUE)
add("sleepstudy diagonal", Reaction ~ Days + (Days || Subject), sleepstudy, profile = TRUE)
add("sleepstudy slope few", Reaction ~ Days + (Days | Subject), few(sleepstudy), profile = TRUE)
add("sleepstudy intercept few", Reaction ~ Days + (1 | Subject), few(sleepstudy), profile = TRUE)
add("sleepstudy slope weights", Reaction ~ Days + (Days | Subject), sleepstudy, FALSE, weights = "weight")
add("sleepstudy intercept weights", Reaction ~ Days + (1 | Subject), few(sleepstudy), FALSE, weights = "weight")
add("sleepstudy quadratic", Reaction ~ Days + I(Days^2) + (Days | Subject), few(sleepstudy))
add("orthodont age", distance ~ age + (age | Subject), orthodont)
add("orthodont sex", distance ~ age + Sex + (age | Subject), orthodont)
add("orthodont interaction", distance ~ age * Sex + (age | Subject), few(orthodont))
add("orthodont intercept", distance ~ age + Sex + (1 | Subject), orthodont)
add("orthodont sex few", distance ~ age + Sex + (1 | Subject), few(orthodont))
say(fits, "mixed_lme4.json")
