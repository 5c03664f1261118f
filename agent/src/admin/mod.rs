//! The agent's own health, and the page that serves it.
