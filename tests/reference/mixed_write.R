# What the scripts of mixed models share: reading the data, and JSON of nested lists, a fit a line.
sleepstudy <- read.csv("sleepstudy.csv", colClasses = c(Subject = "character"))
orthodont <- read.csv("orthodont.csv", stringsAsFactors = FALSE)
orthodont$Sex <- factor(orthodont$Sex, c("Male", "Female"))
few <- function(data) data[data$few == 1, ]
about <- function(name, data, fixed, random) {  # which rows and formulas a fit is of
  whole <- strsplit(name, " ")[[1]][1]
  list(data = whole, few = nrow(data) < nrow(get(whole)), fixed = deparse(fixed), random = deparse(random))
}
plain <- function(x) {  # names off vectors and matrices, kept on lists
  if (is.list(x)) return(lapply(x, plain))
  if (is.numeric(x)) attributes(x) <- list(dim = dim(x))
  x
}
say <- function(fits, file) {
  lines <- mapply(function(name, fit) {
    paste0("\"", name, "\": ", jsonlite::toJSON(plain(fit), auto_unbox = TRUE, digits = I(14)))
  }, names(fits), fits)
  writeLines(c("{", paste(lines, collapse = ",\n"), "}"), file)
}
