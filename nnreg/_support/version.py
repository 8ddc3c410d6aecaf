"""The version, in a separate module so that it can be read without other imports."""

from __future__ import annotations

__version__ = "0.2.0"
