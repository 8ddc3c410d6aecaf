"""Support code without mathematics: validation, hyperparameters, tables, files, BLAS threads."""
