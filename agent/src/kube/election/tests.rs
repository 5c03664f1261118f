//! Never two leaders, whatever is late or lost; and always one in the end.

use std::time::Duration;

use proptest::prelude::*;

use super::state::{Action, Answer, LeaseState, Local, Record, Seen, Timing};

const TIMING: Timing = Timing {
    lease: Duration::from_secs(15),
    give_up: Duration::from_secs(10),
    renew: Duration::from_secs(5),
    retry: Duration::from_secs(2),
    spread: Duration::from_secs(1),
};

fn at(seconds: f64) -> Local {
    Duration::from_secs_f64(seconds)
}

fn record(holder: &str, renewed: u64, transitions: i32) -> Record {
    Record { holder: holder.to_owned(), renewed: renewed.to_string(), transitions, duration: TIMING.lease }
}

fn seen(version: u64, holder: &str) -> Seen {
    Seen { version: version.to_string(), record: record(holder, version, 0) }
}

fn replace(version: u64, transitions: i32, renewal: bool) -> Action {
    Action::Replace { version: version.to_string(), transitions, renewal }
}

/// A candidate that leads since `sent`.
fn leader(sent: f64) -> LeaseState {
    let mut state = LeaseState::new("a".to_owned(), TIMING);
    state.read(None, at(sent), 0.0);
    assert_eq!(state.next(at(sent), 0.0), Action::Create);
    state.answered(Answer::Written(seen(1, "a")), at(sent), at(sent));
    state
}

#[test]
fn a_leader_counts_from_before_it_asked() {
    let mut state = LeaseState::new("a".to_owned(), TIMING);
    assert_eq!(state.next(at(0.0), 0.0), Action::Read);
    state.read(None, at(0.0), 0.5);
    assert_eq!(state.next(at(0.0), 0.0), Action::Wait(at(0.5)));
    state.answered(Answer::Written(seen(1, "a")), at(1.0), at(3.0));
    assert!(state.leads(at(10.9)) && !state.leads(at(11.0)));
    assert_eq!(state.next(at(3.0), 0.0), Action::Wait(at(6.0)));
    assert_eq!(state.next(at(6.0), 0.0), replace(1, 0, true));
}

#[test]
fn a_candidate_waits_for_the_duration_from_when_it_saw_the_record() {
    let mut state = LeaseState::new("b".to_owned(), TIMING);
    state.read(Some(seen(7, "a")), at(100.0), 0.0);
    // Something else of the object changed, or it was read again: the same record.
    state.read(Some(Seen { version: "8".to_owned(), record: record("a", 7, 0) }), at(110.0), 0.0);
    assert_eq!(state.next(at(110.0), 0.0), Action::Wait(at(115.0)));
    assert_eq!(state.next(at(116.0), 0.5), Action::Wait(at(116.5)));
    assert_eq!(state.next(at(115.0), 0.0), replace(8, 1, false));
    // It was renewed.
    state.read(Some(seen(9, "a")), at(115.0), 0.0);
    assert_eq!(state.next(at(115.0), 0.0), Action::Wait(at(130.0)));
}

#[test]
fn what_is_released_is_taken_at_once() {
    let mut state = LeaseState::new("b".to_owned(), TIMING);
    state.read(Some(seen(7, "a")), at(100.0), 0.0);
    state.watched(Some(seen(8, "")), at(101.0), 0.25);
    assert_eq!(state.next(at(101.0), 0.9), Action::Wait(at(101.25)));
    assert_eq!(state.next(at(101.25), 0.9), replace(8, 1, false));
}

#[test]
fn an_answer_that_was_lost_is_read() {
    let mut state = leader(0.0);
    state.answered(Answer::Failed, at(5.0), at(8.0));
    assert!(state.leads(at(8.0)));
    assert_eq!(state.next(at(8.0), 0.0), Action::Wait(at(10.0)));
    assert_eq!(state.next(at(10.0), 0.0), Action::Read);
    // It had been written: it is ours, and no time is lost.
    state.read(Some(seen(2, "a")), at(10.5), 0.0);
    assert!(!state.leads(at(10.5)));
    assert_eq!(state.next(at(10.5), 0.0), replace(2, 0, true));
    state.answered(Answer::Written(seen(3, "a")), at(10.5), at(10.6));
    assert!(state.leads(at(20.4)));
}

