"""Submissions with one mistake: the lines that students write in place of the solution's.

Under each mistake: the lines that are other, the checks that it costs, and words from the reasons.
"""

from pathlib import Path

COURSE = Path(__file__).parents[1] / "docs" / "course"
EVERY = "every check"


def solution(number):
    return (COURSE / "solutions" / f"exercise_{number}.py").read_text(encoding="utf-8")


def changed(number, *replacements):
    text = solution(number)
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def one(old, new, costs, words):
    return [(old, new)], costs, words


RELU = ["relu_forward", "relu_dx", "relu_at_zero", "relu_changes_nothing"]

AFFINE_AND_RELU = {
    "dw transposed": one("x.T @ dy", "dy.T @ x", ["affine_dw"], "dw is the transpose"),
    "dw reshaped until it fits": one(
        "x.T @ dy", "(dy.T @ x).reshape(w.shape)", ["affine_dw"], "reshaped to the shape of w"
    ),
    "dw divided by N": one("x.T @ dy", "x.T @ dy / len(x)", ["affine_dw"], "divided by N"),
    "dw from the last row": one("x.T @ dy", "np.outer(x[-1], dy[-1])", ["affine_dw"], "last row"),
    "dw of the wrong sign": one("x.T @ dy", "-x.T @ dy", ["affine_dw"], "wrong sign"),
    "db not summed": one("dy.sum(axis=0)", "dy", ["affine_db"], "db is not summed"),
    "db averaged": one("dy.sum(axis=0)", "dy.mean(axis=0)", ["affine_db"], "mean over the batch"),
    "db summed over everything": one(
        "dy.sum(axis=0)", "np.sum(dy) + np.zeros(dy.shape[1])", ["affine_db"], "Pass axis=0"
    ),
    "db zero": one(
        "dy.sum(axis=0)", "np.zeros(dy.shape[1])", ["affine_db"], "the bias is never updated"
    ),
    "dx without w": one("dy @ w.T", "dy", ["affine_dx"], "the factor wᵀ is missing"),
    "the bias forgotten in forward": one("x @ w + b", "x @ w", ["affine_forward"], "b is missing"),
    "one row squeezed": one(
        "return x @ w + b, (x, w)",
        "return np.squeeze(x @ w + b), (x, w)",
        ["affine_one_row"],
        r"has the shape \(3,\), expected \(1, 3\)",
    ),
    "a gradient forgotten in return": one(
        "return dx, dw, db",
        "return dx, dw",
        ["affine_dx", "affine_dw", "affine_db", "affine_one_row"],
        r"must return 3 gradient\(s\)",
    ),
    "x damaged by affine": one(
        "    return x @ w + b, (x, w)",
        "    y = x @ w + b\n    x *= 1.5\n    return y, (x, w)",
        ["affine_dw", "affine_changes_nothing"],
        "forward changes its input",
    ),
    "no mask in ReLU": one(
        "dy * (x > 0)", "dy", ["relu_dx", "relu_at_zero"], r"dx = dy \* \(x > 0\)"
    ),
    "mask from dy": one(
        "dy * (x > 0)", "dy * (dy > 0)", ["relu_dx", "relu_at_zero"], r"\[dy > 0\]"
    ),
    "mask of the wrong sign": one(
        "dy * (x > 0)", "dy * (x < 0)", ["relu_dx"], "dx is dy where x is negative"
    ),
    "output for mask": one(
        "dy * (x > 0)",
        "dy * np.maximum(x, 0)",
        ["relu_dx"],
        "the output is used instead of the mask",
    ),
    "one at zero": one("x > 0", "x >= 0", ["relu_at_zero"], "not >= 0"),
    "dy damaged by ReLU": one(
        "    return dy * (x > 0)",
        "    dy[x <= 0] = 0\n    return dy",
        ["relu_changes_nothing"],
        "dy in place",
    ),
    "ReLU of the wrong sign": one(
        "np.maximum(x", "np.minimum(x", ["relu_forward"], "not the smaller"
    ),
    "no cache": one(
        "return np.maximum(x, 0), x",
        "return np.maximum(x, 0)",
        RELU,
        r"must return the pair \(y, cache\), got ndarray",
    ),
    "crashes": one(
        "np.maximum(x, 0), x",
        "np.maximun(x, 0), x",
        RELU,
        r"has no attribute 'maximun'.* \(submission, line 28, in relu_forward\)",
    ),
    "a function missing": one(
        "def relu_backward", "def relu_backwards", RELU[1:], "The submission has no relu_backward."
    ),
    "a syntax error": one(
        "dy @ w.T",
        "dy @ @ w.T",
        ["affine_dx", "affine_dw", "affine_db", "affine_one_row", "affine_changes_nothing"],
        "affine_backward was skipped in submission, line 14.*SyntaxError.*line 20",
    ),
    "a global variable for the cache": (
        [
            (
                "    return np.maximum(x, 0), x",
                "    global X\n    X = x\n    return np.maximum(x, 0), x",
            ),
            ("x = cache", "x = X"),
        ],
        ["relu_changes_nothing"],
        "uses values of the last forward pass.*no global variable",
    ),
    "float32": one(
        "x @ w + b,", "(x @ w + b).astype(np.float32),", ["affine_forward"], "compute in float64"
    ),
    "dx divided by N": one(
        "dx = dy @ w.T", "dx = dy @ w.T / len(dy)", ["affine_dx"], "divided by N once more"
    ),
    "dw and dx exchanged": one(
        "return dx, dw, db",
        "return dw, dx, db",
        ["affine_dx", "affine_dw"],
        r"^(?!.*wrt=).*It is the derivative with respect to w",
    ),
    "a wrong import": one(
        "import numpy as np",
        "import numpyy as np",
        RELU,
        "NameError: name 'np' is not defined",
    ),
}

