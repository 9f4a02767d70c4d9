"""Events against catalogues, as statistics: numbers in, numbers out.

Every module is one recipe of docs/correlate.md and docs/skymaps.md. They take and give numpy arrays and know neither
tables nor requests. Angles are in degrees on the sky as users write them, times are MJD in days, densities are per
steradian. Whatever draws random numbers takes a seed, and the same seed, version and input give the same bytes.
"""
