//! Cases: what disputes answers.
