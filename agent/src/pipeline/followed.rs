//! The plan that a connection follows, and those that its unfinished exchanges began with.

use std::sync::Arc;

use crate::policy::Plan;

/// An exchange is told under the plan that held when it began, whatever holds when it ends.
#[derive(Debug)]
pub(super) struct Followed {
    current: Arc<Plan>,
    epoch: u32,
    /// Those before, as long as an exchange that began under one is not over.
    earlier: Vec<(u32, Arc<Plan>)>,
}

impl Followed {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self { current: plan, epoch: 0, earlier: Vec::new() }
    }

    /// The plan that holds now.
    pub(super) const fn current(&self) -> &Arc<Plan> {
        &self.current
    }

    /// Another plan holds from now on. Returns the epoch of the exchanges that begin under it; `None` if it is the same plan.
    pub(super) fn follow(&mut self, plan: &Arc<Plan>, unfinished: bool) -> Option<u32> {
        if Arc::ptr_eq(&self.current, plan) {
            return None;
        }
        let before = std::mem::replace(&mut self.current, Arc::clone(plan));
        if unfinished {
            self.earlier.push((self.epoch, before));
        } else {
            self.earlier.clear();
        }
        self.epoch += 1;
        Some(self.epoch)
    }

    /// The plan of an exchange that began in this epoch.
    pub(super) fn of(&self, epoch: u32) -> &Arc<Plan> {
        let earlier = self.earlier.iter().find(|(other, _)| *other == epoch);
        earlier.map_or(&self.current, |(_, plan)| plan)
    }

    /// No exchange is unfinished.
    pub(super) fn forget_earlier(&mut self) {
        self.earlier = Vec::new();
    }

    /// Whether an exchange may still need another plan than the current one.
    pub(super) const fn has_earlier(&self) -> bool {
        !self.earlier.is_empty()
    }
}
