//! Tests of the contracts: see `tests/`.
