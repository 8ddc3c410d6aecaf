"""CS231n's functions: the course's numbers, correct gradients, and nnreg's update rules."""

import subprocess
import sys

import numpy as np
import pytest

import nnreg as nn
from nnreg.course.cs231n import (
    Solver,
    adam,
    affine_backward,
    affine_forward,
    affine_relu_backward,
    affine_relu_forward,
    dropout_backward,
    dropout_forward,
    relu_backward,
    relu_forward,
    rmsprop,
    sgd,
    sgd_momentum,
    softmax_loss,
)
from nnreg.testing import diagnose


class TwoLayerNet:
    """The course's network, as a student completes it."""

    def __init__(self, D, M, K, reg=0.0, scale=1e-1, seed=0):
        rng = np.random.default_rng(seed)
        self.reg = reg
        self.params = {
            "W1": scale * rng.standard_normal((D, M)),
            "b1": np.zeros(M),
            "W2": scale * rng.standard_normal((M, K)),
            "b2": np.zeros(K),
        }

    def loss(self, x, y=None):
        p = self.params
        hidden, first = affine_relu_forward(x, p["W1"], p["b1"])
        scores, second = affine_forward(hidden, p["W2"], p["b2"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
        dhidden, dw2, db2 = affine_backward(dscores, second)
        _, dw1, db1 = affine_relu_backward(dhidden, first)
        dw1, dw2 = dw1 + self.reg * p["W1"], dw2 + self.reg * p["W2"]
        return loss, {"W1": dw1, "b1": db1, "W2": dw2, "b2": db2}


@pytest.mark.parametrize(("reg", "expected"), [(0.0, 3.4702243556), (1.0, 26.5948426952)])
def test_the_loss_of_the_two_layer_network_is_the_courses(reg, expected):
    """Both the functions here and the engine give the number that the course states."""
    N, D, M, K = 3, 5, 50, 7
    net = TwoLayerNet(D, M, K, reg)
    values = {"W1": (-0.7, 0.3), "b1": (-0.1, 0.9), "W2": (-0.3, 0.4), "b2": (-0.9, 0.1)}
    for name, ends in values.items():
        shape = net.params[name].shape
        net.params[name] = np.linspace(*ends, np.prod(shape)).reshape(shape)
    x, y = np.linspace(-5.5, 4.5, N * D).reshape(D, N).T, np.array([0, 5, 1])
    assert net.loss(x, y)[0] == pytest.approx(expected, rel=0, abs=5e-11)
    nn.check_gradients(lambda params: _at(net, params, x, y), net.params).assert_ok()

    layers, loss = [nn.Dense(M), nn.ReLU(), nn.Dense(K)], nn.SoftmaxCrossEntropy()
    engine = nn.Network(layers, inputs=D, penalty=nn.L2(reg), dtype="float64")
    for name, value in zip(engine.parameters, net.params.values(), strict=True):
        engine.parameters[name] = value
    total = loss(engine.predict(x), y)[0] + engine.penalty_value()
    assert total == pytest.approx(expected, rel=0, abs=5e-11)
    assert nn.check_gradients(engine, x, y, loss).max_error < 1e-12


def _at(net, params, x, y):
    moved = TwoLayerNet(1, 1, 1, net.reg)
    moved.params = params
    return moved.loss(x, y)


RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((5, 2, 3)), RNG.standard_normal((6, 4)), RNG.standard_normal(4)
LABELS = np.array([2, 0, 1, 2, 3])


@pytest.mark.parametrize(
    "call",
    [
        (affine_forward, affine_backward, X, W, B),
        (relu_forward, relu_backward, X),
        (affine_relu_forward, affine_relu_backward, X, W, B),
        (dropout_forward, dropout_backward, X, {"p": 0.6, "mode": "train", "seed": 3}),
        (softmax_loss, RNG.standard_normal((5, 4)), LABELS),
    ],
    ids=lambda call: call[0].__name__,
)
def test_every_gradient_is_right(call):
    nn.check_gradients(*call).assert_ok()
    assert diagnose(*call).right


def test_a_students_function_goes_with_the_other_half_from_here():
    def students_backward(dout, cache):
        x, w, _ = cache
        flat = x.reshape(len(x), -1)
        return (dout @ w.T).reshape(x.shape), flat.T @ dout, dout.sum(axis=0)

    nn.check_gradients(affine_forward, students_backward, X, W, B).assert_ok()
    nn.check_gradients(relu_forward, lambda dout, x: dout * (x > 0), X).assert_ok()
    nn.check_gradients(lambda x: (np.maximum(x, 0), x), relu_backward, X).assert_ok()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2, 3, 2, 1], "from 0 to 2, got 3 at index"),
        ([0, 1, -1, 2, 1], "from 0 to 2, got -1 at index"),
        ([[0], [1], [2], [1], [0]], r"shape \(5,\), got int64 of shape \(5, 1\): use .ravel"),
        ([0.0, 1.0, 2.0, 1.0, 0.0], "got float64"),
        ([0, 1, 2, 1], r"got int64 of shape \(4,\)"),
        (np.eye(5, 3), r"got float64 of shape \(5, 3\)"),
        ([True, False, True, False, True], "got bool"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(y, message):
    scores = np.random.default_rng(0).standard_normal((5, 3))
    with pytest.raises(ValueError, match=message):
        softmax_loss(scores, np.array(y))
    data = {"X_train": scores, "y_train": y, "X_val": scores, "y_val": [0, 1, 2, 1, 0]}
    if "from 0 to 2, got 3" not in message:
        with pytest.raises(ValueError, match="y_train must hold class numbers"):
            Solver(TwoLayerNet(3, 4, 3), data)


@pytest.mark.parametrize("shape", [(), (3,), (5, 3, 1)])
def test_scores_that_are_no_matrix_are_refused(shape):
    with pytest.raises(ValueError, match=r"x must be scores of shape \(N, C\), got shape"):
        softmax_loss(np.zeros(shape), np.zeros(5, int))


def test_nothing_that_is_given_is_changed():
    z = RNG.standard_normal((5, 4))
    before = z.copy()
    softmax_loss(z, LABELS)
    _, cache = relu_forward(z)
    dout = np.ones_like(z)
    relu_backward(dout, cache)
    assert (z == before).all()
    assert (dout == 1).all()


# --- Dropout --------------------------------------------------------------------------------------


def dropped(**changes):
    param = {"p": 0.7, "mode": "train", "seed": 0, **changes}
    return dropout_forward(np.ones((200, 50)), {k: v for k, v in param.items() if v is not None})


def test_p_is_the_probability_to_keep_and_the_mean_stays():
    out, (param, mask) = dropped()
    assert param["p"] == 0.7
    assert np.mean(out != 0) == pytest.approx(0.7, abs=0.02)
    assert np.mean(out) == pytest.approx(1, abs=0.02)
    assert np.array_equal(out, mask)


def test_with_a_seed_every_call_has_one_mask_and_without_each_its_own():
    assert np.array_equal(dropped()[0], dropped()[0])
    assert not np.array_equal(dropped()[0], dropped(seed=1)[0])
    assert not np.array_equal(dropped(seed=None)[0], dropped(seed=None)[0])


def test_in_test_mode_nothing_happens():
    out, cache = dropped(mode="test")
    assert (out == 1).all()
    dout = np.ones((2, 2))
    assert dropout_backward(dout, cache) is dout


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"p": 0.0}, r'\["p"\] must be a number in \(0, 1\]'), ({"mode": "tran"}, "did you mean")],
)
def test_dropout_says_what_it_cannot_take(changes, message):
    with pytest.raises(ValueError, match=message):
        dropped(**changes)


