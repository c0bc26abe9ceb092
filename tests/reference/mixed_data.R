# Data of the mixed models: Rscript mixed_data.R writes sleepstudy.csv (lme4's) and orthodont.csv
# (nlme's). `few` is 1 in rows of the unbalanced variant, `weight` a known weight of the row.
library(nlme)
data("sleepstudy", package = "lme4")
n <- seq_len(nrow(sleepstudy))
sleepstudy$few <- as.integer(n %% 7 != 3 & !(n > 150 & n %% 3 == 0) & n != 40 & n != 42)
sleepstudy$weight <- 1 + (n * 5) %% 4
orthodont <- as.data.frame(Orthodont)
n <- seq_len(nrow(orthodont))
orthodont$occasion <- as.integer((orthodont$age - 6) / 2)
orthodont$few <- as.integer(n %% 7 != 2 & n %% 11 != 6)
orthodont$weight <- 1 + (n * 3) %% 4
write.csv(sleepstudy, "sleepstudy.csv", row.names = FALSE, quote = FALSE)
write.csv(orthodont, "orthodont.csv", row.names = FALSE, quote = FALSE)
