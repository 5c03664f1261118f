//! Calls beyond HTTP -> series: one record for a call of a language model, one for each message, one for each session that is over.

use std::sync::atomic::Ordering;

use super::{
    Exemplar, KeyRef,
    aggregator::{Aggregator, Tables},
    call_subject::{CallSubject, Session},
    calls::{MODALITIES, OfCall, OfPart, TOKEN_TYPES, Took},
    labels, lock,
};
use crate::{
    capture::Role,
    exchange::{
        Call,
        genai::GenAi,
        mcp::{Message, Messages},
    },
    policy::plan::Part,
    telemetry::{
        ExchangeSubject,
        calls::{message_end, message_role},
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

impl Recording<'_> {
    /// Records all that it is.
    pub(super) fn call(&mut self, call: &Call) {
        match call {
            Call::GenAi(call) => self.genai(call),
            Call::Mcp(messages) => {
                for message in &messages.messages {
                    self.message(Occasion::McpMessage, Measure::McpOperation, message);
                }
                if messages.session.is_some() {
                    self.session(messages);
                }
            }
            Call::JsonRpc(messages) => {
                for message in &messages.messages {
                    self.message(Occasion::JsonRpc, Measure::JsonRpc, message);
                }
            }
        }
    }

    fn genai(&mut self, call: &GenAi) {
        let exchange = self.exchange;
        let role = exchange.facts.role;
        let subject = self.subject(exchange);
        let mut measured = OfCall::new(exchange.facts, call);
        self.record(Occasion::GenAi, role, &subject, &measured);
        for (token_type, _) in TOKEN_TYPES {
            measured.part = Part { token_type: Some(token_type), ..Part::default() };
            self.record(Occasion::TokenType, role, &subject, &measured);
        }
        for modality in MODALITIES {
            measured.part = Part { modality: Some(modality), ..Part::default() };
            self.record(Occasion::Modality, role, &subject, &measured);
        }
    }

    fn message(&mut self, occasion: Occasion, measure: Measure, message: &Message) {
        let exchange = self.exchange;
        let Some(end) = message_end(exchange.facts, message) else { return };
        let mut facts = exchange.facts.clone();
        facts.message = Some(message);
        let role = message_role(facts.role, message);
        // The others of a batch have spans of their own, which are not known here.
        let own = exchange.facts.message.is_some_and(|leading| std::ptr::eq(leading, message));
        let exemplar = std::mem::take(&mut self.exemplar);
        self.exemplar = exemplar.filter(|_| own);
        let subject = self.subject(ExchangeSubject { facts: &facts, ..exchange });
        self.record(occasion, role, &subject, &Took { measure, duration: end.since(message.start) });
        self.exemplar = exemplar;
    }

    fn session(&mut self, messages: &Messages) {
        // Nobody asks how long they are: they need not be remembered.
        if !self.aggregator.plan.groups.iter().any(|group| group.occasion == Occasion::McpSession) {
            return;
        }
        let exchange = self.exchange;
        let (ended, forgotten) = lock(&self.aggregator.sessions).take(exchange.facts, messages);
        self.aggregator.shared.sessions_forgotten.fetch_add(forgotten, Ordering::Relaxed);
        if let Some(ended) = ended {
            let session = Some(Session { protocol: ended.protocol.as_deref(), expired: ended.expired });
            let subject = CallSubject { session, ..self.subject(exchange) };
            let took = Took { measure: Measure::McpSession, duration: ended.duration };
            self.record(Occasion::McpSession, exchange.facts.role, &subject, &took);
        }
    }

    fn subject<'b>(&self, exchange: ExchangeSubject<'b>) -> CallSubject<'b> {
        CallSubject { exchange, session: None, conventions: self.aggregator.plan.conventions }
    }

    /// Adds what was measured on one occasion to the series of all groups that are of it.
    fn record(&mut self, occasion: Occasion, role: Role, subject: &CallSubject<'_>, measured: &impl OfPart) {
        let aggregator = self.aggregator;
        let groups = aggregator.plan.groups.iter().enumerate().skip(aggregator.of_exchanges);
        for (index, group) in groups {
            let other_end = group.role.is_some_and(|wanted| wanted != role);
            if group.occasion != occasion || other_end || !measured.any(group) {
                continue;
            }
            self.bytes.clear();
            let cut = labels::encode(&group.labels, subject, measured.part(), self.bytes);
            aggregator.shared.cut.fetch_add(cut, Ordering::Relaxed);
            let key = KeyRef {
                labels: self.bytes,
                ..KeyRef::of_labels(&self.exchange.facts.exchange.connection.workload, role)
            };
            let (position, own) = aggregator.place(&mut self.tables[index], index, &key);
            self.admitted |= own;
            self.tables[index].add(position, group, measured, self.exemplar);
        }
    }
}