# --- Update rules, written out as the course states them ------------------------------------------

SHAPE = (4, 5)
W0 = np.linspace(-0.4, 0.6, 20).reshape(SHAPE)
DW = np.linspace(-0.6, 0.4, 20).reshape(SHAPE)
STATE = np.linspace(0.6, 0.9, 20).reshape(SHAPE)
SECOND = np.linspace(0.7, 0.5, 20).reshape(SHAPE)


def test_sgd_is_the_courses():
    w, config = sgd(W0, DW)
    assert w == pytest.approx(W0 - 1e-2 * DW)
    assert config == {"learning_rate": 1e-2}


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_with_momentum_is_the_courses(momentum):
    given = {"learning_rate": 1e-3, "velocity": STATE, "momentum": momentum}
    w, config = sgd_momentum(W0, DW, given)
    velocity = momentum * STATE - 1e-3 * DW
    assert w == pytest.approx(W0 + velocity, abs=1e-15)
    assert config["velocity"] == pytest.approx(velocity, abs=1e-15)
    assert given["velocity"] is STATE


def test_rmsprop_is_the_courses():
    w, config = rmsprop(W0, DW, {"learning_rate": 1e-2, "cache": STATE})
    cache = 0.99 * STATE + 0.01 * DW**2
    assert config["cache"] == pytest.approx(cache)
    assert w == pytest.approx(W0 - 1e-2 * DW / (np.sqrt(cache) + 1e-8))


def test_adam_is_the_courses():
    w, config = adam(W0, DW, {"learning_rate": 1e-2, "m": STATE, "v": SECOND, "t": 5})
    m, v = 0.9 * STATE + 0.1 * DW, 0.999 * SECOND + 0.001 * DW**2
    assert (config["t"], config["epsilon"]) == (6, 1e-8)
    assert config["m"] == pytest.approx(m)
    assert config["v"] == pytest.approx(v)
    step = 1e-2 * (m / (1 - 0.9**6)) / (np.sqrt(v / (1 - 0.999**6)) + 1e-8)
    assert w == pytest.approx(W0 - step)


