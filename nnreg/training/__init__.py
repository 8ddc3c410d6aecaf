"""Training: data, the step, the loop, metrics, history, callbacks and schedules."""