SOFTMAX_SUM = "e / e.sum(axis=1, keepdims=True)"
SHIFT = "z - z.max(axis=1, keepdims=True)\n    log_p"
LOG_P = "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))"
DZ = "    dz[rows, labels] -= 1\n"
RESULT = "-log_p[rows, labels].mean(), dz / N"

CROSS_ENTROPY = {
    "softmax over the batch": one(
        SOFTMAX_SUM,
        "e / e.sum(axis=0)",
        ["softmax_values"],
        "The columns add up to 1",
    ),
    "softmax over everything": one(
        SOFTMAX_SUM, "e / e.sum()", ["softmax_values"], "All entries together"
    ),
    "softmax overflows": one(
        "np.exp(z - z.max(axis=1, keepdims=True))", "np.exp(z)", ["softmax_large"], "largest logit"
    ),
    "the log of a p that is zero": one(
        LOG_P, "np.log(softmax(z))", ["loss_large"], "p itself may have become 0"
    ),
    "the log of a p that is cut off": one(
        LOG_P, "np.log(softmax(z) + 1e-12)", ["loss_large"], "clipped.*p itself"
    ),
    "the sum for the mean": one(
        RESULT, "-log_p[rows, labels].sum(), dz / N", ["loss_value"], "Take the mean over the rows"
    ),
    "the mean over all entries": one(
        RESULT,
        "-log_p[rows, labels].sum() / z.size, dz / N",
        ["loss_value"],
        "Divide by the rows",
    ),
    "the value's sign": one(
        RESULT, "log_p[rows, labels].mean(), dz / N", ["loss_value"], "the loss is -log p"
    ),
    "a value for each row": one(
        RESULT, "-log_p[rows, labels], dz / N", ["loss_value"], "must be one number"
    ),
    "one shift for all rows": one(
        SHIFT, "z - z.max()\n    log_p", ["loss_large"], "it is -inf, expected"
    ),
    "N of the notebook": one(
        RESULT, "-log_p[rows, labels].mean(), dz / 5", ["loss_one_row"], r"dz\[0, 0\] is 0.129806"
    ),
    "p for its logarithm": one(
        RESULT,
        "-np.exp(log_p[rows, labels]).mean(), dz / N",
        ["loss_value", "loss_large"],
        "^(?!.*Hint)",
    ),
    "1/N missing in dz": one(
        RESULT, "-log_p[rows, labels].mean(), dz", ["loss_gradient"], "1/N is missing"
    ),
    "N twice": one(
        RESULT, "-log_p[rows, labels].mean(), dz / N**2", ["loss_gradient"], "divided by N twice"
    ),
    "targets missing in dz": one(DZ, "", ["loss_gradient"], "targets are not subtracted"),
    "dz of the wrong sign": one(
        RESULT, "-log_p[rows, labels].mean(), -dz / N", ["loss_gradient"], "wrong sign"
    ),
    "label number subtracted": one(
        DZ, "    dz -= labels[:, None]\n", ["loss_gradient"], "class number is subtracted"
    ),
    "labels counted from one": one(
        DZ, "    dz[rows, labels - 1] -= 1\n", ["loss_gradient"], "one class too low"
    ),
    "softmax differentiated twice": one(
        RESULT,
        "-log_p[rows, labels].mean(), dz * softmax(z) * (1 - softmax(z)) / N",
        ["loss_gradient"],
        r"p\(1 - p\)",
    ),
    "z damaged": one(
        f"    shifted = {SHIFT}",
        "    z -= z.max(axis=1, keepdims=True)\n    shifted = z\n    log_p",
        ["loss_changes_nothing"],
        "changes an argument",
    ),
    "only one result": one(
        RESULT,
        "-log_p[rows, labels].mean()",
        ["loss_value", "loss_large", "loss_gradient", "loss_one_row"],
        r"must return the pair \(value, dz\)",
    ),
}

L2, L1 = "strength / 2 * np.sum(w**2), strength * w", "strength * np.sum(np.abs(w)), "
PROXIMAL = "np.sign(w) * np.maximum(np.abs(w) - threshold, 0)"
ADDED = "gradient + l2(parameters[name], strength)[1]"
WEIGHTS = '        if name.startswith("w"):\n    '

