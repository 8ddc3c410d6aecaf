"""Measurements of speed: nnreg beside other libraries, and nnreg beside itself.

Run from the checkout's root as ``python -m benchmarks``; README.md in this folder says what there
is.
"""
