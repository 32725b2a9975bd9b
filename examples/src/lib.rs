//! The examples of the README.