PENALTIES = {
    "L2: 2 in the gradient": one(
        L2,
        L2.replace("strength * w", "2 * strength * w"),
        ["l2_gradient"],
        "too large by a factor of 2",
    ),
    "L2: half missing in the value": one(
        L2, L2.replace(" / 2", ""), ["l2_value"], "There is a factor 1/2"
    ),
    "L2: strength missing in the gradient": one(
        L2, L2.replace("strength * w", "w"), ["l2_gradient"], "λ is missing"
    ),
    "L2: the norm, not squared": one(
        L2,
        L2.replace("/ 2 * np.sum(w**2)", "* np.linalg.norm(w)"),
        ["l2_value"],
        "takes a root",
    ),
    "L2: the mean of the squares": one(
        L2, L2.replace("np.sum", "np.mean"), ["l2_value"], "do not take the mean"
    ),
    "L2: the gradient of L1": one(
        L2,
        L2.replace("strength * w", "strength * np.sign(w)"),
        ["l2_gradient"],
        "it belongs to L1",
    ),
    "L1: no absolute value": one(
        L1, L1.replace("np.abs(w)", "w"), ["l1_value"], "entries of w cancel"
    ),
    "L1: a half": one(L1, L1.replace("* np.sum", "/ 2 * np.sum"), ["l1_value"], "no 1/2 in L1"),
    "L1: w for its sign": one(
        "strength * np.sign(w)\n\n\ndef l1_proximal",
        "strength * w\n\n\ndef l1_proximal",
        ["l1_gradient"],
        "slope is ±1",
    ),
    "L1: strength missing in the gradient": one(
        "strength * np.sign(w)", "np.sign(w)", ["l1_gradient"], "λ is missing"
    ),
    "L1: +1 at zero": one(
        "strength * np.sign(w)",
        "strength * np.where(w >= 0, 1, -1)",
        ["l1_at_zero"],
        r"At w = 0 the gradient is \+λ",
    ),
    "L1: -1 at zero": one(
        "strength * np.sign(w)", "strength * np.where(w > 0, 1, -1)", ["l1_at_zero"], "is -λ"
    ),
    "proximal: past zero": one(
        PROXIMAL, "w - np.sign(w) * threshold", ["proximal_zeros"], "must not change its sign"
    ),
    "proximal: hard threshold": one(
        PROXIMAL,
        "np.where(np.abs(w) > threshold, w, 0)",
        ["proximal"],
        "from the large entries too",
    ),
    "proximal: away from zero": one(
        PROXIMAL,
        "np.where(np.abs(w) > threshold, w + np.sign(w) * threshold, 0)",
        ["proximal"],
        "towards zero, not away",
    ),
    "proximal: sign forgotten": one(
        PROXIMAL,
        "np.where(np.abs(w) > threshold, w - threshold, 0)",
        ["proximal"],
        "Negative entries move up",
    ),
    "L1: no number at zero": one(
        "strength * np.sign(w)",
        "strength * w / np.abs(w)",
        ["l1_at_zero"],
        r"\] is nan, expected 0",
    ),
    "proximal: half the threshold": one(
        PROXIMAL,
        PROXIMAL.replace("threshold", "threshold / 2"),
        ["proximal", "proximal_zeros"],
        "^(?!.*Hint)",
    ),
    "names written out": one(
        WEIGHTS,
        '        if name in ("w1", "w2"):\n    ',
        ["added_to_weights"],
        r"w_out\[0\] .* is not added",
    ),
    "biases of another gradient": one(
        "        total[name] = gradient\n",
        "        total[name] = parameters[name]\n",
        ["biases_left_alone"],
        "^(?!.*Hint)",
    ),
    "biases penalized": one(
        WEIGHTS, "        if True:\n    ", ["biases_left_alone"], "Penalize weights alone"
    ),
    "penalty not added": one(
        ADDED, "gradient", ["added_to_weights"], "not added to that of the data"
    ),
    "penalty for the data's gradient": one(
        ADDED,
        "l2(parameters[name], strength)[1]",
        ["added_to_weights"],
        "replaces that of the data",
    ),
    "penalty subtracted": one(
        ADDED, ADDED.replace("+", "-"), ["added_to_weights"], "weights are made larger"
    ),
    "gradients changed in place": one(
        f"total[name] = {ADDED}",
        "total[name] += l2(parameters[name], strength)[1]",
        ["changes_nothing"],
        "add_l2 changes an argument",
    ),
}

MASK = "(rng.random(x.shape) < keep_prob) / keep_prob"
NOT_TRAINING = "    if not training:\n        return x, None\n"

