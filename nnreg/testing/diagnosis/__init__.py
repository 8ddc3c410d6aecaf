"""Diagnosis: the known bug behind a wrong gradient."""

from nnreg.testing.diagnosis.diagnosis import Diagnosis, describe_difference, diagnose

__all__ = ["Diagnosis", "describe_difference", "diagnose"]
