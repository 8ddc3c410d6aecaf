"""Penalties as their sources write them: those of courses, of books, and of what cannot be run.

``w`` is an array that knows ``**``, ``.sum()`` and ``abs``; ``s`` is the strength, ``n`` the rows
of the training set.
"""

FORMULAS = {
    ("nnreg", "l2"): lambda w, s, n: s / 2 * (w**2).sum(),
    ("article", "l2"): lambda w, s, n: s / 2 * (w**2).sum(),
    ("tf.contrib", "l2"): lambda w, s, n: s * (w**2).sum() / 2,
    ("nnfs", "l2"): lambda w, s, n: s * (w * w).sum(),
    ("tf-playground", "l2"): lambda w, s, n: (s * 0.5 * w * w).sum(),
    ("cs231n", "l2"): lambda w, s, n: 0.5 * s * (w * w).sum(),
    ("cs231n-notes", "l2"): lambda w, s, n: s * (w**2).sum(),
    ("nielsen", "l2"): lambda w, s, n: s / (2 * n) * (w**2).sum(),
    ("deeplearning.ai", "l2"): lambda w, s, n: 1 / n * s / 2 * (w**2).sum(),
    ("nnreg", "l1"): lambda w, s, n: s * abs(w).sum(),
    ("article", "l1"): lambda w, s, n: s * abs(w).sum(),
    ("nielsen", "l1"): lambda w, s, n: s / n * abs(w).sum(),
    ("nnfs", "l1"): lambda w, s, n: s * abs(w).sum(),
    ("tf-playground", "l1"): lambda w, s, n: (s * abs(w)).sum(),
    ("cos495", "l1"): lambda w, s, n: s / 2 * abs(w).sum(),
}