DROPOUT = {
    "mask forgotten in backward": one(
        "dy if mask is None else dy * mask",
        "dy",
        ["dx_in_training"],
        "the mask is not applied in backward",
    ),
    "scale forgotten in backward": one(
        "else dy * mask",
        "else dy * (mask > 0)",
        ["dx_in_training"],
        "scale 1/keep_prob is missing in backward",
    ),
    "scale twice in backward": one(
        "else dy * mask", "else dy * mask * mask", ["dx_in_training"], "scale 1/keep_prob twice"
    ),
    "mask drawn again in backward": (
        [
            ('"""Exercise 4, solved."""', "import numpy as np"),
            ("else dy * mask", "else dy * (np.random.rand(*dy.shape) < 0.6) / 0.6"),
        ],
        ["dx_in_training"],
        "another mask than y",
    ),
    "scale missing": one(MASK, "rng.random(x.shape) < keep_prob", ["scale"], "divide the kept"),
    "scaled at inference too": one(
        "return x, None",
        "return x * keep_prob, None",
        ["inference"],
        "in inference it is the identity",
    ),
    "scaled at inference instead": (
        [
            (MASK, "rng.random(x.shape) < keep_prob"),
            ("return x, None", "return x * keep_prob, None"),
        ],
        ["scale", "inference"],
        "^(?!.*make up for it).*dropout as first published.*dropout as first published",
    ),
    "a wrong flag": one("if not training", "if training", ["inference"], "the wrong way round"),
    "one mask for all rows": one(
        "rng.random(x.shape)", "rng.random(x.shape[1])", ["share"], "All rows have the same mask"
    ),
    "one draw for a row": one(
        "rng.random(x.shape)", "rng.random((len(x), 1))", ["share"], "of a row are kept or dropped"
    ),
    "normal numbers": one(
        "rng.random(x.shape)", "rng.standard_normal(x.shape)", ["share"], "62% .*draw uniform ones"
    ),
    "the mask the wrong way round": one(
        "< keep_prob", "> keep_prob", ["share"], "20% of the units"
    ),
    "a coin for keep_prob": one(
        "(rng.random(x.shape) < keep_prob)", "rng.integers(0, 2, x.shape)", ["share"], "50% of"
    ),
    "divided by the wrong number": one(
        "/ keep_prob", "/ keep_prob**2", ["scale"], r"by 1.5625, expected 1/keep_prob = 1.25"
    ),
    "divided by the share that was kept": (
        [
            ('"""Exercise 4, solved."""', "import numpy as np"),
            (MASK, "(rng.random(x.shape) < keep_prob) * 1.0\n    mask /= np.mean(mask)"),
        ],
        ["scale"],
        "by 1.2468.*, expected 1/keep_prob = 1.25",
    ),
    "always the same number kept": one(
        "rng.random(x.shape) < keep_prob",
        "rng.permutation(x.size).reshape(x.shape) < keep_prob * x.size",
        ["share"],
        "The same number of units is kept.*for each entry",
    ),
    "rows repeated": one(
        "rng.random(x.shape)",
        "rng.random(x.shape)[[row // 2 for row in range(len(x))]]",
        ["share"],
        "depends on other units.*for each entry",
    ),
    "one number for all units": one(
        "rng.random(x.shape)",
        "rng.random()",
        ["share", "dx_in_training", "changes_nothing"],
        "All units are kept or dropped together",
    ),
    "keep_prob squared": one(
        "< keep_prob", "< keep_prob**2", ["share"], "^(?!.*Hint).*25% of the units are kept"
    ),
    "negative units dropped too": one(
        "x * mask, mask", "x * mask * (x > 0), mask * (x > 0)", ["share"], "40% of the units"
    ),
    "halved": one("x * mask, mask", "x * mask / 2, mask", ["scale"], "multiplied by 0.625"),
    "a global variable for the mask": (
        [
            (
                "    return x * mask, mask",
                "    global MASK\n    MASK = mask\n    return x * mask, mask",
            ),
            ("else dy * mask", "else dy * MASK"),
        ],
        ["changes_nothing"],
        "uses values of the last forward pass",
    ),
    "a seed for all of NumPy": (
        [
            ('"""Exercise 4, solved."""', "import numpy as np"),
            (MASK, "(rng.random(x.shape) < keep_prob) / keep_prob\n    np.random.seed(0)"),
        ],
        ["draws"],
        "np.random is used or seeded",
    ),
    "on at inference": one(
        NOT_TRAINING, "", ["inference", "dx_in_inference"], "Units are dropped outside training"
    ),
    "keeps with the probability to drop": one(
        MASK,
        "(rng.random(x.shape) > keep_prob) / (1 - keep_prob)",
        ["share"],
        "2[01]% of the units are kept.*mask = random < keep_prob",
    ),
    "one mask for ever": (
        [
            ('"""Exercise 4, solved."""', "import numpy as np"),
            ("rng.random", "np.random.default_rng(0).random"),
        ],
        ["draws"],
        "set no seed",
    ),
    "draws from elsewhere": (
        [
            ('"""Exercise 4, solved."""', "import numpy as np"),
            ("rng.random", "np.random.default_rng().random"),
        ],
        ["draws"],
        "draw from rng",
    ),
    "never drops": (
        [
            ('"""Exercise 4, solved."""', "import numpy as np"),
            (MASK, "np.ones(x.shape)"),
        ],
        ["share", "scale", "dx_in_training", "draws"],
        "^(?!.*Hint).*some units must be dropped",
    ),
}

ORDER = "order = rng.permutation(n)"
CUT = "for start in range(0, n, batch_size)]"
FORWARD = "net.forward(x, training=True)"
TOTAL = "value + net.penalty_value()"
ADD = "    net.add_penalty_gradient(gradients)\n"
UPDATE = "net.parameters.vector -= learning_rate * gradients.vector"
STEPS = ["step_descends", "step_penalty", "step_dropout"]

