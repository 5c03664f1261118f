//! Types that cross the boundary between the kernel programs and the agent.
//!
//! Everything here is `repr(C)` without padding, so that the bytes the kernel writes are the bytes userspace reads;
//! the size of each is asserted at compile time.
#![no_std]

pub mod counter;
pub mod gap;
pub mod layout;
pub mod limits;
pub mod record;
pub mod scope;
pub mod tls;
