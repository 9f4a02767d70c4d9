"""Random queries whose answers an independent engine knows: SQL by duckdb, frames, pixels and times by astropy."""