TRAINING = {
    "rows drawn with replacement": one(
        ORDER, "order = rng.integers(0, n, n)", ["batches_cover"], "draw without replacement"
    ),
    "the last batch dropped": one(
        CUT,
        "for start in range(0, n - batch_size + 1, batch_size)]",
        ["batches_cover"],
        "the last batch may be smaller",
    ),
    "not shuffled": one(ORDER, "order = np.arange(n)", ["batches_shuffled"], "in the order of the"),
    "shuffled once and for all": one(
        ORDER,
        "order = np.random.default_rng(0).permutation(n)",
        ["batches_shuffled"],
        "Two epochs have the same order",
    ),
    "shuffled by another generator": one(
        ORDER, "order = np.random.permutation(n)", ["batches_shuffled"], "not from np.random"
    ),
    "only the batches shuffled": one(
        ORDER,
        "starts = batch_size * rng.permutation(-(-n // batch_size))\n"
        "    order = np.concatenate([np.arange(n)[s : s + batch_size] for s in starts])",
        ["batches_shuffled"],
        "consecutive rows.*shuffle the rows",
    ),
    "an empty batch": one(
        CUT, "for start in range(0, n + 1, batch_size)]", ["batches_sizes"], r"\[5, 5, 5, 5, 0\]"
    ),
    "rows counted from one": one(
        ORDER, ORDER + " + 1", ["batches_cover"], "There is no row 23: rows are counted from 0"
    ),
    "one mask for all steps": one(
        FORWARD, "net.forward(x, training=True, step=0)", ["step_dropout"], "draw a new mask"
    ),
    "the sign of the gradient": one(
        UPDATE,
        UPDATE.replace("gradients.vector", "np.sign(gradients.vector)"),
        ["step_descends", "step_penalty", "step_dropout"],
        "^(?!.*Hint)",
    ),
    "the last objective of an epoch": one(
        "np.mean(values)", "values[-1]", ["training_history"], "not the last one"
    ),
    "the sum of the objectives": one(
        "np.mean(values)", "np.sum(values)", ["training_history"], "not the sum"
    ),
    "all rows in each step": one(
        "x[batch], y[batch]", "x, y", ["training_steps"], "get 450 rows.*pass x.batch. and y.batch."
    ),
    "one order for all epochs": one(
        "batch_size, rng)\n        ]",
        "batch_size, np.random.default_rng(0))\n        ]",
        ["training_steps"],
        "All epochs have the same order",
    ),
    "another learning rate": one(
        "y[batch], learning_rate)",
        "y[batch], learning_rate / 2)",
        ["training_steps"],
        r"learning rates \[0.05\], expected 0.1",
    ),
    "batches of another size": one(
        "order[start : start + batch_size] " + CUT,
        "order[start : start + 9] for start in range(0, n, 9)]",
        ["batches_sizes"],
        "in batches of 5 have the sizes",
    ),
    "uphill": one(UPDATE, UPDATE.replace("-=", "+="), ["step_descends"], "uphill"),
    "no learning rate": one(
        UPDATE,
        UPDATE.replace("learning_rate * ", ""),
        ["step_descends"],
        "The learning rate is missing",
    ),
    "divided by N again": one(UPDATE, UPDATE + " / len(x)", ["step_descends"], "by N twice"),
    "a name bound, no parameter moved": one(
        UPDATE,
        "parameters = net.parameters.vector - learning_rate * gradients.vector",
        STEPS,
        "works in place",
    ),
    "only the weights moved": one(
        UPDATE,
        "net.parameters.weights[:] -= learning_rate * gradients.weights",
        ["step_descends"],
        "biases are trained too",
    ),
    "penalty not added": one(ADD, "", ["step_penalty"], "never added"),
    "penalty added twice": one(ADD, ADD + ADD, ["step_penalty"], "added twice"),
    "biases penalized": one(
        ADD,
        "    if net.penalty:\n"
        "        gradients.vector += net.penalty.strength * net.parameters.vector\n",
        ["step_penalty"],
        "Penalize weights alone",
    ),
    "penalty divided by N": one(
        ADD,
        "    if net.penalty:\n"
        "        gradients.weights[:] += net.penalty.strength * net.parameters.weights / len(x)\n",
        ["step_penalty"],
        "by a number by which its value is not",
    ),
    "forward in inference mode": one(
        FORWARD,
        "net.forward(x)",
        [*STEPS, "step_value"],
        "training=True",
    ),
    "another mask in backward": one(
        "    gradients = net.backward",
        "    _, cache = net.forward(x, training=True)\n    gradients = net.backward",
        ["step_dropout"],
        "not follow the gradient of this forward",
    ),
    "penalty not counted": one(TOTAL, "value", ["step_value"], "The penalty is missing"),
    "data loss not counted": one(TOTAL, "net.penalty_value()", ["step_value"], "Add the data loss"),
    "penalty counted after the step": (
        [(TOTAL, "value"), ("return total", "return total + net.penalty_value()")],
        ["step_value"],
        "before the step",
    ),
    "one epoch's number alone": one(
        "return history",
        "return history[-1]",
        ["training_history"],
        "one number for each epoch",
    ),
    "one epoch in all": one(
        "for _ in range(epochs):",
        "for _ in range(1):",
        ["training_steps", "training_history"],
        "one number for each epoch",
    ),
    "the number right, not the share": one(
        "np.mean(net.predict", "np.sum(net.predict", ["accuracy_share"], "not the number"
    ),
    "the largest of each column": one(
        "argmax(axis=1) == y", "argmax(axis=0)[0] == y", ["accuracy_share"], "expected"
    ),
    "measured in training mode": one(
        "net.predict(x)",
        "net.forward(x, training=True)[0]",
        ["accuracy_inference"],
        "with units dropped",
    ),
}

