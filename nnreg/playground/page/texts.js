// Every text of the page. To translate it, translate the strings in this file; {name} is filled in.

export const texts = {
  title: "nnreg playground",
  preset: "Lesson",
  own: "own settings",
  engine: {
    server: "engine: nnreg on this computer",
    pyodide: "engine: nnreg in this browser",
    loading: "Loading the engine: {what}",
  },
  run: {
    play: "▶ Play", pause: "❚❚ Pause", epoch: "One epoch", batch: "One batch",
    phase: "One phase", reset: "Start again", speed: "Speed",
    speeds: { slow: "2 batches a second", normal: "1 batch a picture", fast: "10 batches a picture",
      fastest: "as fast as possible" },
    counters: "epoch {epoch} · step {step} · {rate} steps/s · {pictures} pictures/s",
  },
  status: {
    ready: "Ready. Epoch {epoch}, step {step}.",
    playing: "Training.",
    paused: "Paused at epoch {epoch}, step {step}: training loss {train}, validation loss {val}, " +
      "penalty {penalty}.",
    replaying: "Repeating the run of this address: {left} steps left.",
    restored: "The run of this address is repeated: epoch {epoch}, step {step}.",
    anew: "{knob} changed: training starts at step 0.",
    suggested: "The {steps} steps of this lesson are done.",
    judging: "Training changed copies of this network for the verdict.",
    phase: "Phase {number} of {of}: {name}.",
    copied: "Copied.",
    unjudged: "Nothing was compared: the run has ended by itself, or has more than 10,000 steps.",
    long: "This run is too long for the address of the page (large own data, or more than a " +
      "million steps): a reload begins a new run.",
    unreadable: "The run in the address of this page cannot be read, since the address was cut " +
      "off or changed. This is a new run.",
    refused: "The run in the address of this page is not one of this version of nnreg: {why}. " +
      "This is a new run.",
    gone: "The engine does not answer. Is nnreg playground still running? Start it again, and " +
      "open the address that it prints, with the part of this address from # on.",
  },
  alarm: { cure: "Divide the learning rate by 10 and start again" },
  groups: { data: "Data", training: "Training", regularization: "Regularization" },
  knobs: {
    data: ["Data set"], csv: ["own CSV file"], points: ["own points"], weight: ["a weight"],
    rows: ["Points", "Fewer points are easier to overfit."],
    noise: ["Noise"], label_noise: ["Wrong labels", "Share of the training labels that are wrong."],
    data_seed: ["Seed of the data"], regression: ["The target is a number",
      "Of an own CSV file, whose last column is the target."],
    optimizer: ["Optimizer"], learning_rate: ["Learning rate"], batch_size: ["Batch size"],
    patience: ["Early stopping: patience", "Epochs without a lower validation loss; 0 is off. " +
      "The weights of the best epoch are restored."],
    seed: ["Seed", "Initial weights, order of the rows and dropout masks."],
    l2: ["L2 strength", "Adds strength/2 · Σw² to the loss."],
    l1: ["L1 strength", "Adds strength · Σ|w| to the loss. With L2 it is the elastic net."],
    l1_method: ["L1 method", "Only the proximal step gives exact zeros."],
    compare: ["Train both L1 methods", "A second network has the other method and the same seed."],
    max_norm: ["Max-norm", "Largest norm of the weights into a unit; 0 is off."],
    layers: ["Layers"], preset: ["Lesson"],
    units: ["Units"], activation: ["Activation"], keep_prob: ["keep_prob", "Dropout keeps a unit " +
      "with this probability; 1 is off."], penalty: ["Own penalty"],
  },
  values: {
    moons: "two moons", rings: "rings", spirals: "three spirals", sine: "sine (regression)",
    sparse: "2 relevant of 20 inputs", digits: "digits", points: "own points", csv: "own CSV file",
    sgd: "SGD", momentum: "SGD with momentum", nesterov: "SGD, Nesterov momentum",
    rmsprop: "RMSprop", adam: "Adam",
    relu: "ReLU", "leaky-relu": "leaky ReLU", elu: "ELU", gelu: "GELU", tanh: "tanh",
    sigmoid: "sigmoid", softplus: "softplus", linear: "linear",
  },
  own_data: { csv: "Own CSV file", points: "Edit these points",
    long: "The file is too long: at most 1,000,000 characters are read." },
  layer: { name: "Layer {number}", add: "Add a layer", remove: "Remove the last layer",
    lock: "lock", l1: "L1", l2: "L2" },
  network: {
    title: "Network",
    legend: "Links: blue positive, orange negative, thicker for a larger weight; dashed grey: " +
      "exactly 0. Each picture is the output of the unit over the inputs, or its weights if the " +
      "inputs are images. Crossed out: removed by dropout in the last step. Select a link to " +
      "change its weight.",
    more: "+{count}",
    zeros: "{method}{zeros} of {weights} weights are exactly 0",
    described: "Network with {widths} units. {zeros} of {weights} weights are exactly 0. " +
      "Largest weight: {largest}.",
  },
  weight: { parameter: "Weight", from: "from unit", to: "to unit", value: "value", set: "Set" },
  output: {
    regions: "Decision regions", line: "Function",
    inputs: "Norm of the weights of each input", spread: "Uncertainty (Monte-Carlo dropout)",
    legend_points: "Filled: training, hollow: validation, cross: wrong label. The color and the " +
      "shape are the class.",
    legend_line: "Filled: training, hollow: validation. Line: output of the network. Band: two " +
      "standard deviations over dropout masks.",
    legend_inputs: "Dark: relevant input. Light: irrelevant input. A norm of 0 removes an input.",
    described: "{title}. {train} training rows, {wrong} with a wrong label, {val} validation " +
      "rows, classes: {classes}. Training accuracy {train_accuracy}, validation accuracy " +
      "{val_accuracy}.",
  },
  spread: "Show the uncertainty (Monte-Carlo dropout)",
  points: { class: "class", add: "Add the point", undo: "Remove the last point" },
  curves: {
    title: "Loss by epoch", log: "Logarithmic scale", train: "training", val: "validation",
    penalty: "penalty", total: "training + penalty", previous: "validation, previous run",
    twin_train: "training, other method", twin_val: "validation, other method",
    described: "Loss by epoch, from epoch {first} to {last}. Training: {train}. Validation: " +
      "{val}. Lowest validation loss: {lowest} at epoch {epoch}.",
    best: "best epoch",
  },
  numbers: {
    caption: "At the end of the last epoch", now: "this run", twin: "other L1 method",
    previous: "previous run", epoch: "epochs", train: "training loss", val: "validation loss",
    gap: "gap: validation − training", penalty: "penalty", total: "total: training + penalty",
    train_accuracy: "training accuracy", val_accuracy: "validation accuracy",
    zeros: "exact zeros", norm: "norm of the weights",
  },
  histogram: { title: "Weights", zeros: "exactly 0: {zeros}",
    described: "Histogram of the weights from {low} to {high}; {zeros} are exactly 0." },
  verdict: { judge: "Compare with changed networks", rule: "The rule" },
  phase: {
    title: "One step, phase by phase",
    names: { forward: "Forward", loss: "Loss", backward: "Backward", penalty: "Penalty",
      update: "Update" },
    summary: "Step {step}, rows {rows} · data loss {data_loss} + penalty {penalty} = {total}",
    checked: "✓ derivative correct: relative error {error}", failed: "✗ derivative wrong: {text}",
    array: "array", shape: "shape", norm: "norm", largest: "largest", zeros: "zeros",
    values: "Values of {name}", part: "first {rows} × {columns} of {shape}",
  },
  export: {
    title: "Export", nnreg: "Code: nnreg", keras: "Code: Keras", torch: "Code: PyTorch",
    weights: "Weights (.npz)", picture: "Picture (.png)", download: "Save {file}",
  },
  copy: "Copy",
  assignment: {
    title: "For a class", question: "Question", copy: "Make the address and copy it",
    address: "Address of the assignment",
    help: "The address of this page holds all settings and the seed. Write a question and mark " +
      "the settings to lock: students who open the address see the question and cannot change " +
      "these settings.",
  },
  presets: {
    overfit: { title: "Overfit, and cure it", text: "Few points, some with a wrong label, and a " +
      "large network. Press Play: the training loss falls, the validation loss rises, and the " +
      "gap in the table grows. Then cure it: a button below trains again from the same initial " +
      "weights, and the table keeps the previous run." },
    l2: { title: "Cure: L2", text: "The overfitting network of the first lesson, with L2. The norm " +
      "of the weights stays small, the boundary is smooth, and the gap is small." },
    l1: { title: "Cure: L1", text: "The same network with L1, by the proximal step. Most weights " +
      "become exactly 0: dashed links. Move the strength during training." },
    dropout: { title: "Cure: dropout", text: "The same network with dropout. In each step units are " +
      "removed at random: they are crossed out. Show the uncertainty: it is the spread of the " +
      "output over such masks." },
    "early-stopping": { title: "Cure: early stopping", text: "The same network. Training ends when " +
      "the validation loss has not improved for 20 epochs, and the weights of the best epoch " +
      "are restored." },
    "dead-relus": { title: "Dead ReLUs", text: "The steps are too large: units output 0 for every " +
      "row. Their pictures are empty, their gradient is 0, and they do not recover. One phase " +
      "lists the dead units. Try leaky ReLU, or a smaller learning rate." },
    divergence: { title: "Divergence", text: "The learning rate is too large: the loss grows until " +
      "it is not finite. The message gives the step, the layer and the last complete epoch." },
    "strong-penalty": { title: "A penalty too strong", text: "L2 keeps all weights so small that " +
      "the network underfits: training and validation loss are both high. Compare with changed " +
      "networks shows it. Reduce the strength during training, and the loss falls." },
    selection: { title: "L1 selects inputs", text: "Only 2 of 20 inputs matter. Two networks are " +
      "trained with L1 and the same seed: with the proximal step the weights of irrelevant " +
      "inputs become exactly 0, with the subgradient they only become small. Select a link that " +
      "is 0 and give it a weight: the next steps remove it again." },
  },
  cures: { l2: "L2", l1: "L1", dropout: "Dropout", "early-stopping": "Early stopping",
    slower: "Smaller learning rate", weaker: "Weaker penalty" },
};

// The text at a path such as "run.play", with values for the names in braces.
export function text(path, values = {}) {
  const found = path.split(".").reduce((part, key) => part?.[key], texts);
  return String(found ?? path.split(".").pop())
    .replace(/{(\w+)}/g, (all, name) => values[name] ?? all);
}
