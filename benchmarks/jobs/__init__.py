"""Whole jobs: programs that train on MNIST, by epochs, to an accuracy or for one epoch, and end.

Each is written as its library's users write it; all read the same files and print the same words.
"""