DX = "dy * (s + self.beta * x * s * (1 - s))"
DBETA = "(dy * x * x * s * (1 - s)).sum(axis=0)"
KEEPING = "cache.x, cache.s = x, s"
WRITING = 'gradients["beta"][...] ='

OWN_LAYER = {
    "beta a weight": one(", weight=False", "", ["declares"], "penalties would shrink it"),
    "beta from zero": one("nn.ones", "nn.zeros", ["declares"], "must start at 1"),
    "beta of another shape": one(
        "Parameter((inputs,)", "Parameter((inputs, 1)", EVERY, r"has the shape \(4, 1\)"
    ),
    "beta forgotten in forward": one(
        "nn.sigmoid(self.beta * x)", "nn.sigmoid(x)", ["forward", "dx", "dbeta"], "beta is missing"
    ),
    "x forgotten in forward": one("return x * s", "return s", ["forward"], "x is missing"),
    "one term of the product": one(DX, "dy * s", ["dx"], "also has x"),
    "the other term of the product": one(
        DX, "dy * (self.beta * x * s * (1 - s))", ["dx"], "also has s itself"
    ),
    "inner derivative forgotten": one(
        DX, "dy * (s + x * s * (1 - s))", ["dx"], "its derivative is beta"
    ),
    "dy forgotten": one(
        DX, DX.replace("dy * ", ""), ["dx"], "dy is missing"
    ),
    "the derivative forgotten": one(DX, "dy * 1.0", ["dx"], "derivative is missing"),
    "dx of the wrong sign": one(DX, "-" + DX, ["dx"], "wrong sign"),
    "one x too few": one(
        DBETA, DBETA.replace("x * x", "x"), ["dbeta"], "has the derivative x with respect"
    ),
    "beta for x": one(
        DBETA, DBETA.replace("x * x", "self.beta * x"), ["dbeta"], "factor of the chain rule is x"
    ),
    "the sigmoid not differentiated": one(
        DBETA, DBETA.replace(" * (1 - s)", ""), ["dbeta"], "must be differentiated"
    ),
    "averaged over the batch": one(
        DBETA, DBETA.replace(".sum", ".mean"), ["dbeta"], "divided by N"
    ),
    "from the last row": one(DBETA, DBETA.replace(".sum(axis=0)", "[-1]"), ["dbeta"], "last row"),
    "not written": one(
        f"{WRITING} {DBETA}", "return", ["dbeta", "overwrites"], "zero everywhere"
    ),
    "accumulated": one(WRITING, 'gradients["beta"] +=', ["overwrites"], "the previous batch"),
    "array replaced": one(
        WRITING, 'gradients["beta"] =', ["overwrites"], "uses only the old one"
    ),
    "kept on the layer": (
        [(KEEPING, "self.x, self.s = x, s")]
        + [
            (f'        """{line}"""\n        x, s = cache.x, cache.s',
             f'        """{line}"""\n        x, s = self.x, self.s')
            for line in (
                "Return ``dx``; dy (N, D), dx (N, D).",
                'Write the derivative with respect to beta, (D,), into ``gradients["beta"]``.',
            )
        ],
        ["remembers_nothing"],
        "stores state in attributes",
    ),
    "x damaged": one(
        "return x * s",
        "x *= s\n        return x * 1.0",
        ["dx", "dbeta", "changes_nothing"],
        "forward changes its input",
    ),
    "dy damaged": one(
        f"return {DX}",
        "dy *= s + self.beta * x * s * (1 - s)\n        return dy",
        ["changes_nothing"],
        "dy in place",
    ),
    "parameters changed in gradient": one(
        f"{WRITING} {DBETA}",
        f"{WRITING} {DBETA}\n        self.beta -= 0.1",
        ["changes_nothing"],
        "Only the optimizer may update",
    ),
    "float64 whatever comes": one(
        "return x * s", "return x * s * np.ones(1)", ["keeps_dtype"], "is float64 for float32"
    ),
}  # fmt: skip
OWN_LAYER["float64 whatever comes"][0].append(
    ("import nnreg as nn", "import numpy as np\n\nimport nnreg as nn")
)

FORWARD_7 = "np.maximum(activations[-1] @ w + b, 0)"
VALUE_7 = "-log_p[rows, labels].mean() + penalty"
PENALTY_7 = "strength / 2 * sum(np.sum(w**2) for w, _ in layers)"
DW_7, DB_7 = "a.T @ dy + strength * w", "dy.sum(axis=0)"
BACK_7 = "dy @ w.T * (a > 0)"
ORDER_7 = "order, values = rng.permutation(len(x)), []"
TRAINED = ["training_curve", "training_batches", "hidden_rows"]