#[test]
fn a_leader_whose_record_was_taken_stops_at_once() {
    let mut state = leader(0.0);
    // A watch may show what was before us.
    state.watched(Some(seen(0, "z")), at(1.0), 0.0);
    assert!(state.leads(at(1.0)));
    state.answered(Answer::Conflict, at(5.0), at(5.0));
    assert!(state.leads(at(5.0)));
    assert_eq!(state.next(at(5.0), 0.0), Action::Read);
    state.read(Some(seen(9, "b")), at(5.1), 0.0);
    assert!(!state.leads(at(5.1)));
}

/// What may happen next. Candidates are counted from 0.
#[derive(Clone, Debug)]
enum Step {
    /// Milliseconds go by.
    Pass(u64),
    /// A candidate does what is to do, unless it waits for an answer.
    Act(usize),
    /// Its request reaches the server.
    Arrive(usize),
    /// Its answer comes, if it arrived.
    Answer(usize),
    /// It waits no longer for its answer; the request may arrive yet.
    Lose(usize),
    /// A request that nobody waits for arrives.
    Late(usize),
    /// A watch shows it what the Lease was, so many versions ago.
    Watch(usize, usize),
    /// It stops in good order: it steps down and gives the record back.
    Release(usize),
}

const CANDIDATES: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..CANDIDATES;
    let step = prop_oneof![
        4 => prop_oneof![0..100u64, 500..3000u64, 4000..16_000u64].prop_map(Step::Pass),
        8 => who.clone().prop_map(Step::Act),
        8 => who.clone().prop_map(Step::Arrive),
        8 => who.clone().prop_map(Step::Answer),
        1 => who.clone().prop_map(Step::Lose),
        1 => who.clone().prop_map(Step::Late),
        3 => (who.clone(), 0..3usize).prop_map(|(who, ago)| Step::Watch(who, ago)),
        1 => who.prop_map(Step::Release),
    ];
    prop::collection::vec(step, 0..400)
}

/// A request on its way, and its answer once it arrived.
#[derive(Clone, Debug)]
struct Request {
    action: Action,
    holder: String,
    sent: Local,
    answer: Option<(Answer, Option<Seen>)>,
}

struct World {
    /// Milliseconds.
    time: u64,
    /// Every version of the Lease.
    versions: Vec<Seen>,
    candidates: Vec<LeaseState>,
    /// What each clock shows at the start, and how fast it goes.
    clocks: Vec<(u64, f64)>,
    waiting: Vec<Option<Request>>,
    late: Vec<Option<Request>>,
}

impl World {
    fn new(clocks: Vec<(u64, f64)>) -> Self {
        Self {
            time: 0,
            versions: Vec::new(),
            candidates: (0..CANDIDATES).map(|who| LeaseState::new(who.to_string(), TIMING)).collect(),
            clocks,
            waiting: vec![None; CANDIDATES],
            late: vec![None; CANDIDATES],
        }
    }

    fn local(&self, who: usize) -> Local {
        let (start, rate) = self.clocks[who];
        Duration::from_millis(start) + Duration::from_millis(self.time).mul_f64(rate)
    }

