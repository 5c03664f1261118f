//! Changes what is captured while capture goes on.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt as _, path::PathBuf};

use agent_common::scope;
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError},
};

use super::{
    Scope, ScopeError,
    loader::share,
    scope::{Control, Hierarchy},
};

/// A handle to the kernel's scope, for a thread that follows policies.
pub struct ScopeControl {
    control: Array<MapData, Control>,
    cgroups: HashMap<MapData, u64, u8>,
    scope: Scope,
    hierarchy: Hierarchy,
    written: BTreeSet<u64>,
    generation: u32,
}

impl ScopeControl {
    pub(super) fn open(ebpf: &Ebpf, scope: &Scope, generation: u32) -> Result<Self, ScopeError> {
        Ok(Self {
            control: Array::try_from(Map::Array(share(ebpf, "SCOPE")?))?,
            cgroups: HashMap::try_from(Map::HashMap(share(ebpf, "SCOPE_CGROUPS")?))?,
            scope: scope.clone(),
            hierarchy: scope.hierarchy()?,
            written: scope.cgroups.iter().filter_map(|path| Some(std::fs::metadata(path).ok()?.ino())).collect(),
            generation,
        })
    }

    /// These cgroups are in scope from now on, and no others. Every socket is looked up again with its next call.
    ///
    /// # Errors
    /// A cgroup that is not there or of another hierarchy than at the start: nothing is changed. The kernel refuses an entry: the others hold.
    pub fn set_cgroups(&mut self, cgroups: Vec<PathBuf>) -> Result<(), ScopeError> {
        let scope = Scope { cgroups, ..self.scope.clone() };
        if let Some(path) = scope.cgroups.first()
            && scope.hierarchy()? != self.hierarchy
        {
            return Err(ScopeError::MixedHierarchies { path: path.clone() });
        }
        let mut wanted = BTreeSet::new();
        for path in &scope.cgroups {
            let metadata = std::fs::metadata(path);
            let metadata = metadata.map_err(|source| ScopeError::Cgroup { path: path.clone(), source })?;
            wanted.insert(metadata.ino());
        }
        for gone in self.written.difference(&wanted) {
            match self.cgroups.remove(gone) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for new in wanted.difference(&self.written) {
            self.cgroups.insert(new, 1, 0)?;
        }
        self.written = wanted;
        self.scope = scope;
        self.generation += 1;
        let value = scope::Scope { generation: self.generation, kinds: self.scope.kinds() };
        self.control.set(0, Control(value), 0)?;
        Ok(())
    }
}
