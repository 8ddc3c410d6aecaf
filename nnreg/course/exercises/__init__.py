"""The exercises that come with nnreg: their checks. Notebooks and solutions are in the docs.

One mistake should cost its own points and no others. So a backward function is graded with the
*right* forward output, and that of dropout with the mask that the submission drew.
"""
