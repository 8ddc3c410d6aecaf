"""Bias and variance, measured on known data-generating processes."""
