//! Placeholder until the first capability lands.
