# Data of R's systemfit that the references of rank="full" use, written beside the values:
#
#   Rscript tests/reference/full_data.R tests/reference
suppressMessages(library(systemfit))
to <- commandArgs(trailingOnly = TRUE)[1]
data(Kmenta)
write.csv(Kmenta, file.path(to, "kmenta.csv"), row.names = FALSE)
data(ppine)
write.csv(ppine[, c("elev", "dbh", "tht", "cr", "ba", "dg", "hg")],
          file.path(to, "ppine.csv"), row.names = FALSE)
