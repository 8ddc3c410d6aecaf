"""The comparison of regularizers on one data set."""
