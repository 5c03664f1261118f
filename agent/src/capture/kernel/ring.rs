//! A worker's ring: records out of it, sleeping and being woken.

use std::{
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use agent_common::{record::Head, scope::Skip};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{clock::Clock, loader::share, record};
use crate::capture::{ConnectionId, Direction, Event};

/// Names of the rings in the object, by worker.
pub(super) const NAMES: [&str; agent_common::limits::RINGS as usize] = ["RING0", "RING1", "RING2", "RING3"];

/// Between two looks at the ring while records come: the kernel need not wake anyone.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest sleep: a stop and the expiry of what waits are noticed after it.
const SLEEP_MS: u16 = 100;
/// Records after which the owner of the ring is asked whether to stop.
const BATCH: usize = 4096;
/// The least that a record takes in a ring: the kernel's header of it (`BPF_RINGBUF_HDR_SZ`) and ours.
const LEAST_RECORD: usize = 8 + size_of::<Head>();

/// What is done with the events of one ring.
pub trait Worker {
    /// Takes an event. Bytes in it are borrowed from the ring.
    fn event(&mut self, event: Event<'_>, skips: &mut Skips);
    /// Called after every batch, and at least ten times a second.
    fn tick(&mut self, skips: &mut Skips);
    /// A record was malformed.
    fn malformed(&mut self);
}

/// One ring, for one worker.
pub struct Ring {
    records: RingBuf<MapData>,
    /// The most records that it can hold at once.
    most: usize,
    wake: Array<MapData, u32>,
    index: u32,
    clock: Clock,
    skips: Skips,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct SkipValue(Skip);

// SAFETY: two integers without padding; any bytes are a value.
unsafe impl Pod for SkipValue {}

/// Tells the kernel what need not be copied. At most [`agent_common::limits::SKIPS`] connections at once.
pub struct Skips {
    map: HashMap<MapData, u64, SkipValue>,
    current: foldhash::HashMap<ConnectionId, Skip>,
    refused: u64,
}

impl Skips {
    /// Bytes of this direction before `until` need not be copied. A full table costs only that they are.
    pub fn set(&mut self, connection: ConnectionId, direction: Direction, until: u64) {
        let mut skip = self.current.get(&connection).copied().unwrap_or_default();
        skip.until[direction.index()] = until;
        if self.map.insert(connection.0, SkipValue(skip), 0).is_ok() {
            self.current.insert(connection, skip);
        } else {
            self.refused += 1;
        }
    }

    /// Forgets a connection that is over.
    pub fn remove(&mut self, connection: ConnectionId) {
        if self.current.remove(&connection).is_some() {
            // Not being there is as good.
            let _ = self.map.remove(&connection.0);
        }
    }

    /// How many entries a full table refused since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

impl Ring {
    pub(super) fn open(ebpf: &mut Ebpf, index: u32, clock: Clock) -> Result<Self, MapError> {
        let name = NAMES[index as usize];
        let map = ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })?;
        let bytes = match &map {
            Map::RingBuf(data) => data.info()?.max_entries(),
            _ => return Err(MapError::InvalidName { name: name.to_owned() }),
        };
        Ok(Self {
            records: RingBuf::try_from(map)?,
            most: bytes as usize / LEAST_RECORD,
            wake: Array::try_from(Map::Array(share(ebpf, "WAKE")?))?,
            index,
            clock,
            skips: Skips {
                map: HashMap::try_from(Map::HashMap(share(ebpf, "SKIP")?))?,
                current: foldhash::HashMap::default(),
                refused: 0,
            },
        })
    }

    /// Gives every event to the worker until `stop` is set and the ring is empty. Where more keeps coming, what the ring held at the stop is
    /// given all the same, and then it ends.
    pub fn run(mut self, worker: &mut impl Worker, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let taken = self.drain(worker, BATCH);
            worker.tick(&mut self.skips);
            match taken {
                0 => self.sleep(),
                BATCH => {}
                _ => std::thread::sleep(PAUSE),
            }
        }
        self.finish(worker);
    }

    /// Empties the ring, however fast it is filled.
    fn finish(&mut self, worker: &mut impl Worker) {
        let mut left = self.most;
        loop {
            let taken = self.drain(worker, left.min(BATCH));
            worker.tick(&mut self.skips);
            left -= taken;
            if taken == 0 || left == 0 {
                return;
            }
        }
    }

    /// Gives at most so many events to the worker, and says how many.
    fn drain(&mut self, worker: &mut impl Worker, most: usize) -> usize {
        let mut taken = 0;
        while taken < most {
            let Some(item) = self.records.next() else { break };
            taken += 1;
            match record::decode(&item, self.clock) {
                Ok(event) => worker.event(event, &mut self.skips),
                Err(_) => worker.malformed(),
            }
        }
        taken
    }

    /// Sleeps until the kernel wakes the worker, or [`SLEEP_MS`].
    fn sleep(&mut self) {
        // From here on the next record wakes; one that came just before is seen by `poll` itself.
        if self.wake.set(self.index, 1, 0).is_err() {
            std::thread::sleep(PAUSE);
            return;
        }
        let mut fds = [PollFd::new(self.records.as_fd(), PollFlags::POLLIN)];
        // An interruption is as good as a wake-up.
        let _ = poll(&mut fds, PollTimeout::from(SLEEP_MS));
    }
}
