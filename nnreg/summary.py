"""A network in words: layers, shapes, parameters, initial values, penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnreg.network import Network


#: Columns of numbers.
RIGHT = (1, 4)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows of text in columns, those numbered in ``right`` flush right.

    >>> print(table(["name", "n"], [["a", "10"], ["bc", "9"]], right=[1]))
    name   n
    ----  --
    a     10
    bc     9
    """
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def summary(net: Network) -> str:
    """Return what ``net.summary()`` prints.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network(
    ...     [nn.Dense(3), nn.ReLU(), nn.Dense(2, penalty=None)], inputs=4, penalty=nn.L2(0.1)
    ... )
    >>> print(summary(net))
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
    head, rows = _cells(net)
    return "\n".join([table(head, rows, right=RIGHT), *_remarks(net)])


def summary_html(net: Network) -> str:
    """Return what a notebook shows of a network.

    >>> import nnreg as nn
    >>> summary_html(nn.Network([nn.ReLU()], inputs=2)).count("<tr")
    2
    """
    from nnreg import markup

    head, rows = _cells(net)
    return markup.table(head, rows, right=RIGHT) + markup.paragraphs(_remarks(net))


def _cells(net: Network) -> tuple[list[str], list[list[str]]]:
    limited = any(True for _ in net.constrained())
    rows = []
    for place, layer in enumerate(net.layers):
        label, width = layer.name, str(net.widths[place + 1])
        if settings := repr(layer).partition("(")[2].rstrip(")"):
            label += f" {settings}" if not net.parameters.of(layer.name) else ""
        first = True
        for own_name, view in net.parameters.of(layer.name).items():
            name = f"{layer.name}.{own_name}"
            rows.append(
                [
                    label if first else "",
                    width if first else "",
                    own_name,
                    str(view.shape),
                    f"{view.size:,}",
                    net.initializers[name],
                    _or_none(net.penalty_of(name)),
                    *([_or_none(net.constraint_of(name))] if limited else []),
                ]
            )
            first = False
        if first:
            rows.append([label, width, "", "", "", "", "", *([""] if limited else [])])
    head = ["layer", "outputs", "parameter", "shape", "values", "initial", "penalty"]
    head += ["constraint"] if limited else []
    return head, rows


def _remarks(net: Network) -> list[str]:
    p = net.parameters
    return [
        f"{p.vector.size:,} values: {p.weights.size:,} weights, {p.biases.size:,} others; "
        f"{net.inputs} inputs, {net.dtype}, seed {net.seed}",
        "Penalties: strength/2 * sum(w**2) for L2, strength * sum(abs(w)) for L1; "
        "never divided, never on biases.",
    ]


def _or_none(thing: object) -> str:
    return "none" if thing is None else repr(thing)
