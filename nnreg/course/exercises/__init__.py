"""The exercises that come with nnreg: their checks. Notebooks and solutions are in the docs.

One mistake should cost the points of one check only. So a backward function is graded with the
*correct* forward output, and that of dropout with the mask that the submission drew.
"""
