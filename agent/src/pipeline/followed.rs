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

    /// Another plan holds from now on. Returns the epoch of the exchanges that begin under it; `None` if it is the same plan. An epoch of which no
    /// exchange is unfinished is forgotten, so that there are never more than those.
    pub(super) fn follow(&mut self, plan: &Arc<Plan>, is_unfinished: impl Fn(u32) -> bool) -> Option<u32> {
        if Arc::ptr_eq(&self.current, plan) {
            return None;
        }
        let before = std::mem::replace(&mut self.current, Arc::clone(plan));
        self.earlier.push((self.epoch, before));
        self.earlier.retain(|(epoch, _)| is_unfinished(*epoch));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plans_of_unfinished_exchanges_are_kept() {
        let plans: Vec<_> = (0..100).map(|_| Arc::new(Plan::of_signals(true, false, false))).collect();
        let mut followed = Followed::new(Arc::clone(&plans[0]));
        for (index, plan) in plans.iter().enumerate().skip(1) {
            assert_eq!(followed.follow(plan, |epoch| epoch == 0 || epoch == 50), Some(index as u32));
            assert_eq!(followed.follow(plan, |_| true), None);
        }
        assert_eq!(followed.earlier.len(), 2);
        for epoch in [0, 50, 99] {
            assert!(Arc::ptr_eq(followed.of(epoch), &plans[epoch as usize]));
        }
    }
}
