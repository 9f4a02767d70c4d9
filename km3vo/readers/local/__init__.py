"""Formats that only an operator's own files have: their libraries are not made for files of strangers."""
