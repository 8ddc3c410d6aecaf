"""Pairing of returned gradients with arguments.

Pairing uses names, positions and shapes, or the explicit argument ``wrt=``; never values. A
gradient that belongs to no argument is reported, and the check does not pass.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck import calling, tree
from nnreg.gradcheck.tree import Path

#: Names of arguments that are targets, and of arguments that are parameters.
TARGETS = re.compile(
    r"(?i)(y|t|ys|labels?|targets?|truths?|actuals?|expected|classes)(_?(true|batch|train|data))?"
    r"|true_?\w*|\w*_?(true|labels?|targets?|truth|actual)|y_?onehot|one_?hot|sample_?weights?"
)
PARAMETERS = re.compile(
    r"(?i)w\d*|b\d*|weights?|theta|beta|coefs?|params?|parameters|bias|\w*_weights?"
)

#: Prefixes and suffixes of the name of a gradient around the name of the argument.
AFFIXES = (
    r"^(d_|grads?_|grad(?=[A-Z])|nabla_|del_|delta_|d)|(_grads?|_gradient)$",
    r"(?i)^d(l|j|c|e|loss|cost|error)_?d_?",
)
#: Added to the reason if a gradient belongs to no argument.
HINT = ". Pass wrt= to state which argument it belongs to; None excludes it"


@dataclass
class Pairs:
    """Gradients by the path of their argument, and those that belong to none, with the reason.

    Attributes
    ----------
    arguments, names : sequence
        The arguments of forward and their names.
    function : callable
        The function that returns the gradients.
    is_value : bool
        Whether it returns ``(value, gradients)``.
    blocks : mapping of str to path
        The names that are allowed in ``wrt``.
    """

    arguments: Sequence[Any]
    names: Sequence[str]
    function: Callable[..., Any]
    is_value: bool
    blocks: Mapping[str, Path]
    matched: dict[Path, Array] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def pair(self, answer: Any, wrt: Any = None) -> None:
        """Pair the result of backward, or of the function, according to ``wrt`` if it is passed."""
        if isinstance(answer, Mapping):
            self._pair_by_name(answer, wrt if isinstance(wrt, Mapping) else {})
        elif wrt is not None:
            self._pair_chosen(list(answer) if isinstance(answer, tuple | list) else [answer], wrt)
        elif answer is not None:
            self._pair_by_position(answer)

    def _pair_by_name(self, answer: Mapping[Any, Any], chosen: Mapping[Any, Any]) -> None:
        tops = [((("item", i),), argument) for i, argument in enumerate(self.arguments)]
        targets: dict[Any, tuple[Path, Any]] = {}
        for top, argument in tops:
            for step, child in tree.children(argument) if not tree.is_leaf(argument) else ():
                targets.setdefault(step[1], ((*top, step), child))
        targets |= dict(zip(self.names, tops, strict=True))
        for key, part in answer.items():
            if key in chosen:
                self._add_chosen(chosen[key], part, tree.quote(key))
            else:
                self._add_named(key, part, targets, tree.quote(key))

    def _pair_chosen(self, answers: list[Any], wrt: Any) -> None:
        chosen = [wrt] if isinstance(wrt, str) else list(wrt)
        if len(chosen) != len(answers) or isinstance(wrt, Mapping):
            raise ValueError(
                f"wrt must name an argument for each of the {len(answers)} gradients that are "
                f"returned (None excludes one), got {wrt!r}"
            )
        for index, (name, part) in enumerate(zip(chosen, answers, strict=True)):
            self._add_chosen(name, part, f"gradient {index + 1}")

    def _add_chosen(self, name: Any, answer: Any, label: str) -> None:
        if name is None:
            self.left_out.append(label)
        elif isinstance(name, str) and name in self.blocks:
            path = self.blocks[name]
            self.add(path, tree.get(self.arguments, path), answer, label)
        else:
            raise ValueError(f"wrt names {name!r}; the arguments are {', '.join(self.blocks)}")

    def _pair_by_position(self, answer: Any) -> None:
        is_leaf = tree.is_leaf(answer) or not isinstance(answer, tuple | list)
        answers = [answer] if is_leaf else list(answer)
        floats = [i for i, a in enumerate(self.arguments) if holds_floats(a)]
        if len(floats) == 1 and not is_leaf:
            only = self.arguments[floats[0]]  # the gradients may have its structure
            if not tree.is_leaf(only) and len(answers) == len(tree.children(only)) != 1:
                self.add((("item", floats[0]),), only, answer, "gradient")
                return
        positions = _positions(answers, self.arguments, self.names, self.is_value)
        targets = [((("item", i),), self.arguments[i]) for i in positions]
        has_values = len(answers) > 1 and _is_group(answers[0]) and all(map(_is_plain, answers[1:]))
        if has_values and (not targets or tree.is_leaf(targets[0][1])):
            code = calling.write_first(self.function, is_value=self.is_value)
            for part in filter(holds_numbers, answers[1:]):
                self.unmatched[f"the value {part}"] = (
                    f"it is returned with the gradients. If it is none, remove it: {code}"
                )
            self.pair(answers[0])
            return
        for index, part in enumerate(answers):
            label = f"gradient {index + 1} of {len(answers)}"
            if (
                index < len(targets)
                and isinstance(part, Mapping)
                and tree.is_leaf(targets[index][1])
            ):
                self.pair(part)
            elif index < len(targets):
                self.add(*targets[index], part, label)
            elif any(True for _ in tree.leaves(part)):
                hint = HINT
                for name, argument in zip(self.names, self.arguments, strict=True):
                    if hasattr(argument, "to_numpy"):
                        hint = f": {name} is a frame; pass {name}.to_numpy()"
                    elif isinstance(argument, np.ndarray) and argument.dtype.kind in "Oc":
                        hint = f": {name} has dtype {argument.dtype}; pass real numbers"
                self.unmatched[label] = f"there is no further argument{hint}"

    def add(self, path: Path, leaf: Any, answer: Any, label: str) -> None:
        """Pair the tree of gradients ``answer`` with the argument at ``path``."""
        if answer is None:
            return
        if tree.is_leaf(leaf):
            if path in self.matched:
                self.unmatched[label] = "another gradient belongs to the same argument" + HINT
            elif tree.is_leaf(answer):
                self.matched[path] = np.array(answer)
            elif isinstance(answer, Mapping | list | tuple) and len(answer) == 1:
                self.add(path, leaf, tree.children(answer)[0][1], label)
            else:
                self.unmatched[label] = f"it is a {type(answer).__name__}, not an array{HINT}"
            return
        inner = tree.children(leaf)
        if isinstance(answer, np.ndarray) and len(inner) == 1:
            answer = [answer]
        elif isinstance(answer, np.ndarray) and np.shape(answer)[:1] == (len(inner),):
            answer = list(answer)
        if tree.is_leaf(answer) and not isinstance(answer, list):
            self.unmatched[label] = f"it is one array, and the argument has {len(inner)}{HINT}"
        elif isinstance(answer, list | tuple):
            numbers = [child for child in inner if holds_numbers(child[1])]
            targets = inner if len(answer) == len(inner) else numbers
            for (step, child), part in zip(targets, answer, strict=False):
                self.add((*path, step), child, part, tree.name(label, (step,)))
            for index in range(len(targets), len(answer)):
                self.unmatched[f"{label}[{index}]"] = "it has no counterpart in the argument" + HINT
        else:
            by_name = {step[1]: ((*path, step), child) for step, child in inner}
            for step, part in tree.children(answer):
                self._add_named(step[1], part, by_name, tree.name(label, (step,)))

    def _add_named(
        self, key: Any, answer: Any, targets: Mapping[Any, tuple[Path, Any]], label: str
    ) -> None:
        """Pair the gradient with the name ``key`` with the target of that name."""
        name = next((n for n in plain_names(key) if n in targets), None)
        if name is not None:
            self.add(*targets[name], answer, label)
        elif answer is not None and any(True for _ in tree.leaves(answer)):
            self.unmatched[label] = "no argument has this name" + HINT


def plain_names(key: Any) -> list[Any]:
    """Return the names of arguments to which a gradient with the name ``key`` may belong.

    >>> plain_names("dW1"), plain_names("grad_b"), plain_names("dL_dx")
    (['dW1', 'W1'], ['grad_b', 'b'], ['dL_dx', 'L_dx', 'x'])
    """
    if not isinstance(key, str):
        return [key]
    bare = (re.sub(affix, "", key) for affix in AFFIXES)
    return [*dict.fromkeys(name for name in (key, *bare) if name)]


def expand(answer: Any, names: Collection[str]) -> Any:
    """Return gradients in a generator as a list, and those in an object as a dictionary.

    A named tuple becomes a dictionary if the name of a field is that of a gradient with respect to
    one of ``names``.
    """
    if isinstance(answer, Iterator | ValuesView):
        return list(answer)
    if hasattr(answer, "_asdict"):
        named = any(name in names for key in answer._fields for name in plain_names(key))
        return answer._asdict() if named else answer
    if isinstance(answer, Mapping | list | tuple) or tree.is_leaf(answer):
        return answer
    return tree.attributes(answer) if tree.children(answer) else answer


def holds_numbers(argument: Any) -> bool:
    """Return whether there is a number in a tree that may be a variable of differentiation."""
    return any(
        np.asarray(leaf).dtype.kind in "fiu" and not isinstance(leaf, bool)
        for _, leaf in tree.leaves(argument)
    )


def holds_floats(argument: Any) -> bool:
    """Return whether there is a floating-point array in a tree."""
    return any(
        leaf.dtype.kind == "f"
        for _, leaf in tree.leaves(argument)
        if isinstance(leaf, np.ndarray | np.floating)
    )


def _is_group(answer: Any) -> bool:
    return isinstance(answer, Mapping | list | tuple) and not tree.is_leaf(answer)


def _is_plain(part: Any) -> bool:
    """Return whether all leaves of a tree are single numbers."""
    return all(isinstance(leaf, Number) for _, leaf in tree.leaves(part))


def _positions(
    answers: list[Any], arguments: Sequence[Any], names: Sequence[str], is_value: bool
) -> list[int]:
    """Return the position of the argument that each gradient belongs to."""
    numbers = [i for i, a in enumerate(arguments) if holds_numbers(a)]
    floats = [i for i in numbers if holds_floats(arguments[i])]
    inputs = [i for i in floats if not TARGETS.fullmatch(names[i])]
    weights = [i for i in inputs if PARAMETERS.fullmatch(names[i])]
    everything = list(range(len(arguments)))
    options = [everything, floats, numbers, *([weights] if is_value else []), inputs]
    for option in options:
        if len(option) == len(answers) and all(
            part is None or i in numbers for i, part in zip(option, answers, strict=True)
        ):
            return option
    matching = [
        list(option)
        for option in itertools.combinations(inputs or floats, len(answers))
        if all(_has_structure(arguments[i], part) for i, part in zip(option, answers, strict=True))
    ]
    return matching[0] if matching else inputs or floats or numbers


def _has_structure(argument: Any, answer: Any) -> bool:
    """Return whether a gradient has the structure and the shapes of an argument."""
    if answer is None:
        return True
    if tree.is_leaf(argument) or tree.is_leaf(answer):
        return tree.is_leaf(answer) and np.shape(argument) == np.shape(answer)
    inner = tree.children(argument), tree.children(answer)
    return len(inner[0]) == len(inner[1]) and all(
        _has_structure(a, b) for (_, a), (_, b) in zip(*inner, strict=True)
    )
