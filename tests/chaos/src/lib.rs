//! The real program, killed and restarted under load: see `tests/`.
