"""nnreg."""

import nnreg as nn
from benchmarks.jobs.shared import load, train

job, seed, (x, y), (x_test, y_test) = load()
net = nn.Network(
    [nn.Dense(job.hidden), nn.ReLU(), nn.Dropout(keep_prob=job.keep), nn.Dense(10)],
    inputs=784,
    penalty=nn.L2(job.l2),
    seed=seed,
)
loss, optimizer = nn.SoftmaxCrossEntropy(), nn.Adam()
train(
    job,
    lambda: nn.fit(net, x, y, loss=loss, optimizer=optimizer, epochs=1, batch_size=job.batch),
    lambda: loss.classes(net.predict(x_test)),
    y_test,
)
