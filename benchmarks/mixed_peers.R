# Rscript mixed_peers.R peer csv slopes rank: one maximum likelihood fit; prints what
# mixed_speed.py reads, "seconds llf se converged": processor seconds, the first slope's error.
argument <- commandArgs(trailingOnly = TRUE)
peer <- argument[1]
data <- read.csv(argument[2])
q <- as.integer(argument[3])
rank <- as.integer(argument[4])
x <- paste0("X", seq_len(q), collapse = " + ")
say <- function(m, time, se, converged) {
  cat(sprintf("%.3f %.4f %.8f %d\n", sum(time[c("user.self", "sys.self")]), logLik(m)[1], se, converged))
}
if (peer == "taxa") {
  suppressPackageStartupMessages(library(glmmTMB))
  data$taxon <- factor(data$taxon)
  data$subject <- factor(data$subject)
  f <- as.formula(paste0("y ~ 0 + taxon + taxon:x + rr(0 + taxon | subject, d = ", rank, ")"))
  time <- system.time(m <- suppressWarnings(glmmTMB(f, data, dispformula = ~ 0 + taxon)))
  say(m, time, sqrt(vcov(m)$cond[length(levels(data$taxon)) + 1, length(levels(data$taxon)) + 1]),
      m$fit$convergence == 0)
} else if (peer == "lme4") {
  suppressPackageStartupMessages(library(lme4))
  f <- as.formula(paste0("y ~ ", x, " + (0 + ", x, " | g)"))
  time <- system.time(m <- suppressWarnings(lmer(f, data, REML = FALSE)))
  say(m, time, sqrt(vcov(m)[2, 2]), length(m@optinfo$conv$lme4$code) == 0)
} else {
  suppressPackageStartupMessages(library(glmmTMB))
  data$g <- factor(data$g)
  data$h <- data$g
  random <- if (peer == "glmmTMB-full") paste0("us(0 + ", x, " | g)") else
    paste0("rr(0 + ", x, " | g, d = ", rank, ") + diag(0 + ", x, " | h)")
  time <- system.time(m <- suppressWarnings(glmmTMB(as.formula(paste0("y ~ ", x, " + ", random)), data)))
  say(m, time, sqrt(vcov(m)$cond[2, 2]), m$fit$convergence == 0)
}
