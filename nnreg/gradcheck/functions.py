"""Functions and objects that were not written for nnreg, as problems of the gradient check.

Before every call the arguments, the object's attributes and every accessible random generator are
restored (:mod:`nnreg.gradcheck.snapshot`). So a mask drawn inside ``forward`` is the same in every
call, and after the check nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.gradcheck import calling, tree
from nnreg.gradcheck.numerical import NotComplexSafe, Values
from nnreg.gradcheck.pairing import Pairs, expand, plain_names
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.gradcheck.subjects import Problem
from nnreg.gradcheck.tree import Path

#: Lists of arrays, and those of their gradients.
LISTS = [("params", "grads"), ("parameters", "gradients")]


@dataclass
class Block:
    """An array, or a number, with respect to which derivatives may be computed.

    Its paths start at the list of the arguments, followed by the object of the methods. There is
    none if it is in the object, but not in an attribute.
    """

    value: Any
    paths: list[Path] = field(default_factory=list)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its numbers as an array."""
        return _dtype(self.value)


def from_functions(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    arguments: tuple[Any, ...],
    *,
    parameters: Mapping[str, Array] | None = None,
    gradients: Callable[[], Mapping[str, Array]] | Mapping[str, Array] | None = None,
    wrt: Any = None,
    dtype: str | None = None,
    named: Mapping[str, Any] | None = None,
    rng: Any,
) -> Problem:
    """Return the gradient check of functions as a problem.

    Parameters
    ----------
    forward : callable
        ``forward(*arguments)`` returns the output, or the output and a cache; with no ``backward``,
        the value and the gradients.
    backward : callable or None
        Called according to its signature, see :mod:`nnreg.gradcheck.calling`.
    arguments : tuple
        Trees; their numbers are the variables, where a gradient is returned.
    parameters : mapping of str to ndarray, optional
        Arrays of the object whose methods these are.
    gradients : callable or mapping, optional
        Returns the gradients with respect to ``parameters``, with the same names, after
        ``backward``; or these gradients.
    wrt : str, sequence or mapping, optional
        Which argument each returned gradient belongs to.
    dtype : {"float32", "float64"}, optional
        The arrays' dtype, by default float64.
    named : mapping, optional
        Further arguments of forward, by name.
    """
    arguments, parameters = calling.bind_arguments(
        forward, backward, arguments, named or {}, parameters
    )
    if (parameters is None) != (gradients is None) and (backward is not None or gradients):
        raise TypeError("parameters= and gradients= belong together: pass both, or neither")
    if not isinstance(parameters, Mapping | None):
        raise TypeError(
            "parameters must be a dictionary of arrays, such as net.params or {'W': net.W}, got "
            f"{type(parameters).__name__}"
        )
    if not (gradients is None or callable(gradients) or isinstance(gradients, Mapping)):
        raise TypeError(
            "gradients must be a function that returns them, or a dictionary of arrays, got "
            f"{type(gradients).__name__}"
        )
    if not isinstance(wrt, str | Sequence | Mapping | None):
        raise TypeError(f"wrt must be a name, or a list or dictionary of names, got {wrt!r}")
    functions = _Functions(forward, backward, arguments, dict(parameters or {}), dtype)
    functions.value_alone = backward is None and gradients is not None
    try:
        return functions.problem(gradients, wrt, rng)
    except BaseException:
        functions.close()
        raise


