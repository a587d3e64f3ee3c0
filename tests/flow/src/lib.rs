//! Business stories across the services: see `tests/`.
