//! Interest, compensation, statements, and debts that are with somebody else.