RULES = {
    "sgd": (sgd, nn.SGD(0.1)),
    "sgd_momentum": (sgd_momentum, nn.SGD(0.1, momentum=0.9)),
    "rmsprop": (rmsprop, nn.RMSprop(0.1, rho=0.99)),
    "adam": (adam, nn.Adam(0.1)),
}


@pytest.mark.parametrize("name", RULES)
def test_a_hundred_steps_are_those_of_nnregs_optimizer(name):
    rule, optimizer = RULES[name]
    parameters = nn.Parameters({"w": nn.Parameter(SHAPE, nn.zeros)}, "float64")
    parameters.vector[...] = W0.ravel()
    gradients, w, config = parameters.like(), W0, {"learning_rate": 0.1}
    for _ in range(100):
        gradients.vector[...] = np.cos(3 * parameters.vector)
        w, config = rule(w, np.cos(3 * w), config)
        optimizer.update(parameters, gradients)
    assert w == pytest.approx(parameters["w"], abs=1e-10)


def test_a_rule_keeps_float32_and_says_what_it_cannot_take():
    assert adam(W0.astype("float32"), DW.astype("float32"))[0].dtype == "float32"
    with pytest.raises(ValueError, match=r"dw must have the shape of w, \(4, 5\), got \(20,\)"):
        sgd(W0, DW.ravel())
    with pytest.raises(ValueError, match=r'config\["learning_rate"\] must be'):
        sgd(W0, DW, {"learning_rate": 0})
    with pytest.raises(TypeError, match=r"has no argument 'learning_rat'.*learning_rate"):
        sgd(W0, DW, {"learning_rat": 1})


# --- The solver -----------------------------------------------------------------------------------


def blobs(N=120):
    rng = np.random.default_rng(1)
    y = np.arange(N) % 2
    x = np.where(y[:, None], 2.0, -2.0) + rng.standard_normal((N, 2))
    return {"X_train": x[:100], "y_train": y[:100], "X_val": x[100:], "y_val": y[100:]}


@pytest.mark.parametrize("rule", RULES)
def test_the_solver_learns_with_every_rule(rule):
    net = TwoLayerNet(2, 8, 2, reg=1e-3)
    config = {"learning_rate": 1e-2 if rule in ("rmsprop", "adam") else 0.2}
    options = {"num_epochs": 6, "batch_size": 20, "verbose": False}
    solver = Solver(net, blobs(), update_rule=rule, optim_config=config, **options)
    solver.train()
    assert len(solver.loss_history) == 30
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 7
    assert solver.loss_history[-1] < solver.loss_history[0] / 2
    assert solver.best_val_acc == max(solver.val_acc_history) > 0.9
    assert net.params is solver.best_params
    assert solver.check_accuracy(solver.X_val, solver.y_val) == solver.best_val_acc


def test_a_seed_makes_the_run():
    def run(seed):
        solver = Solver(TwoLayerNet(2, 8, 2), blobs(), num_epochs=2, verbose=False, seed=seed)
        solver.train()
        return solver.loss_history

    assert run(0) == run(0) != run(1)


@pytest.mark.parametrize("config", [{"learning_rate": 0.5}, None])
def test_the_learning_rate_decays_after_each_epoch(config):
    net, first = TwoLayerNet(2, 3, 2), 0.5 if config else 1e-2
    solver = Solver(
        net, blobs(), optim_config=config, lr_decay=0.5, num_epochs=3, batch_size=50, verbose=False
    )
    solver.train()
    rates = {config["learning_rate"] for config in solver.optim_configs.values()}
    assert rates == {first / 8}
    assert config in ({"learning_rate": 0.5}, None)


def test_what_is_printed_is_the_courses(capsys):
    Solver(TwoLayerNet(2, 3, 2), blobs(), num_epochs=1, batch_size=50, print_every=1).train()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(")")[0] for line in lines] == [
        *("(Iteration 1 / 2", "(Epoch 0 / 1", "(Iteration 2 / 2", "(Epoch 1 / 1"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_rule": "sdg"}, "did you mean 'sgd'"),
        ({"batch_size": 0}, "batch_size"),
        ({"lr_decay": 0}, "lr_decay must be a number in"),
    ],
)
def test_the_solver_says_what_it_cannot_take(options, message):
    with pytest.raises(ValueError, match=message):
        Solver(TwoLayerNet(2, 3, 2), blobs(), **options)
    with pytest.raises(ValueError, match="y_val is missing"):
        Solver(TwoLayerNet(2, 3, 2), {**dict.fromkeys(("X_train", "y_train", "X_val"), X)})


def test_importing_nnreg_does_not_bring_it():
    code = "import sys, nnreg; print('nnreg.course' in sys.modules, 'nnreg.testing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