class _Functions:
    """Calls of two functions, after which everything that they changed is restored."""

    out: Array  # the output at the point
    after: dict[Path, Array]  # the object's arrays after backward
    value_alone = False  # whether forward may return the value without gradients

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any] | None,
        arguments: tuple[Any, ...],
        parameters: dict[str, Array],
        dtype: str | None,
    ) -> None:
        self.forward, self.backward, self.arguments = forward, backward, arguments
        self.name = getattr(forward, "__qualname__", repr(forward))
        self.names = calling.names_of(forward, len(arguments))
        for name, argument in zip(self.names, arguments, strict=True):
            if hasattr(argument, "collect_schema") and not hasattr(argument, "__array__"):
                validation.numeric(name, argument)  # raises: a lazy frame has no values
        layer = forward if hasattr(forward, "backward") else None  # a callable layer
        self.owner = getattr(forward, "__self__", layer)
        self.snapshot = Snapshot(arguments, parameters, forward, backward)
        self.single = dtype == "float32"
        self.written: list[Callable[[], None]] = []
        self.weights: Array | None = None
        self.notes: list[str] = []
        self.blocks = _find_blocks(arguments, self.names)
        self.paths = {n: b.paths[0] for n, b in self.blocks.items() if n not in parameters}
        self.blocks |= {name: self._find_attribute(array) for name, array in parameters.items()}
        # Copies that are passed instead of the arguments: float64 for float32.
        self.replaced = {
            name: np.array(block.value, dtype=np.float64)
            for name, block in self.blocks.items()
            if block.dtype.kind == "f" and block.dtype != np.float64 and not self.single
        }

    def close(self) -> None:
        """Restore everything."""
        self.restore()
        self.snapshot.restore(everything=True)

    def restore(self) -> None:
        """Undo what was written for the last call, and what the call changed."""
        self.undo_writes()
        self.snapshot.restore()

    def undo_writes(self) -> None:
        """Undo what was written for the last call."""
        while self.written:
            self.written.pop()()

    def _attributes(self) -> dict[Path, Any]:
        """Return the object's arrays and numbers by path."""
        return dict(tree.leaves(self.owner, (("item", len(self.arguments)),)))

    def _find_attribute(self, array: Any) -> Block:
        return Block(array, [p for p, leaf in self._attributes().items() if leaf is array])

    def run(self, name: str | None = None, array: Array | None = None) -> tuple[Any, list[Any]]:
        """Return the result of forward with one block replaced, and the arguments of this call."""
        arguments = [*self.arguments, self.owner]
        for replaced, value in self.replaced.items():
            self._write(arguments, replaced, value.copy())
        if name is not None and array is not None:
            self._write(arguments, name, array)
        arguments.pop()
        return self.forward(*arguments), arguments

    def _write(self, arguments: list[Any], name: str, array: Array) -> None:
        block = self.blocks[name]
        if not block.paths:
            if np.iscomplexobj(array):
                raise NotComplexSafe(f"{name} is changed in place, by real numbers")
            before = block.value.copy()
            np.copyto(block.value, array)
            self.written.append(lambda: np.copyto(block.value, before))
        if self.single:
            array = array.astype(block.dtype)
        leaf = tree.as_leaf(block.value, array)
        for path in block.paths:
            if len(path) == 1:
                arguments[path[0][1]] = leaf
            else:
                self.written.append(tree.put(arguments, path, leaf))

    def _split(self, result: Any) -> tuple[Array, Any]:
        """Return the output; or the value and the gradients returned with it."""
        if self.backward is None:
            if self.value_alone and tree.is_leaf(result):
                return calling.split_value((result, {}), self.forward)
            return calling.split_value(result, self.forward, self.names)
        return calling.output_of(result, self.owner, self.name), None

    def outputs(self, name: str | None = None, array: Array | None = None) -> Array:
        """Return a copy of forward's output, with one block replaced."""
        try:
            return np.array(self._split(self.run(name, array)[0])[0])
        finally:
            self.restore()

    def values(self, name: str, array: Array) -> Values:
        """Return the projection of the output, with one block replaced."""
        assert self.weights is not None
        return {"output": np.vdot(self.weights, self.outputs(name, array))}

    def problem(self, gradients: Any, wrt: Any, rng: Any) -> Problem:
        """Return the problem, with ``gradients`` and ``wrt`` as in :func:`from_functions`."""
        before = self._attributes()
        try:
            answers, pairs = self._gradients(gradients, wrt, rng)
        except Exception:  # the checked code may raise anything
            if not self.replaced:
                raise
            replaced, self.replaced, self.single = self.replaced, {}, True
            self.restore()
            # Raises again if float64 was not the reason.
            answers, pairs = self._gradients(gradients, wrt, rng)
            self.notes.append(
                f"{self.name} does not accept float64 for {', '.join(replaced)}: float32 was used"
            )
        # Objects that these two calls changed are restored after every further call.
        self.undo_writes()
        self.snapshot.settle()
        if not np.array_equal(self.out, self.outputs(), equal_nan=True):
            raise ValueError(
                f"{self.name} returns different outputs for the same arguments: it uses a random "
                "generator that is no argument, no attribute and not NumPy's global one; pass it "
                "as an argument, or seed it in the function"
            )
        if self.backward is not None and self.paths.keys() >= answers.keys():
            self._pair_attributes(before, answers)
        self._find_aliases(answers)
        if any([self._promote(name) for name in answers]):
            answers |= self._gradients(gradients, wrt, rng)[0]  # they may differ for floats
        self.restore()
        return self._finish(answers, pairs)

    def _gradients(self, gradients: Any, wrt: Any, rng: Any) -> tuple[dict[str, Array], Pairs]:
        """Run forward and backward, and return the gradients by block."""
        attributes = self._attributes()
        for path in attributes:
            if other := _gradient_path(path, attributes):
                # The gradient of an earlier pass, to which backward may add.
                zeros = np.zeros_like(attributes[other])
                self.written.append(tree.put([*self.arguments, self.owner], other, zeros))
        result, arguments = self.run()
        out, answer = self._split(result)
        self.out = np.array(out)
        if self.weights is None:
            self.weights = rng.standard_normal(out.shape) if out.ndim else np.ones(())
        dtype = out.dtype if out.dtype.kind == "f" else float
        dout = self.weights.astype(dtype) if out.ndim else 1.0
        call = answer if callable(answer) else None
        if self.backward is not None:
            call, note = calling.bind_backward(
                self.forward, self.backward, arguments, self.names, result, out
            )
            self.notes += [note] if note else []
        if call is not None:
            answer = call(dout)
            if out.ndim and not np.array_equal(dout, self.weights.astype(dtype)):
                self.notes.append(
                    "backward changes its argument, the derivative, in place: code that uses it "
                    "again gets different numbers"
                )
        if answer is None:  # the gradients are attributes of the object
            attrs = tree.attributes(self.owner)
            answer = next((attrs[n] for n in calling.INPUT_GRADIENTS if n in attrs), None)
        blocks = self.paths | {n: (("item", i),) for i, n in enumerate(self.names)}
        answer = expand(answer, blocks)
        is_value = self.backward is None
        answer = self._name_gradients(answer) if is_value else answer
        pairs = Pairs(arguments, self.names, self.backward or self.forward, is_value, blocks)
        pairs.pair(answer, wrt)
        self.after = {path: np.array(leaf) for path, leaf in self._attributes().items()}
        names, answers = {path: name for name, path in self.paths.items()}, {}
        for path, gradient in pairs.matched.items():
            if path in names:
                answers[names[path]] = gradient
            else:
                argument = tree.name(self.names[path[0][1]], path[1:])
                label = f"the gradient with respect to {argument}"
                pairs.unmatched[label] = f"{argument} has no real numbers"
        if gradients is not None:
            explicit = gradients if isinstance(gradients, Mapping) else gradients()
            answers |= self._explicit(dict(explicit), pairs)
            for key, part in answer.items() if isinstance(answer, Mapping) else ():
                if str(key) in answers and np.array_equal(
                    part, answers[str(key)]
                ):  # compared by this name
                    pairs.unmatched.pop(tree.quote(key), None)
        elif isinstance(answer, Mapping):
            answers |= self._pair_by_name(answer, pairs, attributes)
        if isinstance(answer, Mapping) and answer and not answers:
            raise ValueError(
                f"the gradients of {self.name} have the names {', '.join(map(str, answer))}; none "
                f"of these is an argument: {', '.join(self.blocks)}. For arrays that are not "
                "arguments, write check_gradients(lambda p: ..., p) with p a dictionary of them"
            )
        return answers, pairs

    def _name_gradients(self, answer: Any) -> Any:
        """Return gradients without names by name, if they belong to parameters or an attribute.

        One array belongs to the only attribute of its shape, if no argument has this shape.
        """
        state = [name for name in self.blocks if name not in self.paths]
        parts = list(answer) if isinstance(answer, tuple | list) else [answer]
        if isinstance(answer, Mapping) or not all(map(tree.is_leaf, parts)):
            return answer
        if state:
            shapes = [np.shape(self.blocks[name].value) for name in state]
            same = shapes == [np.shape(part) for part in parts]
            return dict(zip(state, parts, strict=True)) if same else answer
        shape = np.shape(answer) if len(parts) == 1 else ()
        if shape and all(np.shape(self.blocks[name].value) != shape for name in self.paths):
            names = [
                path[-1][1] for path, leaf in self._attributes().items() if np.shape(leaf) == shape
            ]
            return {names[0]: parts[0]} if len(names) == 1 else answer
        return answer

    def _explicit(self, explicit: dict[str, Any], pairs: Pairs) -> dict[str, Array]:
        """Return the result of ``gradients()``; names that are no parameter are unmatched."""
        state = [name for name in self.blocks if name not in self.paths]
        for name in state:
            if name not in explicit:
                raise ValueError(f"gradients() must return {name!r}, got {', '.join(explicit)}")
        for name in explicit:
            if name not in state:
                pairs.unmatched[f'gradients()["{name}"]'] = (
                    f'no parameter has this name: write parameters={{..., "{name}": ...}}'
                )
        return {name: np.array(explicit[name]) for name in state}

    def _pair_by_name(
        self, answer: Mapping[Any, Any], pairs: Pairs, before: Mapping[Path, Any]
    ) -> dict[str, Array]:
        """Pair gradients that belong to no argument with the object's arrays of these names.

        If it has ``dw`` too, a gradient with the name ``dw`` belongs to ``w``.
        """
        state = {name: block for name, block in self.blocks.items() if name not in self.paths}
        by_name = {name: {id(block.value): block.value} for name, block in state.items()}
        for path, leaf in self._attributes().items():
            if path in before and path[-1][1] not in state:
                by_name.setdefault(path[-1][1], {})[id(leaf)] = leaf
        result: dict[str, Array] = {}
        for key, part in answer.items():
            label, taken = tree.quote(key), self.paths | result
            plain = reversed(plain_names(key))
            names = [n for n in plain if len(by_name.get(n, ())) == 1 and n not in taken]
            if names and label in pairs.unmatched and tree.is_leaf(part):
                [leaf] = by_name[names[0]].values()
                self.blocks.setdefault(names[0], self._find_attribute(leaf))
                result[names[0]] = np.array(part)
                del pairs.unmatched[label]
        return result

    def _pair_attributes(self, before: dict[Path, Any], answers: dict[str, Array]) -> None:
        """Add the gradients that backward stores in attributes, such as ``dW`` for ``W``.

        Arrays without one, on which the output depends, become blocks that are not checked.
        """
        arrays = [
            (path, leaf, _gradient_path(path, self.after))
            for path, leaf in before.items()
            if path in self.after and isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
        ]
        for path, leaf, other in sorted(arrays, key=lambda array: array[2] is None):
            name = tree.name("", path[1:]).lstrip(".")
            if name in self.blocks or any(b.value is leaf for b in self.blocks.values()):
                continue
            self.blocks[name] = self._find_attribute(leaf)
            if not self._depends_on(name):
                del self.blocks[name]
            elif other is not None:
                answers[name] = self.after[other]
                gradient = tree.name("", other[1:]).lstrip(".")
                self.notes.append(f"{name} was compared with the attribute {gradient}")

    def _find_aliases(self, names: Iterable[str]) -> None:
        """Let blocks be changed in place if forward reads the array, but not its argument.

        As in ``lambda W: net.loss(X, y)`` with ``net.params["W"]``.
        """
        for name in names:
            block = self.blocks[name]
            if isinstance(block.value, np.ndarray) and not self._depends_on(name):
                paths, block.paths = block.paths, []
                if not self._depends_on(name):
                    block.paths = paths

    def _depends_on(self, name: str) -> bool:
        """Return whether the output changes when a block is changed."""
        changed = np.asarray(self.blocks[name].value, dtype=np.float64) * 1.01 + 0.01
        try:
            return not np.array_equal(self.out, self.outputs(name, changed), equal_nan=True)
        except Exception:  # the checked code may raise anything
            return True

    def _promote(self, name: str) -> bool:
        """Replace a block of integers, or a list, by floats if forward accepts them."""
        if self.blocks[name].dtype.kind == "f" or name in self.replaced:
            return False
        self.replaced[name] = np.array(self.blocks[name].value, dtype=np.float64)
        try:
            accepted = np.allclose(self.outputs(), self.out, rtol=1e-9, equal_nan=True)
        except Exception:  # the checked code may raise anything
            accepted = False
        if not accepted:
            del self.replaced[name]
        return accepted

    def _finish(self, answers: dict[str, Array], pairs: Pairs) -> Problem:
        unmatched, not_checked = (
            pairs.unmatched,
            dict.fromkeys(pairs.left_out, "wrt= excludes it"),
        )
        points, gradients, others = {}, {}, {}
        for name, block in self.blocks.items():
            is_float = block.dtype.kind == "f"
            if name not in answers:
                if is_float and name in self.paths:
                    others[name] = np.array(block.value, dtype=np.float64)
                if is_float and isinstance(block.value, np.ndarray | np.floating | list):
                    function = "backward" if self.backward else "the function"
                    not_checked[name] = f"{function} returns no gradient with respect to it"
            elif is_float or name in self.replaced:
                points[name] = np.array(self.replaced.get(name, block.value), dtype=np.float64)
                gradients[name] = _as_gradient(name, answers[name], points[name])
            else:
                unmatched[f"the gradient with respect to {name}"] = (
                    f"{name} has dtype {block.dtype}: write {name}.astype(float)"
                )
        if not gradients and not unmatched:
            function = f"backward of {self.name}" if self.backward else self.name
            raise ValueError(f"there is nothing to check: {function} returns no gradient")
        problem = Problem(
            self.name,
            points,
            {"output": gradients},
            self.values,
            notes=list(dict.fromkeys(self.notes)),
            not_checked=not_checked,
            unmatched=unmatched,
            outputs=self.outputs,
            dout=self.weights,
            others=others,
            close=self.close,
            paths={n: self.paths[n] for n in points if n in self.paths and self.blocks[n].paths},
            arrays=self.snapshot.arrays,
            single=self.single,
        )
        problem.stale = [
            name
            for name, gradient in gradients.items()
            if not self.blocks[name].paths and gradient.any() and not self._depends_on(name)
        ]
        return problem


