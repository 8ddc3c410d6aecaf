"""Whole jobs: programs that train 784-128-10 for one epoch of MNIST, batches of 32, and end.

Each is written as its library's users write it; all read the same files and print the same words.
"""
