"""Damaged and edited files of every format, and independent readers that say what they hold.

``python -m tests.readers.fuzz --files 1000 --seed 1`` reads so many in a process of little memory and prints, as JSON,
how many were read and refused and what went wrong.
"""
