"""Speed benchmarks: nnreg against other libraries, and against nnreg without one optimization.

Run them from the root of the checkout as ``python -m benchmarks``; README.md lists the modes.
"""