WHOLE_NETWORK = {
    "weights not scaled": one(
        " * np.sqrt(2 / d)", "", ["initial_weights"], r"Multiply by sqrt\(2/D\)"
    ),
    "no root": one("np.sqrt(2 / d)", "(2 / d)", ["initial_weights"], "The root is missing"),
    "Glorot's scale": one("np.sqrt(2 / d)", "np.sqrt(1 / d)", ["initial_weights"], "factor is 2"),
    "scaled by the outputs": one(
        "np.sqrt(2 / d)", "np.sqrt(2 / m)", ["initial_weights"], "inputs, not of outputs"
    ),
    "biases not zero": one("np.zeros(m)", "np.ones(m)", ["initial_biases"], "are not zero"),
    "weights from another generator": one(
        "rng.standard_normal",
        "np.random.default_rng().standard_normal",
        ["initial_draws"],
        "from rng",
    ),
    "a seed inside": one(
        "rng.standard_normal",
        "np.random.default_rng(0).standard_normal",
        ["initial_draws"],
        "set no",
    ),
    "ReLU after the logits": one(
        "activations[-1] @ w + b]",
        "np.maximum(activations[-1] @ w + b, 0)]",
        ["forward_activations"],
        "no ReLU after the logits",
    ),
    "no ReLU": one(FORWARD_7, "activations[-1] @ w + b", ["forward_activations"], "ends with ReLU"),
    "no biases": one(
        FORWARD_7, FORWARD_7.replace(" + b", ""), ["forward_activations"], "b is missing"
    ),
    "only the logits returned": one(
        "return [*activations, activations[-1] @ w + b]",
        "return activations[-1] @ w + b",
        ["forward_activations"],
        "must return a list of 4 arrays",
    ),
    "penalty not in the value": one(
        VALUE_7, VALUE_7.replace(" + penalty", ""), ["objective_value"], "The penalty is missing"
    ),
    "no 1/2": one(PENALTY_7, PENALTY_7.replace(" / 2", ""), ["objective_value"], "factor 1/2"),
    "biases in the value": one(
        PENALTY_7,
        "strength / 2 * sum(np.sum(w**2) + np.sum(b**2) for w, b in layers)",
        ["objective_value"],
        "weights alone",
    ),
    "sum of the rows": one(
        VALUE_7, VALUE_7.replace("mean", "sum"), ["objective_value"], "not the sum"
    ),
    "gradient without 1/N": one("    dy /= len(x)\n", "", ["gradient_last"], "factor 1/N"),
    "1/N twice": one("dy /= len(x)", "dy /= len(x) ** 2", ["gradient_last"], "occurs twice"),
    "gradient of the wrong sign": one(
        "dy /= len(x)", "dy /= -len(x)", ["gradient_last"], "The sign"
    ),
    "ReLU not differentiated": one(
        BACK_7, "dy @ w.T", ["gradient_hidden"], "derivative of ReLU is missing"
    ),
    "db averaged": one(DB_7, "dy.mean(axis=0)", ["gradient_biases"], "db is the mean over"),
    "no gradient of the penalty": one(
        DW_7, "a.T @ dy", ["gradient_penalty"], "gradient of the penalty is missing"
    ),
    "2 strength w": one(DW_7, DW_7.replace("strength", "2 * strength"), ["gradient_penalty"], "2"),
    "biases penalized": (
        [("a, (w, _) in zip", "a, (w, b) in zip"), (DB_7, f"{DB_7} + strength * b")],
        ["gradient_penalty"],
        "Penalize weights alone",
    ),
    "gradients in the wrong order": one(
        "gradients.insert(0, (a.T @ dy + strength * w, dy.sum(axis=0)))",
        "gradients.append((a.T @ dy + strength * w, dy.sum(axis=0)))",
        ["gradient_last", "gradient_hidden", "gradient_biases", "gradient_penalty"],
        "dw of the last layer has the shape",
    ),
    "uphill": one(
        "w - learning_rate * dw",
        "w + learning_rate * dw",
        ["training_curve", "hidden_rows"],
        "one step downhill",
    ),
    "never a step": one(
        "w - learning_rate * dw, b - learning_rate * db",
        "w, b",
        ["training_curve", "hidden_rows"],
        "one step downhill",
    ),
    "not shuffled": one(
        "rng.permutation(len(x))", "np.arange(len(x))", ["training_batches"], "order of the data"
    ),
    "rows drawn with replacement": one(
        "rng.permutation(len(x))",
        "rng.integers(0, len(x), len(x))",
        ["training_batches"],
        "use every row once",
    ),
    "one epoch": one("range(epochs)", "range(1)", TRAINED, "one number for each epoch"),
    "the last batch left out": one(
        "range(0, len(x), batch_size)",
        "range(0, len(x) - batch_size + 1, batch_size)",
        ["training_batches"],
        "last batch of an epoch has 30 rows",
    ),
    "an order from another generator": one(
        "rng.permutation", "np.random.permutation", ["training_batches"], "from rng"
    ),
    "biases not trained": one(
        "b - learning_rate * db", "b", ["training_curve"], "b - learning_rate"
    ),
    "trained without a penalty": one(
        "labels[rows], strength)", "labels[rows], 0.0)", ["training_curve"], "argument strength"
    ),
    "the last batch in the history": one(
        "np.mean(values)", "values[-1]", ["training_curve"], "last batch, not the mean"
    ),
    "uniform weights": one(
        "rng.standard_normal((d, m)) * np.sqrt(2 / d)",
        "rng.uniform(-1, 1, (d, m)) * np.sqrt(6 / d)",
        ["initial_weights"],
        "not normal",
    ),
    "sums in the history": one(
        "np.mean(values)", "np.sum(values)", ["training_curve"], "sums, not means"
    ),
    "the number right": one(
        "np.mean(forward", "np.sum(forward", ["accuracy_share"], "not the number"
    ),
}

