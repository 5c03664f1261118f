//! The outputs of a replay.

use std::sync::Arc;

use super::{
    Outputs, check_distinct,
    lines::{Logs, SharedLines},
    open,
    spans::{SharedSpans, Spans},
};
use crate::{
    admin::Health,
    cli::{
        args::{OutputArgs, ReplayArgs},
        config::{fallback, prices},
        exit::Failure,
        policies::Policies,
    },
    config::{Author, Config},
    export::{LineWriter, SpanFile},
    policy::{Defaults, Setting, plan::Exports},
    telemetry::{Settings, names},
};

impl Outputs {
    /// The outputs of a replay: deterministic, so nothing depends on the environment, and nothing waits in a queue.
    ///
    /// # Errors
    /// An output that cannot be opened, or one file for two of them.
    pub fn for_replay(output: &OutputArgs, args: &ReplayArgs, config: &Config) -> Result<Self, Failure> {
        check_distinct(output)?;
        names::follow(config.conventions(&|_| None));
        // Its files take whatever any sink or provider would.
        let defaults = Defaults {
            exports: Exports { spans: output.spans.is_some(), ..Defaults::EVERYTHING.exports },
            log_sink: true,
        };
        let setting = Setting { defaults, trust: config.trust(Author::Operator, false) };
        let fallback = fallback(config, args.config.as_deref(), &setting)?;
        let policies = Policies::load(&args.policy, setting, fallback)?;
        let health = Health::new();
        let logs = match &output.logs {
            Some(out) => Logs::Direct(SharedLines::new(LineWriter::new(open(out, false)?, &health))),
            None => Logs::None,
        };
        let settings = Settings { prices: prices(config)?, ..Settings::default() };
        let mut outputs = Self::new(output, policies.plans(), policies.faults(), settings, health, Vec::new())?;
        outputs.logs = logs;
        outputs.providers = Arc::new(config.providers());
        if let Some(out) = &output.spans {
            let file = SpanFile::new(open(out, false)?, Vec::new(), &outputs.health);
            outputs.spans = Some(Spans::Direct(SharedSpans::new(file)));
        }
        Ok(outputs)
    }
}
