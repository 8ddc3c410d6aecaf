"""The summary of a network: a table of its layers and their parameters."""

from __future__ import annotations

from typing import Any

NUMBERS = (1, 4)  # indices of the right-aligned columns


def summarize(net: Any) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the table of ``net.summary()``: headings, rows and remarks.

    There is a row for each parameter, and one for a layer without parameters.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network(
    ...     [nn.Dense(3), nn.ReLU(), nn.Dense(2, penalty=None)], inputs=4, penalty=nn.L2(0.1)
    ... )
    >>> net.summary()
    layer    outputs  parameter  shape   values  initial         penalty
    -------  -------  ---------  ------  ------  --------------  ----------------
    dense_1        3  weight     (4, 3)      12  he_normal       L2(strength=0.1)
                      bias       (3,)         3  zeros           none
    relu_1         3
    dense_2        2  weight     (3, 2)       6  glorot_uniform  none
                      bias       (2,)         2  zeros           none
    23 values: 18 weights, 5 others; 4 inputs, float32, seed 0
    Penalties: strength/2 * sum(w**2) for L2, strength * sum(abs(w)) for L1; never divided, never on
    biases.
    """
    rules = net.regularization
    head = ["layer", "outputs", "parameter", "shape", "values", "initial", "penalty"]
    head += ["constraint"] if rules.constraints else []
    rows = []
    for layer, width in zip(net.layers, net.widths[1:], strict=True):
        label = [layer.name, str(width)]
        for parameter_name, view in net.parameters.of(layer.name).items():
            name = f"{layer.name}.{parameter_name}"
            chosen = [rules.penalty_of(name), rules.constraint_of(name)]
            cells = [parameter_name, str(view.shape), f"{view.size:,}", net.initializers[name]]
            cells += ["none" if rule is None else repr(rule) for rule in chosen]
            rows.append([*label, *cells][: len(head)])
            label = ["", ""]
        if label[0]:
            settings = repr(layer).partition("(")[2].rstrip(")")
            rows.append([f"{layer.name} {settings}".rstrip(), str(width), *[""] * (len(head) - 2)])
    p = net.parameters
    remarks = [
        f"{p.vector.size:,} values: {p.weights.size:,} weights, {p.biases.size:,} others; "
        f"{net.inputs} inputs, {net.dtype}, seed {net.seed}",
        "Penalties: strength/2 * sum(w**2) for L2, strength * sum(abs(w)) for L1; "
        "never divided, never on biases.",
    ]
    if net.classes is not None:
        first = ", ".join(map(repr, net.classes[:10]))
        remarks.append(f"Classes: {first}{', ...' if len(net.classes) > 10 else ''}")
    return head, rows, remarks
