//! A worker's ring: records out of it, sleeping and being woken.

use std::{
    collections::BTreeMap,
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use agent_common::{record::Head, scope::Skip};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{
    clock::Clock,
    handles::share,
    inside::{InsideCounts, Sockets},
    record,
};
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
    /// What the bounds of the tables of what is inside TLS cost since the last call.
    fn inside(&mut self, counts: InsideCounts);
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
    /// Whose is what is inside TLS; `None` if nothing of it is captured.
    sockets: Option<Sockets>,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct SkipValue(Skip);

// SAFETY: two integers without padding; any bytes are a value.
unsafe impl Pod for SkipValue {}

/// Tells the kernel what need not be copied. At most [`agent_common::limits::SKIPS`] connections at once; where there are more, those that were not
/// told of lately make room, since of a connection whose end was lost nobody will.
pub struct Skips {
    map: HashMap<MapData, u64, SkipValue>,
    current: foldhash::HashMap<ConnectionId, Entry>,
    /// The same connections by the turn in which they were last told of.
    by_turn: BTreeMap<u64, ConnectionId>,
    turn: u64,
    refused: u64,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    skip: Skip,
    turn: u64,
}

impl Skips {
    fn open(map: Map) -> Result<Self, MapError> {
        let (current, by_turn) = (foldhash::HashMap::default(), BTreeMap::new());
        Ok(Self { map: HashMap::try_from(map)?, current, by_turn, turn: 0, refused: 0 })
    }

    /// Bytes of this direction before `until` need not be copied. A full table costs only that they are, or those of another connection.
    pub fn set(&mut self, connection: ConnectionId, direction: Direction, until: u64) {
        let mut entry = self.current.get(&connection).copied().unwrap_or_default();
        entry.skip.until[direction.index()] = until;
        if entry.skip.until == [0; 2] {
            return self.remove(connection);
        }
        while self.map.insert(connection.0, SkipValue(entry.skip), 0).is_err() {
            self.refused += 1;
            let oldest = self.by_turn.first_key_value().map(|(_, &oldest)| oldest);
            // Full of what other workers tell, or refused for another reason.
            let Some(oldest) = oldest.filter(|&oldest| oldest != connection) else { return };
            self.remove(oldest);
        }
        self.by_turn.remove(&entry.turn);
        self.turn += 1;
        entry.turn = self.turn;
        self.by_turn.insert(self.turn, connection);
        self.current.insert(connection, entry);
    }

    /// Forgets a connection that is over.
    pub fn remove(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.current.remove(&connection) {
            self.by_turn.remove(&entry.turn);
            // Not being there is as good.
            let _ = self.map.remove(&connection.0);
        }
    }

    /// How many entries a full table had no room for since the last call, or made room by forgetting another.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

impl Ring {
    pub(super) fn open(ebpf: &mut Ebpf, index: u32, clock: Clock, tls: bool) -> Result<Self, MapError> {
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
            skips: Skips::open(Map::HashMap(share(ebpf, "SKIP")?))?,
            sockets: tls.then(Sockets::default),
        })
    }

    /// Gives every event to the worker until `stop` is set and the ring is empty. Where more keeps coming, what the ring held at the stop is
    /// given all the same, and then it ends.
    pub fn run(mut self, worker: &mut impl Worker, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let taken = self.drain(worker, BATCH);
            if let Some(sockets) = &mut self.sockets {
                sockets.tick(Instant::now(), &mut |event| worker.event(event, &mut self.skips));
                worker.inside(sockets.take_counts());
            }
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
                break;
            }
        }
        if let Some(sockets) = &mut self.sockets {
            sockets.finish(&mut |event| worker.event(event, &mut self.skips));
        }
    }

    /// Gives at most so many events to the worker, and says how many.
    fn drain(&mut self, worker: &mut impl Worker, most: usize) -> usize {
        let (mut taken, now) = (0, Instant::now());
        while taken < most {
            let Some(item) = self.records.next() else { break };
            taken += 1;
            match record::decode(&item, self.clock) {
                Ok(event) => match &mut self.sockets {
                    Some(sockets) => sockets.event(event, now, &mut |event| worker.event(event, &mut self.skips)),
                    None => worker.event(event, &mut self.skips),
                },
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
