"""Exercise 2: softmax and the cross-entropy, with the gradient with respect to the logits.

Replace every ``# your code here`` and the line below it. NumPy is enough, and no loop is needed.
Do not change the names, and do not modify the arrays that your functions receive.
"""

import numpy as np


def softmax(z):
    """Return ``p``: each row of exp(z), divided by its sum.

    z (N, K); p (N, K), each row adds up to 1.
    """
    # your code here
    raise NotImplementedError("softmax")


def softmax_cross_entropy(z, labels):
    """Return ``(value, dz)``: the mean of -log p[label], and its derivative with respect to z.

    z (N, K) logits, labels (N,) integers from 0 to K - 1; value one number, dz (N, K).
    """
    # your code here
    raise NotImplementedError("softmax_cross_entropy")
