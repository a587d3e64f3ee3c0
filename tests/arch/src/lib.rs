//! Tests of how the house is laid out: see `tests/`.
