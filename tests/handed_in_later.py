"""Submissions for exercises 5 and 6, and all six together."""

from handed_in import AFFINE_AND_RELU, CROSS_ENTROPY, DROPOUT, EVERY, PENALTIES, one

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
    "batches of another size": one(
        "order[start : start + batch_size] " + CUT,
        "order[start : start + 9] for start in range(0, n, 9)]",
        ["batches_sizes"],
        "in batches of 5 come as",
    ),
    "uphill": one(UPDATE, UPDATE.replace("-=", "+="), ["step_descends"], "uphill"),
    "no learning rate": one(
        UPDATE,
        UPDATE.replace("learning_rate * ", ""),
        ["step_descends"],
        "The learning rate is missing",
    ),
    "divided by N again": one(UPDATE, UPDATE + " / len(x)", ["step_descends"], "by N once more"),
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
        "not along the gradient of the pass",
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
        ["training_learns", "training_steps"],
        "one number for each epoch",
    ),
    "one epoch in all": one(
        "for _ in range(epochs):",
        "for _ in range(1):",
        ["training_learns", "training_steps"],
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
    "beta a weight": one(", weight=False", "", ["declares"], "a penalty would pull it to 0"),
    "beta from zero": one("nn.ones", "nn.zeros", ["declares"], "must begin at 1"),
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
        DX, "dy * (s + x * s * (1 - s))", ["dx"], "so a beta comes out"
    ),
    "dy forgotten": one(
        DX, DX.replace("dy * ", ""), ["dx"], "dy is missing"
    ),
    "the derivative forgotten": one(DX, "dy * 1.0", ["dx"], "derivative is missing"),
    "dx of the wrong sign": one(DX, "-" + DX, ["dx"], "wrong sign"),
    "one x too few": one(
        DBETA, DBETA.replace("x * x", "x"), ["dbeta"], "so x stands there twice"
    ),
    "beta for x": one(
        DBETA, DBETA.replace("x * x", "self.beta * x"), ["dbeta"], "it is x that comes out"
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
    "accumulated": one(WRITING, 'gradients["beta"] +=', ["overwrites"], "last batch's gradient"),
    "array replaced": one(
        WRITING, 'gradients["beta"] =', ["overwrites"], "sees only the old one"
    ),
    "kept on the layer": (
        [(KEEPING, "self.x, self.s = x, s")]
        + [
            (f'        """{line}"""\n        x, s = cache.x, cache.s',
             f'        """{line}"""\n        x, s = self.x, self.s')
            for line in (
                "Return ``dx``; dy (N, D), dx (N, D).",
                'Write the derivative by beta, (D,), into ``gradients["beta"]``.',
            )
        ],
        ["remembers_nothing"],
        "keeps what backward needs on itself",
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
        "Updating is the optimizer's job",
    ),
    "float64 whatever comes": one(
        "return x * s", "return x * s * np.ones(1)", ["keeps_dtype"], "float32 comes in"
    ),
}  # fmt: skip
OWN_LAYER["float64 whatever comes"][0].append(
    ("import nnreg as nn", "import numpy as np\n\nimport nnreg as nn")
)

#: (number of the exercise, mistake) -> replacements, costs, words
MISTAKES = {
    (number, name): mistake
    for number, mistakes in enumerate(
        [AFFINE_AND_RELU, CROSS_ENTROPY, PENALTIES, DROPOUT, TRAINING, OWN_LAYER], start=1
    )
    for name, mistake in mistakes.items()
}
