"""The modes of ``python -m benchmarks``: each is ``measure(settings, results, pool)``."""
