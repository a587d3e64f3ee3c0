//! Letters, e-mails, calls and visits, out and in; and the words that are sent.
