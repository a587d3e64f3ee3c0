//! Promises and payment plans.
