//! Questions to workers: put down by a server, answered at the worker's next tick, so that no event waits for a lock.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{LiveState, lock};
use crate::{admin::liveness::Heartbeat, pipeline::Pipeline};

/// How long an answer may take: a worker that is awake ticks ten times a second.
const PATIENCE: Duration = Duration::from_secs(2);

type Question = Box<dyn FnOnce(&Pipeline) + Send>;

/// Where questions to one worker lie.
pub(super) struct Desk {
    name: String,
    /// Whether one does: all that a worker looks at when none does.
    asked: AtomicBool,
    question: Mutex<Option<Question>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Desk").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), asked: AtomicBool::new(false), question: Mutex::new(None) }
    }

    fn put(&self, question: Option<Question>) {
        let is_asked = question.is_some();
        *lock(&self.question) = question;
        self.asked.store(is_asked, Ordering::Release);
    }
}

/// What a worker carries along: it shows that it lives, and answers what is asked.
#[derive(Debug)]
pub struct WorkerProbe {
    heartbeat: Heartbeat,
    desk: Arc<Desk>,
}

impl WorkerProbe {
    pub(super) fn new(heartbeat: Heartbeat, desk: Arc<Desk>) -> Self {
        Self { heartbeat, desk }
    }

    /// To be called a few times a second, between events.
    pub fn tick(&self, pipeline: &Pipeline) {
        self.heartbeat.beat();
        if self.desk.asked.swap(false, Ordering::Acquire)
            && let Some(question) = lock(&self.desk.question).take()
        {
            question(pipeline);
        }
    }
}

/// What the workers answered.
pub(super) struct Answers<T> {
    /// With the name of the worker.
    pub(super) given: Vec<(String, T)>,
    /// Workers that did not answer in time.
    pub(super) missing: Vec<String>,
}

impl LiveState {
    /// Asks every worker the same.
    pub(super) async fn ask<T, F>(&self, question: F) -> Answers<T>
    where
        T: Send + 'static,
        F: Fn(&Pipeline) -> T + Clone + Send + 'static,
    {
        let _turn = self.0.turn.lock().await;
        let desks: Vec<Arc<Desk>> = {
            let mut desks = lock(&self.0.desks);
            // Nobody sits at the others any more.
            desks.retain(|desk| Arc::strong_count(desk) > 1);
            desks.iter().map(Arc::clone).collect()
        };
        let asked: Vec<_> = desks
            .into_iter()
            .map(|desk| {
                let (sender, answer) = oneshot::channel();
                let question = question.clone();
                desk.put(Some(Box::new(move |pipeline| {
                    // Whoever asked may have gone.
                    let _ = sender.send(question(pipeline));
                })));
                (desk, answer)
            })
            .collect();
        let mut answers = Answers { given: Vec::new(), missing: Vec::new() };
        for (desk, answer) in asked {
            if let Ok(Ok(answer)) = timeout(PATIENCE, answer).await {
                answers.given.push((desk.name.clone(), answer));
            } else {
                desk.put(None);
                answers.missing.push(desk.name.clone());
            }
        }
        answers
    }
}
