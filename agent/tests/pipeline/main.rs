//! The whole pipeline, events in, telemetry out.

mod bench;
mod bounds;
mod calls;
mod inside;
mod live_state;
mod mcp;
mod plans;
mod properties;
mod skips;
mod waits;
