"""Every exception of nnreg can be pickled, as a process pool requires."""

import importlib
import inspect
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor

import pytest
from small import fit, network

import nnreg as nn


def exceptions():
    """Return every exception class that nnreg defines."""
    result = {}
    for module in pkgutil.walk_packages(nn.__path__, "nnreg."):
        if module.name.endswith(("__main__", "worker")):
            continue
        try:
            contents = vars(importlib.import_module(module.name))
        except ImportError as error:  # of an extra that is not installed
            if "pip install 'nnreg[" not in str(error):
                raise
            continue
        for value in contents.values():
            is_error = isinstance(value, type) and issubclass(value, BaseException)
            if is_error and value.__module__.startswith("nnreg"):
                result[f"{value.__module__}.{value.__name__}"] = value
    return result


@pytest.mark.parametrize("kind", exceptions().values(), ids=exceptions())
def test_an_exception_is_the_same_after_pickling(kind):
    given = {}
    if kind.__init__ not in (getattr(base, "__init__", None) for base in kind.__mro__[1:]):
        parameters = [*inspect.signature(kind).parameters.values()]
        given = {p.name: p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    error = kind(*given.values()) if given else kind("a message")
    error.note = "set later"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.args, str(again)) == (error.args, str(error))
    assert vars(again) == vars(error)


def diverge():
    fit(network(dtype="float32"), optimizer=nn.SGD(1e30), epochs=5)


def test_a_non_finite_loss_comes_back_from_a_process_pool_with_its_history():
    with ProcessPoolExecutor(1) as pool, pytest.raises(nn.NonFiniteLossError) as caught:
        pool.submit(diverge).result(60)
    assert (caught.value.step, caught.value.layer) == (1, "dense_2")
    assert caught.value.history.stopped == "non-finite loss"
