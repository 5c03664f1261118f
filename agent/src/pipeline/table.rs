//! Connections by id, bounded.

use foldhash::HashMap;

use crate::capture::ConnectionId;

/// A table of at most `limit` connections. Where it is full, one that was not used lately makes room: slots are passed in turn and
/// each use since the last pass saves a connection once (the clock algorithm), so that a use costs no list operation.
#[derive(Debug)]
pub(super) struct Table<T> {
    limit: usize,
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    by_id: HashMap<ConnectionId, u32>,
    hand: usize,
}

#[derive(Debug)]
struct Slot<T> {
    id: ConnectionId,
    used: bool,
    value: Box<T>,
}

impl<T> Table<T> {
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, u32::MAX as usize);
        Self { limit, slots: Vec::new(), free: Vec::new(), by_id: HashMap::default(), hand: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The connection of this id, which counts as a use.
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        let slot = self.slots.get_mut(*self.by_id.get(&id)? as usize)?.as_mut()?;
        slot.used = true;
        Some(&mut slot.value)
    }

    /// The connection of this id, to look at.
    pub(super) fn peek(&self, id: ConnectionId) -> Option<&T> {
        let slot = self.slots.get(*self.by_id.get(&id)? as usize)?.as_ref()?;
        Some(&slot.value)
    }

    /// The connection of this id, which does not count as a use.
    pub(super) fn peek_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        let slot = self.slots.get_mut(*self.by_id.get(&id)? as usize)?.as_mut()?;
        Some(&mut slot.value)
    }

    /// All connections, none of which this uses.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &T)> {
        self.slots.iter().flatten().map(|slot| (slot.id, &*slot.value))
    }

    /// All connections to change, likewise.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut T)> {
        self.slots.iter_mut().flatten().map(|slot| (slot.id, &mut *slot.value))
    }

    /// Adds a connection and returns the one that made room for it, or that had its id.
    pub(super) fn insert(&mut self, id: ConnectionId, value: T) -> Option<(ConnectionId, T)> {
        let mut out = self.remove(id).map(|old| (id, old));
        if self.by_id.len() >= self.limit {
            out = self.evict();
        }
        let slot = Some(Slot { id, used: false, value: Box::new(value) });
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[index as usize] = slot;
        self.by_id.insert(id, index);
        out
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let index = self.by_id.remove(&id)?;
        let slot = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(*slot.value)
    }

    /// Takes all connections, ordered by id, so that the end of a replay is deterministic.
    pub(super) fn drain(&mut self) -> Vec<(ConnectionId, T)> {
        self.by_id.clear();
        self.free.clear();
        self.hand = 0;
        let mut all: Vec<_> = self.slots.drain(..).flatten().map(|slot| (slot.id, *slot.value)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    fn evict(&mut self) -> Option<(ConnectionId, T)> {
        // The first round may only clear marks; the second finds one.
        for _ in 0..2 * self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            if let Some(slot) = &mut self.slots[self.hand] {
                if !slot.used {
                    let id = slot.id;
                    return self.remove(id).map(|value| (id, value));
                }
                slot.used = false;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_forgets_one_that_was_not_used() {
        let mut table = Table::new(3);
        for id in 0..3 {
            assert!(table.insert(ConnectionId(id), id).is_none());
        }
        for id in [0, 2] {
            table.get_mut(ConnectionId(id)).unwrap();
        }
        assert_eq!(table.insert(ConnectionId(3), 3), Some((ConnectionId(1), 1)));
        assert_eq!(table.len(), 3);
        assert_eq!(table.slots.len(), 3);
        assert!(table.get_mut(ConnectionId(1)).is_none());
    }

    #[test]
    fn an_id_that_comes_again_replaces_and_slots_are_used_again() {
        let mut table = Table::new(2);
        for round in 0..100 {
            assert_eq!(table.insert(ConnectionId(7), round).map(|(_, old)| old), (round > 0).then(|| round - 1));
        }
        assert_eq!((table.len(), table.slots.len()), (1, 1));
        assert_eq!(table.remove(ConnectionId(7)), Some(99));
        assert_eq!(table.remove(ConnectionId(7)), None);
        table.insert(ConnectionId(2), 2);
        table.insert(ConnectionId(1), 1);
        let ids: Vec<u64> = table.drain().into_iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!(table.len(), 0);
    }
}
