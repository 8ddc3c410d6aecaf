"""Functions and objects that were not written for nnreg, as problems of the gradient check.

Before every call the arguments, the object's attributes and every generator within reach are set
back to what they were (:mod:`nnreg.gradcheck.snapshot`). So a mask drawn inside ``forward`` is the
same in every call, and after the check nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck import calling, tree
from nnreg.gradcheck.numerical import NotComplexSafe, Values
from nnreg.gradcheck.pairing import Pairs, pair, plain_names
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.gradcheck.subjects import Problem
from nnreg.gradcheck.tree import Path

SINGLE = "computes in float32"


@dataclass
class Place:
    """Where a block is: an argument, or an array that the object holds."""

    path: Path | None  # in the list of the arguments, or from the object; None if it is unknown
    leaf: Any
    state: bool = False
    aliases: Sequence[Path] = ()


def from_functions(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    arguments: tuple[Any, ...],
    *,
    parameters: Mapping[str, Array] | None = None,
    gradients: Callable[[], Mapping[str, Array]] | None = None,
    wrt: Any = None,
    dtype: str | None = None,
    rng: Any,
) -> Problem:
    """Return functions as a problem.

    Parameters
    ----------
    forward : callable
        ``forward(*arguments)`` returns the output, or the output and a cache; with no ``backward``,
        the value and the gradients.
    backward : callable or None
        Called as its signature says, see :mod:`nnreg.gradcheck.calling`.
    arguments : tuple
        Trees; their numbers are differentiated by, where a gradient is returned.
    parameters : mapping of str to ndarray, optional
        Arrays that the object whose methods these are holds.
    gradients : callable, optional
        Returns the gradients by ``parameters``, under the same names, after ``backward``.
    wrt : str, sequence or mapping, optional
        Which argument each returned gradient belongs to.
    dtype : {"float32", "float64"}, optional
        The arrays' dtype; float64 unless given.
    """
    if (parameters is None) != (gradients is None) and (backward is not None or gradients):
        raise TypeError("parameters= and gradients= belong together: give both, or neither")
    functions = _Functions(forward, backward, arguments, dict(parameters or {}), dtype)
    try:
        return functions.problem(gradients, wrt, rng)
    except BaseException:
        functions.close()
        raise


class _Functions:
    """Calls of two functions that leave no trace."""

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
        self.owner = getattr(forward, "__self__", None)
        if self.owner is None and hasattr(forward, "backward"):
            self.owner = forward  # a layer that is called itself
        self.snapshot = Snapshot(arguments, parameters, forward, backward)
        self.single = dtype == "float32"
        self.written: list[Callable[[], None]] = []
        self.out: Array = np.empty(0)
        self.weights: Array | None = None
        self.notes: list[str] = []
        self.not_checked: dict[str, str] = {}
        self.places = _places(arguments, self.names)
        self.places |= {name: self._state_place(array) for name, array in parameters.items()}
        # What the functions get in the place of what was given: float64 for float32, copies.
        self.replaced: dict[str, Array] = {}
        if not self.single:
            for name, place in self.places.items():
                if _dtype(place.leaf).kind == "f" and _dtype(place.leaf) != np.float64:
                    self.replaced[name] = np.array(place.leaf, dtype=np.float64)

    def close(self) -> None:
        """Put everything back."""
        self.restore()
        self.snapshot.restore(everything=True)

    def restore(self) -> None:
        """Put back what the last call wrote and changed."""
        self.undo_writes()
        self.snapshot.restore()

    def undo_writes(self) -> None:
        """Put back what the last call wrote."""
        while self.written:
            self.written.pop()()

    def _state_place(self, array: Any) -> Place:
        paths = [p for p, leaf in tree.leaves(self.owner) if leaf is array]
        return Place(paths[0] if paths else None, array, state=True, aliases=paths[1:])

    def run(self, block: str | None = None, array: Array | None = None) -> tuple[Any, list[Any]]:
        """Return what forward returns with one block replaced, and the arguments it was given."""
        given = list(self.arguments)
        for name, value in self.replaced.items():
            self._write(given, name, value.copy())
        if block is not None and array is not None:
            self._write(given, block, array)
        return self.forward(*given), given

    def _write(self, given: list[Any], name: str, array: Array) -> None:
        place = self.places[name]
        if place.path is not None and len(place.path) == 1 and not (place.state or self.single):
            given[place.path[0][1]] = tree.as_leaf(place.leaf, array)
        elif place.path is not None:
            if self.single:
                array = array.astype(_dtype(place.leaf))
            leaf = tree.as_leaf(place.leaf, array)
            if not place.state:
                self.written.append(tree.put(given, place.path, leaf))
            for path in (place.path, *place.aliases) if place.state else ():
                self.written.append(tree.put([self.owner], (("item", 0), *path), leaf))
        elif np.iscomplexobj(array):
            raise NotComplexSafe(f"{name} is no attribute of the object, so it is moved in place")
        else:
            before = place.leaf.copy()
            np.copyto(place.leaf, array)
            self.written.append(lambda: np.copyto(place.leaf, before))

    def _split(self, result: Any) -> tuple[Array, Any]:
        """Return the output, or the value, and the gradients that come with a value."""
        if self.backward is None:
            return calling.split_value(result, self.name)
        return calling.output_of(result, self.owner, self.name), None

    def outputs(self, block: str | None = None, array: Array | None = None) -> Array:
        """Return a copy of forward's output, with one block replaced."""
        try:
            return np.array(self._split(self.run(block, array)[0])[0])
        finally:
            self.restore()

    def values(self, block: str, array: Array) -> Values:
        """Return the projection of the output, with one block replaced."""
        assert self.weights is not None
        try:
            output = self._split(self.run(block, array)[0])[0]
            return {"output": np.vdot(self.weights, output)}
        finally:
            self.restore()

    def problem(self, gradients: Any, wrt: Any, rng: Any) -> Problem:
        """Return the problem; ``gradients`` and ``wrt`` as for :func:`from_functions`."""
        leaves = dict(tree.leaves(self.owner)) if self.owner is not None else {}
        try:
            pairs, explicit, leaves_after = self._gradients(gradients, wrt, rng)
        except Exception:  # the checked code may raise anything
            if not self.replaced:
                raise
            replaced, self.replaced, self.single = self.replaced, {}, True
            self.restore()
            # This raises again, if float64 was not the reason.
            pairs, explicit, leaves_after = self._gradients(gradients, wrt, rng)
            self.notes.append(
                f"{self.name} does not accept float64 for {', '.join(replaced)}: float32 was kept"
            )
        out = self.out
        # What was changed by these two calls is what every call is cleaned up after.
        self.undo_writes()
        self.snapshot.settle()
        if not np.array_equal(out, self.outputs(), equal_nan=True):
            raise ValueError(
                f"{self.name} gives different outputs for the same arguments: it draws from a "
                "generator that is no argument, no attribute and not NumPy's global one; pass it "
                "as an argument, or seed it inside"
            )
        answers = {self._block(path): answer for path, answer in pairs.matched.items()} | explicit
        if self.owner is not None and self.backward is not None and not explicit:
            answers |= self._attributes(leaves, leaves_after, answers)
        promoted = [name for name in answers if self._promote(name, out)]
        if promoted:  # integers became floats: the gradients may be others
            pairs, explicit, _ = self._gradients(gradients, wrt, rng)
            answers |= {
                self._block(path): answer for path, answer in pairs.matched.items()
            } | explicit
        self.restore()
        return self._finish(answers, pairs)

    def _gradients(self, gradients: Any, wrt: Any, rng: Any) -> Any:
        """Return the gradients by path, those of ``gradients()``, and the object's arrays."""
        leaves = dict(tree.leaves(self.owner)) if self.owner is not None else {}
        for other in filter(None, (_gradient_path(path, leaves) for path in leaves)):
            # The gradient of an earlier pass, to which backward may add.
            zeros = np.zeros_like(leaves[other])
            self.written.append(tree.put([self.owner], (("item", 0), *other), zeros))
        result, given = self.run()
        out, answer = self._split(result)
        self.out = np.array(out)
        if self.weights is None:
            self.weights = rng.standard_normal(out.shape) if out.ndim else np.ones(())
        # A copy, since backward may change it.
        dout = (
            self.weights.astype(out.dtype if out.dtype.kind == "f" else float) if out.ndim else 1.0
        )
        if callable(answer):
            answer = answer(dout)
        elif self.backward is not None:
            call, note = calling.bind_backward(
                self.forward, self.backward, given, self.names, result, out
            )
            if note and note not in self.notes:
                self.notes.append(note)
            answer = call(dout)
        if answer is None and self.owner is not None:  # an object that keeps everything
            kept = tree.attributes(self.owner)
            answer = next((kept[n] for n in calling.INPUT_GRADIENTS if n in kept), None)
        blocks = {name: p.path for name, p in self.places.items() if not p.state and p.path}
        blocks |= {n: (("item", i),) for i, n in enumerate(self.names)}
        pairs = (
            pair(answer, given, self.names, is_value=self.backward is None, wrt=wrt, blocks=blocks)
            if answer is not None
            else Pairs()
        )
        explicit = {}
        state = {n: p for n, p in self.places.items() if p.state}
        if gradients is not None:
            explicit = {n: np.array(g) for n, g in dict(gradients()).items()}
            missing = [name for name in state if name not in explicit]
            if missing:
                raise ValueError(
                    f"gradients() must return {missing[0]!r}, got {', '.join(explicit)}"
                )
            for name in [name for name in explicit if name not in state]:
                pairs.unmatched[f'gradients()["{name}"]'] = (
                    f'no parameter is called so: write parameters={{..., "{name}": ...}}'
                )
                del explicit[name]
        elif isinstance(answer, Mapping):
            explicit = self._state_by_name(answer, pairs, state)
        self._name_errors(answer, pairs, explicit, state)
        after = dict(tree.leaves(self.owner)) if self.owner is not None else {}
        return pairs, explicit, {path: np.array(leaf) for path, leaf in after.items()}

    def _state_by_name(
        self, answer: Mapping[Any, Any], pairs: Pairs, state: dict[str, Place]
    ) -> dict[str, Array]:
        """Pair gradients that belong to no argument with the object's arrays of these names."""
        leaves: dict[Any, list[Path]] = {}
        for path, _ in tree.leaves(self.owner) if self.owner is not None else ():
            leaves.setdefault(path[-1][1], []).append(path)
        result = {}
        for key, part in answer.items():
            label = f'"{key}"' if isinstance(key, str) else repr(key)
            names = [n for n in plain_names(key) if n in state or len(leaves.get(n, ())) == 1]
            if label in pairs.unmatched and names and tree.is_leaf(part):
                name = names[0]
                if name not in state:
                    path = leaves[name][0]
                    self.places[name] = self._state_place(tree.get(self.owner, path))
                result[name] = np.array(part)
                del pairs.unmatched[label]
        return result

    def _name_errors(
        self, answer: Any, pairs: Pairs, explicit: dict[str, Array], state: dict[str, Place]
    ) -> None:
        if isinstance(answer, Mapping) and answer and not pairs.matched and not explicit:
            keys = ", ".join(map(str, answer))
            blocks = ", ".join(self.places)
            raise ValueError(
                f"the gradients of {self.name} are called {keys}; none of these is an argument: "
                f"{blocks}. For arrays that are not arguments, write "
                f"check_gradients(lambda p: ..., p) with p a dictionary of them"
            )

    def _attributes(
        self, before: dict[Path, Any], after: dict[Path, Any], answers: dict[str, Array]
    ) -> dict[str, Array]:
        """Return the gradients that backward keeps as attributes, ``dW`` beside ``W``."""
        result = {}
        for path, leaf in before.items():
            other = _gradient_path(path, after)
            if path not in after or other is None or not isinstance(leaf, np.ndarray):
                continue
            name = tree.name("", path).lstrip(".")
            self.places.setdefault(name, self._state_place(leaf))
            if name not in answers and self._depends_on(name):
                result[name] = after[other]
                gradient = tree.name("", other).lstrip(".")
                self.notes.append(f"{name} was compared with the attribute {gradient}")
        return result

    def _depends_on(self, name: str) -> bool:
        """Return whether the output changes when a block is moved."""
        leaf = np.asarray(self.places[name].leaf, dtype=np.float64)
        moved = leaf * 1.01 + 0.01
        return not np.array_equal(self.outputs(), self.outputs(name, moved), equal_nan=True)

    def _block(self, path: Path) -> str:
        return next(n for n, p in self.places.items() if p.path == path and not p.state)

    def _promote(self, name: str, out: Array) -> bool:
        """Return whether a block of integers, or a list, can be moved as floats."""
        place = self.places[name]
        if _dtype(place.leaf).kind == "f" or name in self.replaced:
            return False
        self.replaced[name] = np.array(place.leaf, dtype=np.float64)
        try:
            good = np.allclose(self.outputs(), out, rtol=1e-9, equal_nan=True)
        except Exception:  # the checked code may raise anything
            good = False
        if not good:
            del self.replaced[name]
        return good

    def _finish(self, answers: dict[str, Array], pairs: Pairs) -> Problem:
        unmatched = {
            k: f"{reason}. Say with wrt= which argument it belongs to"
            if "wrt" not in reason and "parameters=" not in reason
            else reason
            for k, reason in pairs.unmatched.items()
        }
        points: dict[str, Array] = {}
        answers = {name: answers[name] for name in self.places if name in answers}
        for name in list(answers):
            leaf = self.places[name].leaf
            kind = _dtype(leaf)
            if kind.kind != "f" and name not in self.replaced:
                unmatched[f"the gradient by {name}"] = (
                    f"{name} holds {kind}: write {name}.astype(float)"
                )
                del answers[name]
                continue
            points[name] = np.array(self.replaced.get(name, leaf), dtype=np.float64)
            answers[name] = _as_gradient(name, answers[name], points[name])
        if not answers and not unmatched:
            raise ValueError(
                f"there is nothing to check: backward of {self.name} returns no gradient"
                if self.backward
                else f"there is nothing to check: {self.name} returns no gradient"
            )
        for label in pairs.left_out:
            self.not_checked[label] = "wrt= leaves it out"
        for name, place in self.places.items():
            array = isinstance(place.leaf, np.ndarray | np.floating)
            if name not in answers and array and _dtype(place.leaf).kind == "f" and self.backward:
                self.not_checked[name] = "backward returns no gradient by it"
        others = {
            n: np.array(p.leaf, dtype=np.float64)
            for n, p in self.places.items()
            if n not in points and not p.state and _dtype(p.leaf).kind == "f"
        }
        in_arguments = {n: p.path for n, p in self.places.items() if not p.state and p.path}
        paths = {n: path for n, path in in_arguments.items() if n in points}
        problem = Problem(
            self.name,
            points,
            {"output": answers},
            self.values,
            notes=self.notes,
            not_checked=self.not_checked,
            unmatched=unmatched,
            outputs=self.outputs,
            dout=self.weights,
            others=others,
            close=self.close,
            paths=paths,
            arrays=self.snapshot.arrays,
            single=self.single,
        )
        problem.stale = [n for n in points if self._is_stale(n, answers[n])]
        return problem

    def _is_stale(self, name: str, gradient: Array) -> bool:
        """Return whether forward ignores an array of ``parameters=`` that has a gradient."""
        place = self.places[name]
        unknown = place.state and place.path is None
        return bool(unknown and gradient.any() and not self._depends_on(name))


