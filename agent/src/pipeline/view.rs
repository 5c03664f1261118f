//! What a worker's table holds, for those who look at the agent while it works.

use std::sync::Arc;

use super::{Pipeline, Tracked};
use crate::{
    capture::{ConnectionId, Direction, Timestamp},
    exchange::Connection,
    policy::Plan,
};

/// A connection as it is now. It holds no content and nothing of a message.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    /// Its id.
    pub id: ConnectionId,
    /// Addresses, process, workloads, protocol.
    pub connection: Arc<Connection>,
    /// The plan that it follows.
    pub plan: Arc<Plan>,
    /// Position of the next byte of each direction, by [`Direction::index`]; `None` where none was seen.
    pub positions: [Option<u64>; 2],
    /// Requests that have no response yet.
    pub pending: usize,
    /// When its last event was.
    pub latest: Timestamp,
}

impl ConnectionView {
    fn of(id: ConnectionId, tracked: &Tracked) -> Self {
        Self {
            id,
            connection: Arc::clone(tracked.assembler.connection()),
            plan: Arc::clone(tracked.followed.current()),
            positions: [Direction::Out, Direction::In].map(|direction| tracked.streams.next(direction)),
            pending: tracked.assembler.pending(),
            latest: tracked.latest,
        }
    }
}

impl Pipeline {
    /// The connections that are tracked, in no order. What is not looked at costs nothing.
    pub fn views(&self) -> impl Iterator<Item = (&Arc<Connection>, impl FnOnce() -> ConnectionView)> {
        self.connections
            .iter()
            .map(|(id, tracked)| (tracked.assembler.connection(), move || ConnectionView::of(id, tracked)))
    }
}
