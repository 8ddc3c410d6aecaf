"""Exercise 1 as it is handed in: the solution, and what students write instead of its lines."""

from pathlib import Path

COURSE = Path(__file__).parents[1] / "docs" / "course"
SOLUTION = (COURSE / "solutions" / "exercise_1.py").read_text(encoding="utf-8")


def changed(*replacements, of=SOLUTION):
    for old, new in replacements:
        assert of.count(old) == 1, old
        of = of.replace(old, new)
    return of


MASK = "(rng.random(x.shape) < keep_prob) / keep_prob"
EVERY = "every check"
NOT_TRAINING = "    if not training:\n        return x, None\n"

# What a student wrote instead, the checks that it costs points, and words from the reason.
MISTAKES = {
    "dw transposed": ([("x.T @ dy", "dy.T @ x")], ["affine_dw"], "dw is the transpose"),
    "dw reshaped until it fits": (
        [("x.T @ dy", "(dy.T @ x).reshape(w.shape)")],
        ["affine_dw"],
        "reshaped until it fitted",
    ),
    "dw divided by N": ([("x.T @ dy", "x.T @ dy / len(x)")], ["affine_dw"], "divided by N"),
    "db not summed": ([("dy.sum(axis=0)", "dy")], ["affine_db"], "db is not summed"),
    "db averaged": ([("dy.sum(axis=0)", "dy.mean(axis=0)")], ["affine_db"], "mean over the batch"),
    "db summed over everything": (
        [("dy.sum(axis=0)", "np.sum(dy) + np.zeros(dy.shape[1])")],
        ["affine_db"],
        "Say axis=0",
    ),
    "dx without w": ([("dy @ w.T", "dy")], ["affine_dx"], "dx"),
    "the bias forgotten in forward": ([("x @ w + b", "x @ w")], ["affine_forward"], r"wanted is"),
    "one row squeezed": (
        [("return x @ w + b, (x, w)", "return np.squeeze(x @ w + b), (x, w)")],
        ["affine_one_row"],
        r"has the shape \(3,\), wanted is \(1, 3\)",
    ),
    "a gradient forgotten in return": (
        [("return dx, dw, db", "return dx, dw")],
        ["affine_dx", "affine_dw", "affine_db", "affine_one_row"],
        r"must return 3 gradient\(s\)",
    ),
    "x damaged by affine": (
        [("    return x @ w + b, (x, w)", "    y = x @ w + b\n    x *= 1.5\n    return y, (x, w)")],
        ["affine_dw", "affine_changes_nothing"],
        "forward changes its input",
    ),
    "no mask in ReLU": ([("dy * (x > 0)", "dy")], ["relu_dx", "relu_at_zero"], r"\(x > 0\)"),
    "mask from dy": (
        [("dy * (x > 0)", "dy * (dy > 0)")],
        ["relu_dx", "relu_at_zero"],
        r"\[dy > 0\]",
    ),
    "one at zero": ([("x > 0", "x >= 0")], ["relu_at_zero"], "not >= 0"),
    "dy damaged by ReLU": (
        [("    return dy * (x > 0)", "    dy[x <= 0] = 0\n    return dy")],
        ["relu_changes_nothing"],
        "dy in place",
    ),
    "ReLU of the wrong sign": ([("np.maximum(x", "np.minimum(x")], ["relu_forward"], "wanted is"),
    "mask forgotten in backward": (
        [("dy if mask is None else dy * mask", "dy")],
        ["dropout_dx"],
        "the mask is not applied in backward",
    ),
    "scale forgotten in backward": (
        [("else dy * mask", "else dy * (mask > 0)")],
        ["dropout_dx"],
        "scale 1/keep_prob is missing in backward",
    ),
    "mask drawn again in backward": (
        [("else dy * mask", "else dy * (np.random.default_rng().random(dy.shape) < 0.6) / 0.6")],
        ["dropout_dx"],
        "another mask than y",
    ),
    "scale missing": (
        [(MASK, "rng.random(x.shape) < keep_prob")],
        ["dropout_scale"],
        "divide the kept",
    ),
    "scaled at inference too": (
        [("return x, None", "return x * keep_prob, None")],
        ["dropout_inference"],
        "so that inference need do nothing",
    ),
    "scaled at inference instead": (
        [
            (MASK, "rng.random(x.shape) < keep_prob"),
            ("return x, None", "return x * keep_prob, None"),
        ],
        ["dropout_scale", "dropout_inference"],
        "Outside training",
    ),
    "on at inference": (
        [(NOT_TRAINING, "")],
        ["dropout_inference", "dropout_dx_inference"],
        "Units are dropped outside training",
    ),
    "keeps with the probability to drop": (
        [(MASK, "(rng.random(x.shape) > keep_prob) / (1 - keep_prob)")],
        ["dropout_share"],
        "21% of the units are kept.*mask = random < keep_prob",
    ),
    "one mask for ever": (
        [("rng.random", "np.random.default_rng(0).random")],
        ["dropout_draws"],
        "seed nothing",
    ),
    "draws from elsewhere": (
        [("rng.random", "np.random.default_rng().random")],
        ["dropout_draws"],
        "draw from rng",
    ),
    "never drops": (
        [(MASK, "np.ones(x.shape)")],
        [
            "dropout_share",
            "dropout_scale",
            "dropout_dx",
            "dropout_draws",
            "dropout_changes_nothing",
        ],
        "some units must be dropped",
    ),
    "no cache": (
        [("return np.maximum(x, 0), x", "return np.maximum(x, 0)")],
        ["relu_forward", "relu_dx", "relu_at_zero", "relu_changes_nothing"],
        r"must return the pair \(y, cache\), got ndarray",
    ),
    "crashes": (
        [("np.maximum(x, 0), x", "np.maximun(x, 0), x")],
        ["relu_forward", "relu_dx", "relu_at_zero", "relu_changes_nothing"],
        r"has no attribute 'maximun'.* \(submission, line 28, in relu_forward\)",
    ),
    "a function missing": (
        [("def relu_backward", "def relu_backwards")],
        ["relu_dx", "relu_at_zero", "relu_changes_nothing"],
        "The submission has no function relu_backward.",
    ),
    "a syntax error": ([("dy @ w.T", "dy @ @ w.T")], EVERY, r"SyntaxError.*line 20"),
    "a crash on import": (
        [("import numpy as np", "import numpy as np\n\nprint(1 / 0)")],
        EVERY,
        r"ZeroDivisionError: division by zero \(submission, line 5",
    ),
}