    /// What the API server does.
    fn arrive(&mut self, request: &mut Request) {
        let now = self.versions.last().cloned();
        let version = self.versions.len() as u64 + 1;
        let write = |transitions: i32| Seen {
            version: version.to_string(),
            record: record(&request.holder, version, transitions),
        };
        let written = match (&request.action, &now) {
            (Action::Read, _) => {
                request.answer = Some((Answer::Failed, now));
                return;
            }
            (Action::Create, None) => Some(write(0)),
            (Action::Replace { version, transitions, .. }, Some(now)) if *version == now.version => {
                Some(write(*transitions))
            }
            _ => None,
        };
        self.versions.extend(written.clone());
        request.answer = Some((written.map_or(Answer::Conflict, Answer::Written), None));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass(milliseconds) => self.time += milliseconds,
            Step::Act(who) if self.waiting[who].is_none() => {
                let sent = self.local(who);
                let action = self.candidates[who].next(sent, 0.0);
                if !matches!(action, Action::Wait(_)) {
                    self.waiting[who] = Some(Request { action, holder: who.to_string(), sent, answer: None });
                }
            }
            Step::Arrive(who) => {
                if let Some(mut request) = self.waiting[who].take() {
                    if request.answer.is_none() {
                        self.arrive(&mut request);
                    }
                    self.waiting[who] = Some(request);
                }
            }
            Step::Answer(who) => {
                let now = self.local(who);
                let Some(request) = self.waiting[who].take_if(|request| request.answer.is_some()) else { return };
                match (request.action, request.answer) {
                    (Action::Read, Some((_, lease))) => self.candidates[who].read(lease, now, 0.0),
                    (_, Some((answer, _))) => self.candidates[who].answered(answer, request.sent, now),
                    _ => {}
                }
            }
            Step::Lose(who) => {
                let now = self.local(who);
                if let Some(request) = self.waiting[who].take() {
                    if request.action == Action::Read {
                        self.candidates[who].read_failed(now);
                    } else {
                        self.candidates[who].answered(Answer::Failed, request.sent, now);
                    }
                    self.late[who] = (request.answer.is_none()).then_some(request);
                }
            }
            Step::Late(who) => {
                if let Some(mut request) = self.late[who].take() {
                    self.arrive(&mut request);
                }
            }
            Step::Watch(who, ago) => {
                let now = self.local(who);
                let lease = self.versions.iter().rev().nth(ago).cloned();
                self.candidates[who].watched(lease, now, 0.0);
            }
            Step::Release(who) => {
                self.candidates[who].step_down();
                if let Some(ours) = self.candidates[who].ours().cloned() {
                    let action =
                        Action::Replace { version: ours.version, transitions: ours.record.transitions, renewal: false };
                    let mut request = Request { action, holder: String::new(), sent: self.local(who), answer: None };
                    self.arrive(&mut request);
                    // It is another process from here on.
                    self.candidates[who] = LeaseState::new(who.to_string(), TIMING);
                    self.waiting[who] = None;
                }
            }
            Step::Act(_) => {}
        }
    }

    fn leaders(&self) -> Vec<usize> {
        (0..CANDIDATES).filter(|&who| self.candidates[who].leads(self.local(who))).collect()
    }
}

fn clocks() -> impl Strategy<Value = Vec<(u64, f64)>> {
    prop::collection::vec((0..10_000_000u64, 0.9..1.1f64), CANDIDATES)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn two_never_lead(steps in steps(), clocks in clocks()) {
        let mut world = World::new(clocks);
        for step in &steps {
            world.step(step);
            let leaders = world.leaders();
            prop_assert!(leaders.len() <= 1, "{:?} lead after {:?} at {}", leaders, step, world.time);
        }
    }

    /// Whatever happened before: once answers come, there is a leader as soon as the last record is over, and it stays.
    #[test]
    fn one_leads_in_the_end(steps in steps(), clocks in clocks()) {
        let mut world = World::new(clocks);
        for step in &steps {
            world.step(step);
        }
        let round = |world: &mut World| {
            world.step(&Step::Pass(500));
            for who in 0..CANDIDATES {
                for step in [Step::Act(who), Step::Arrive(who), Step::Answer(who)] {
                    world.step(&step);
                }
            }
        };
        // The longest wait: 15 s by the slowest clock, with what failed before.
        for _ in 0..80 {
            round(&mut world);
        }
        let leaders = world.leaders();
        prop_assert_eq!(leaders.len(), 1);
        for _ in 0..80 {
            round(&mut world);
            prop_assert_eq!(world.leaders(), leaders.clone());
        }
    }
}
