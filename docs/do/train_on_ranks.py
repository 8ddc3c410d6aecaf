"""Train on the ranks of MPI: mpiexec -n 4 python train_on_ranks.py, or python train_on_ranks.py."""

import nnreg as nn

world = nn.distributed.world()
(x, y), (x_test, y_test) = nn.datasets.load_digits()
net = nn.Network(
    [nn.Dense(64), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(10)],
    inputs=64,
    penalty=nn.L2(1e-4),
    seed=0,
)
loss = nn.SoftmaxCrossEntropy()
nn.fit(
    net,
    x,
    y,
    loss=loss,
    optimizer=nn.Adam(1e-3),
    epochs=20,
    batch_size=128,
    checkpoint="digits-run",
    communicator=world,
    shards=4,
)
if world.rank == 0:
    print(world.size, "ranks:", nn.evaluate(net, x_test, y_test, loss=loss))
