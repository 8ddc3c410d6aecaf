"""Pruning and sparse prediction."""
