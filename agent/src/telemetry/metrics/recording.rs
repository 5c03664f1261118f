//! Calls beyond HTTP -> series: one record for a call of a language model, one for each message, one for each session that is over.

use std::sync::atomic::Ordering;

use super::{
    Exemplar, KeyRef,
    aggregator::{Aggregator, Tables},
    call_subject::{CallSubject, Of},
    calls::{MODALITIES, OfCall, TOKEN_TYPES, Took},
    cells::Measured,
    labels, lock,
};
use crate::{
    exchange::{
        Call,
        genai::GenAi,
        mcp::{Message, Messages},
    },
    policy::plan::Part,
    telemetry::{
        ExchangeSubject,
        calls::message_end,
        names::{Measure, Occasion},
    },
};

/// A call beyond HTTP while it is recorded.
pub(super) struct Recording<'a> {
    pub(super) aggregator: &'a Aggregator,
    pub(super) tables: &'a mut Tables,
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) exchange: ExchangeSubject<'a>,
    pub(super) exemplar: Option<Exemplar>,
    /// Whether it is in a series that is not the overflow.
    pub(super) admitted: bool,
}

impl<'a> Recording<'a> {
    /// Records all that it is.
    pub(super) fn call(&mut self, call: &'a Call) {
        match call {
            Call::GenAi(call) => self.genai(call),
            Call::Mcp(messages) => {
                for message in &messages.messages {
                    self.message(Occasion::McpMessage, Measure::McpOperation, Of::Mcp(messages, message), message);
                }
                if messages.session.is_some() {
                    self.session(messages);
                }
            }
            Call::JsonRpc(messages) => {
                for message in &messages.messages {
                    self.message(Occasion::JsonRpc, Measure::JsonRpc, Of::JsonRpc(message), message);
                }
            }
        }
    }

    fn subject<'b>(&self, of: Of<'b>) -> CallSubject<'b>
    where
        'a: 'b,
    {
        CallSubject { exchange: self.exchange, of, conventions: self.aggregator.plan.conventions }
    }

    fn genai(&mut self, call: &'a GenAi) {
        let subject = self.subject(Of::GenAi(call));
        let mut measured = OfCall::new(self.exchange.facts, call);
        self.record(Occasion::GenAi, &subject, Part::default(), &measured);
        for (token_type, _) in TOKEN_TYPES {
            let part = Part { token_type: Some(token_type), ..Part::default() };
            measured.look_at(part);
            self.record(Occasion::TokenType, &subject, part, &measured);
        }
        for modality in MODALITIES {
            let part = Part { modality: Some(modality), ..Part::default() };
            measured.look_at(part);
            self.record(Occasion::Modality, &subject, part, &measured);
        }
    }

    fn message(&mut self, occasion: Occasion, measure: Measure, of: Of<'a>, message: &'a Message) {
        if let Some(end) = message_end(self.exchange.facts, message) {
            let took = Took { measure, duration: end.since(message.start) };
            self.record(occasion, &self.subject(of), Part::default(), &took);
        }
    }

    fn session(&mut self, messages: &Messages) {
        // Nobody asks how long they are: they need not be remembered.
        if !self.aggregator.plan.groups.iter().any(|group| group.occasion == Occasion::McpSession) {
            return;
        }
        let (ended, forgotten) = lock(&self.aggregator.sessions).take(self.exchange.facts, messages);
        self.aggregator.shared.sessions_forgotten.fetch_add(forgotten, Ordering::Relaxed);
        if let Some(ended) = ended {
            let of = Of::Session { protocol: ended.protocol.as_deref(), expired: ended.expired };
            let took = Took { measure: Measure::McpSession, duration: ended.duration };
            self.record(Occasion::McpSession, &self.subject(of), Part::default(), &took);
        }
    }

    /// Adds what was measured on one occasion to the series of all groups that are of it.
    fn record(&mut self, occasion: Occasion, subject: &CallSubject<'_>, part: Part, measured: &impl Measured) {
        let aggregator = self.aggregator;
        let role = subject.role();
        let groups = aggregator.plan.groups.iter().enumerate().skip(aggregator.of_exchanges);
        for (index, group) in groups {
            let other_end = group.role.is_some_and(|wanted| wanted != role);
            if group.occasion != occasion || other_end || !measured.any(group) {
                continue;
            }
            self.bytes.clear();
            let cut = labels::encode(&group.labels, subject, part, self.bytes);
            aggregator.shared.cut.fetch_add(cut, Ordering::Relaxed);
            let key = KeyRef { labels: self.bytes, ..KeyRef::of_call(self.exchange.facts, role) };
            let (position, own) = aggregator.place(&mut self.tables[index], index, &key);
            self.admitted |= own;
            self.tables[index].add(position, group, measured, self.exemplar);
        }
    }
}