def _gradient_path(path: Path, leaves: Mapping[Path, Any]) -> Path | None:
    """Return the path of the gradient by an array: ``dW`` beside ``W``, in ``grads`` or in it."""
    if not path or not isinstance(path[-1][1], str) or _dtype(leaves.get(path, 0)).kind != "f":
        return None
    (kind, key), holder = path[-1], path[:-1]
    for other in leaves:
        beside = other[:-1] == holder
        in_dictionary = kind == "item" and len(other) > 1 and other[:-2] == holder[:-1]
        if other == path or not (beside or in_dictionary):
            continue
        same_key = in_dictionary and other[-1][1] == key and "grad" in str(other[-2][1]).lower()
        if same_key or key in plain_names(other[-1][1])[1:]:
            return other
    return None


def _dtype(leaf: Any) -> np.dtype[Any]:
    return leaf.dtype if isinstance(leaf, np.ndarray | np.generic) else np.asarray(leaf).dtype


def _as_gradient(name: str, answer: Array, point: Array) -> Array:
    """Return a gradient as float64; one number may come in any shape."""
    if answer.dtype.kind not in "fiub":
        raise TypeError(f"the gradient by {name} must hold real numbers, got {answer.dtype}")
    gradient = answer.astype(np.float64)
    return gradient.reshape(()) if point.ndim == 0 and gradient.size == 1 else gradient


def _places(arguments: tuple[Any, ...], names: list[str]) -> dict[str, Place]:
    """Return the numbers in the arguments by name: a key where that says enough, else the path."""
    named: list[tuple[str, str, Place]] = []
    for index, argument in enumerate(arguments):
        for path, leaf in tree.leaves(argument):
            short = names[index]
            if len(path) == 1 and isinstance(argument, Mapping):
                short = str(path[0][1])
            elif path:
                short = tree.name(names[index], path)
            if _dtype(leaf).kind in "fiu":
                place = Place((("item", index), *path), leaf)
                named.append((short, tree.name(names[index], path), place))
    shorts = [short for short, _, _ in named]
    return {
        short if shorts.count(short) == 1 and (short == full or short not in names) else full: place
        for short, full, place in named
    }
