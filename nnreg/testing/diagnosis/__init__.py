"""Diagnosis: name the known mistake in somebody's gradient."""

from nnreg.testing.diagnosis.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