LOSSES_8 = 'nn.evaluate(net, x, labels, loss=loss)["data_loss"]'
ZEROS_8 = "net.parameters.weights == 0"
LOWEST = "np.argmin(np.mean(losses, axis=1))"

EXPERIMENT = {
    "with the penalty": one(
        LOSSES_8, LOSSES_8.replace("data_loss", "loss"), ["measure_losses"], "without the penalty"
    ),
    "in training mode": one(
        LOSSES_8,
        "loss(net.forward(x, training=True)[0], labels)[0]",
        ["measure_losses"],
        "in training mode",
    ),
    "the wrong rows": one(
        LOSSES_8,
        'nn.evaluate(net, x_validation, labels_validation, loss=loss)["data_loss"]',
        ["measure_losses"],
        "wrong way round",
    ),
    "biases counted": one(
        ZEROS_8, "net.parameters.vector == 0", ["measure_zeros"], "Biases are not weights"
    ),
    "almost zero counted": one(
        ZEROS_8, "abs(net.parameters.weights) < 1e-6", ["measure_zeros"], "Exactly zero"
    ),
    "the others counted": one(
        ZEROS_8, "net.parameters.weights != 0", ["measure_zeros"], "Count the zeros"
    ),
    "no penalty": one("penalty=penalty, ", "", ["run_trains"], "penalty is missing"),
    "no seed": one(", seed=seed", "", ["run_trains"], "Two seeds give the same"),
    "no dropout": one("keep_prob=keep_prob", "keep_prob=1.0", ["run_trains"], "another keep_prob"),
    "too few epochs": one("epochs=60", "epochs=2", ["run_trains"], "trained for 4 steps"),
    "no validation": one(
        "        validation_data=validation_data,\n", "", ["run_trains"], "no validation losses"
    ),
    "the highest": one(LOWEST, LOWEST.replace("min", "max"), ["choose_lowest"], "not the highest"),
    "the best seed": one(
        LOWEST, "np.argmin(np.min(losses, axis=1))", ["choose_lowest"], "not the best or"
    ),
    "the middle seed": one(LOWEST, LOWEST.replace("mean", "median"), ["choose_lowest"], "middle"),
    "another penalty": one(
        "penalty=penalty", "penalty=penalty and nn.L2(0.01)", ["run_trains"], "penalty that is"
    ),
    "another optimizer": one("nn.Adam(0.01)", "nn.SGD(0.01)", ["run_trains"], r"Adam\(0\.01\)"),
    "validated on the training rows": one(
        "validation_data=validation_data", "validation_data=(x, labels)", ["run_trains"], "not the"
    ),
    "the index": one(f"strengths[{LOWEST}]", LOWEST, ["choose_lowest"], "not its index"),
    "best by the training loss": one(
        '"best_strength": 0.01',
        '"best_strength": 0.0',
        ["finds_best_strength"],
        r"validation loss of 1\.\d+ ± 0\.\d+; 0\.01 has 0\.9.*training loss is lowest without",
    ),
    "best by the gap": one(
        '"best_strength": 0.01', '"best_strength": 0.1', ["finds_best_strength"], "smallest gap"
    ),
    "underfit without a penalty": one(
        '"underfits": 0.1', '"underfits": 0.0', ["finds_underfit"], "if less penalty lowers"
    ),
    "overfit with dropout": one(
        '"overfits": "none"',
        '"overfits": "dropout"',
        ["finds_overfit"],
        "With dropout the validation loss exceeds",
    ),
    "the last epoch": one(
        '"best_epoch": 15', '"best_epoch": 60', ["finds_best_epoch"], "lowest at the end"
    ),
    "zeros with L2": one('"L2": 0', '"L2": 12', ["finds_zeros"], "no weight arrives at zero"),
    "no zeros with L1": one('"L1": 2400', '"L1": 0', ["finds_zeros"], "the subgradient gives no"),
    "a finding left out": one(
        '        "overfits": "none",\n', "", ["finds_overfit"], 'has no "overfits"'
    ),
}

#: (number of the exercise, mistake) -> replacements, costs, words
MISTAKES = {
    (number, name): mistake
    for number, mistakes in enumerate(
        [
            AFFINE_AND_RELU,
            CROSS_ENTROPY,
            PENALTIES,
            DROPOUT,
            TRAINING,
            OWN_LAYER,
            WHOLE_NETWORK,
            EXPERIMENT,
        ],
        start=1,
    )
    for name, mistake in mistakes.items()
}
