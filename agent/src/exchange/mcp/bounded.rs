//! A map that forgets the oldest.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use foldhash::fast::RandomState;

/// A map that forgets what was put into it first.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    values: HashMap<K, (u64, V), RandomState>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { values: HashMap::default(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (number, value) = self.values.remove(key)?;
        self.order.remove(&number);
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.order.insert(self.next, key.clone());
        self.values.insert(key, (self.next, value));
        self.next += 1;
    }

    pub(super) fn oldest(&self) -> Option<&V> {
        self.order.first_key_value().and_then(|(_, key)| self.get(key))
    }

    pub(super) fn pop_oldest(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.values.remove(&key).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}
