//! Work items, people, clocks, cover: what worklist answers.
