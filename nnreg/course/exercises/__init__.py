"""The exercises that come with nnreg: their checks. Notebooks and solutions are in the documents.

One mistake is to cost its own points and no others. So a backward function is graded behind the
*right* forward output, and dropout's behind the mask that the submission drew.
"""
