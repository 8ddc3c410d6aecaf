"""nnreg."""

import nnreg as nn
from benchmarks.jobs.shared import BATCH, HIDDEN, KEEP, L2, Report, load

(x, y), (x_test, y_test) = load()
net = nn.Network(
    [nn.Dense(HIDDEN), nn.ReLU(), nn.Dropout(keep_prob=KEEP), nn.Dense(10)],
    inputs=784,
    penalty=nn.L2(L2),
)
loss = nn.SoftmaxCrossEntropy()
nn.fit(net, x, y, loss=loss, optimizer=nn.Adam(), epochs=1, batch_size=BATCH)
report = Report()
report.print_accuracy(loss.classes(net.predict(x_test)), y_test)
