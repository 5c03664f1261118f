//! Changes what is captured while capture goes on.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _, path::PathBuf};

use agent_common::scope;
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError},
};

use super::{
    Scope, ScopeError, Sizes,
    handles::share,
    scope::{Control, refused},
};
use crate::capture::Hierarchy;

/// What holds for a cgroup and all below it, but for those of them that something else holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Its tasks are in scope.
    Included,
    /// They are, but not what they send and receive inside TLS.
    IncludedPlain,
    /// They are not, although a cgroup above it is.
    Excluded,
}

impl Membership {
    const fn value(self) -> u8 {
        match self {
            Self::Included => scope::INCLUDED,
            Self::IncludedPlain => scope::INCLUDED_PLAIN,
            Self::Excluded => scope::EXCLUDED,
        }
    }
}

/// A handle to the kernel's scope, for a thread that follows policies.
pub struct ScopeControl {
    control: Array<MapData, Control>,
    cgroups: HashMap<MapData, u64, u8>,
    scope: Scope,
    hierarchy: Hierarchy,
    written: BTreeMap<u64, Membership>,
    sizes: Sizes,
    generation: u32,
}

impl ScopeControl {
    pub(super) fn open(ebpf: &Ebpf, scope: &Scope, sizes: Sizes, generation: u32) -> Result<Self, ScopeError> {
        let id = |path: &PathBuf| Some((std::fs::metadata(path).ok()?.ino(), Membership::Included));
        Ok(Self {
            control: Array::try_from(Map::Array(share(ebpf, "SCOPE")?))?,
            cgroups: HashMap::try_from(Map::HashMap(share(ebpf, "SCOPE_CGROUPS")?))?,
            scope: scope.clone(),
            hierarchy: scope.hierarchy()?,
            written: scope.cgroups.iter().filter_map(id).collect(),
            sizes,
            generation,
        })
    }

    /// The hierarchy that the kernel side looks at.
    pub const fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// These cgroups are in scope from now on, and no others; of those that are in `plain` too, what is inside TLS is not. Every socket is looked up
    /// again with its next call.
    ///
    /// # Errors
    /// A cgroup that is not there or of another hierarchy than at the start: nothing is changed. The kernel refuses an entry: see [`Self::set`].
    pub fn set_cgroups(&mut self, cgroups: &[PathBuf], plain: &[PathBuf]) -> Result<(), ScopeError> {
        let scope = Scope { cgroups: cgroups.to_vec(), hierarchy: None, ..Scope::default() };
        if let Some(path) = scope.cgroups.first()
            && scope.hierarchy()? != self.hierarchy
        {
            return Err(ScopeError::MixedHierarchies { path: path.clone() });
        }
        let mut wanted = BTreeMap::new();
        for path in cgroups {
            let metadata = std::fs::metadata(path);
            let metadata = metadata.map_err(|source| ScopeError::Cgroup { path: path.clone(), source })?;
            let is_plain = plain.contains(path);
            wanted.insert(metadata.ino(), if is_plain { Membership::IncludedPlain } else { Membership::Included });
        }
        self.set(wanted).map(drop)
    }

    /// What holds for cgroups from now on, by their ids (the inode number of the folder); for no others does anything hold. Only what differs from
    /// before is written, and if anything does, every socket is looked up again with its next call. Whether anything did is returned.
    ///
    /// The id of a cgroup that is gone does no harm: it never means another one.
    ///
    /// # Errors
    /// The kernel refuses an entry, as more than its table holds or otherwise: all the others hold, and it is tried again with the next change.
    pub fn set(&mut self, wanted: impl IntoIterator<Item = (u64, Membership)>) -> Result<bool, ScopeError> {
        let wanted: BTreeMap<u64, Membership> = wanted.into_iter().collect();
        let mut changed = false;
        let mut failure = None;
        for id in self.written.keys().filter(|id| !wanted.contains_key(id)).copied().collect::<Vec<_>>() {
            match self.cgroups.remove(&id) {
                Ok(()) | Err(MapError::KeyNotFound) => {
                    self.written.remove(&id);
                    changed = true;
                }
                Err(error) => failure = Some(error.into()),
            }
        }
        let new = |(id, membership): &(&u64, &Membership)| self.written.get(*id) != Some(*membership);
        let mut new: Vec<(u64, Membership)> =
            wanted.iter().filter(new).map(|(id, membership)| (*id, *membership)).collect();
        // What is taken out first: in no moment is it in scope by what is above it.
        new.sort_by_key(|(_, membership)| *membership != Membership::Excluded);
        for (id, membership) in new {
            match self.cgroups.insert(id, membership.value(), 0) {
                Ok(()) => {
                    self.written.insert(id, membership);
                    changed = true;
                }
                Err(error) => failure = Some(refused("cgroups", self.sizes.cgroups)(error)),
            }
        }
        if changed {
            // Generation 0 is that of a kernel side that was not told anything.
            self.generation = self.generation.checked_add(1).unwrap_or(1);
            let any = self.written.values().any(|membership| *membership != Membership::Excluded);
            let kinds = (self.scope.kinds() & !scope::CGROUP) | if any { scope::CGROUP } else { 0 };
            self.control.set(0, Control(scope::Scope { generation: self.generation, kinds }), 0)?;
        }
        failure.map_or(Ok(changed), Err)
    }
}