def _gradient_path(path: Path, leaves: Mapping[Path, Any]) -> Path | None:
    """Return the path of an array's gradient: ``dW`` for ``W``, or ``grads["W"]``."""
    if len(path) < 2 or _dtype(leaves.get(path, 0)).kind != "f":
        return None
    (_, holder), (kind, key) = path[-2:]
    for other in leaves:
        (_, group), (_, other_key) = other[-2:]
        same_container = other[:-1] == path[:-1]
        in_sibling = kind == "item" and len(other) > 2 and other[:-2] == path[:-2]
        if other == path or not (same_container or in_sibling):
            continue
        if isinstance(key, str):
            alike = "grad" in str(group).lower()
        else:  # a list of gradients may belong to another list
            alike = holder in plain_names(group)[1:] or (holder, group) in LISTS
        if in_sibling and other_key == key and alike:
            return other
        if (key, other_key) == ("data", "grad") or key in plain_names(other_key)[1:]:
            return other
    return None


def _dtype(leaf: Any) -> np.dtype[Any]:
    return leaf.dtype if isinstance(leaf, np.ndarray | np.generic) else np.asarray(leaf).dtype


def _as_gradient(name: str, answer: Array, point: Array) -> Array:
    """Return a gradient as float64; for a single number any shape is accepted."""
    if answer.dtype.kind not in "fiub":
        raise TypeError(
            f"the gradient with respect to {name} must have real numbers, got {answer.dtype}"
        )
    gradient = answer.astype(np.float64)
    return gradient.reshape(()) if point.ndim == 0 and gradient.size == 1 else gradient


def _find_blocks(arguments: tuple[Any, ...], names: list[str]) -> dict[str, Block]:
    """Return the numbers in the arguments by name: a key if it is unique, else the path."""
    named: list[tuple[str, str, Block]] = []
    for index, argument in enumerate(arguments):
        for path, leaf in tree.leaves(argument):
            full = tree.name(names[index], path)
            is_key = len(path) == 1 and isinstance(argument, Mapping)
            if _dtype(leaf).kind in "fiu":
                block = Block(leaf, [(("item", index), *path)])
                named.append((str(path[0][1]) if is_key else full, full, block))
    shorts = [short for short, _, _ in named]
    return {
        short if shorts.count(short) == 1 and (short == full or short not in names) else full: block
        for short, full, block in named
    }
