//! The parts of an exchange that have a span of their own: the messages of a batch, and the requests that a server sent on the stream of its answer.

use super::{message_end, message_role};
use crate::{
    capture::{Role, Timestamp},
    exchange::mcp::Message,
    policy::plan::ContextFormat,
    protocol::Incomplete,
    telemetry::{
        Facts,
        trace_context::{self, Context, Identity},
    },
};

/// `telltale.incomplete` of a request of a server whose answer was not seen, though the exchange on whose stream it came was.
const UNANSWERED: &str = "unanswered";

/// Iterates over [`Facts`] of the same exchange, one for each part.
#[derive(Clone)]
pub struct Parts<'a> {
    facts: Facts<'a>,
    messages: &'a [Message],
    /// Which comes next; `None` before the exchange as a whole.
    next: Option<usize>,
}

/// The message that stands for an exchange: the first request of the client, else its first notification.
pub(in crate::telemetry) fn leading(messages: &[Message]) -> Option<(usize, &Message)> {
    let own = || messages.iter().enumerate().filter(|(_, message)| !message.from_server);
    own().find(|(_, message)| !message.notification).or_else(|| own().next())
}

impl<'a> Facts<'a> {
    /// Its parts, in order. The first is what stands for the exchange: the first request of the client, or the exchange itself where it carries no message
    /// of a client. Then the other messages of the client (a batch), and the requests that the server sent; what a server only notifies of is none.
    pub fn parts(&self) -> Parts<'a> {
        let messages = self.messages().map_or(&[][..], |messages| &messages.messages);
        Parts { facts: self.clone(), messages, next: None }
    }

    /// The same exchange, of which this message is asked for.
    fn of_message(&self, index: usize, message: &'a Message) -> Self {
        let mut facts = self.clone();
        (facts.message, facts.part) = (Some(message), index as u32 + 1);
        facts
    }

    /// Whether it is a message that the server of the exchange sent.
    pub fn is_from_server(&self) -> bool {
        self.message.is_some_and(|message| message.from_server)
    }

    /// Begin and end of the part.
    ///
    /// A call and a lone request are as long as their exchange, but for an answer that came on a stream that went on after it. The messages of a
    /// batch begin when they were complete. What a server asked and was not seen to be answered has no length.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        let exchange = self.exchange;
        let first = exchange.request.head.first_byte;
        let last = exchange.response.as_ref().map_or(exchange.end, |response| response.last_byte);
        let (start, end) = match self.message {
            None => (first, last),
            Some(message) => {
                let start = if self.part > 0 { message.start.max(first) } else { first };
                let none = if message.from_server { start } else { last };
                (start, message_end(self, message).unwrap_or(none))
            }
        };
        (start, end.max(start))
    }

    /// Why it was not seen whole (`telltale.incomplete`).
    pub fn incomplete(&self) -> Option<&'static str> {
        let unanswered = |message: &Message| message.from_server && !message.notification && message.end.is_none();
        (self.exchange.incomplete.map(Incomplete::name))
            .or_else(|| self.message.is_some_and(unanswered).then_some(UNANSWERED))
    }

    /// Who the part is in a trace. A message of MCP may carry its own context in `_meta`, which holds before that of HTTP (semconv mcp, "Context
    /// propagation"); it is always of W3C, and read where that is.
    pub fn identify(&self, formats: &[ContextFormat]) -> Identity {
        let around = self.context(formats);
        match self.own_context(formats) {
            Some(own) => Identity { around, ..self.identify_in(Some(own)) },
            None => self.identify_in(around),
        }
    }

    /// The context of the sender: that of the message, else that of HTTP.
    pub fn sender(&self, formats: &[ContextFormat]) -> Option<Context> {
        self.own_context(formats).or_else(|| self.context(formats))
    }

    /// The context that the message carries itself.
    fn own_context(&self, formats: &[ContextFormat]) -> Option<Context> {
        let message = self.message.filter(|_| formats.contains(&ContextFormat::W3c))?;
        trace_context::of_texts(message.traceparent.as_deref()?, message.tracestate.as_deref())
    }

    fn identify_in(&self, context: Option<Context>) -> Identity {
        let head = &self.exchange.request.head;
        let open = &self.exchange.connection.open;
        if self.part == 0 {
            return trace_context::identify(open, self.role, head.position, head.first_byte, context);
        }
        let receives = self.message.is_some_and(|message| message_role(self.role, message) == Role::Server);
        trace_context::identify_part(open, self.role, (head.position, head.first_byte), (self.part, receives), context)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Facts<'a>;

    fn next(&mut self) -> Option<Facts<'a>> {
        let leading = leading(self.messages).map(|(index, _)| index);
        let Some(next) = self.next else {
            self.next = Some(0);
            return Some(self.facts.clone());
        };
        let is_part = |(index, message): &(usize, &Message)| {
            Some(*index) != leading && !(message.from_server && message.notification)
        };
        let (index, message) = self.messages.iter().enumerate().skip(next).find(is_part)?;
        self.next = Some(index + 1);
        Some(self.facts.of_message(index, message))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        exchange::mcp::Messages,
        telemetry::test_support::{
            Sample,
            calls::{after, chat, session, tool_call},
        },
    };

    fn named(method: &str) -> Message {
        Message { method: method.into(), tool: None, ..tool_call() }
    }

    /// Methods of the parts; `-` for the exchange itself.
    fn parts(sample: &Sample) -> Vec<String> {
        sample.facts(|facts| {
            let name = |part: Facts<'_>| part.message.map_or("-".to_owned(), |message| message.method.to_string());
            facts.parts().map(name).collect()
        })
    }

    #[test]
    fn the_first_part_stands_for_the_exchange() {
        assert_eq!(parts(&Sample::new(Role::Client)), ["-"]);
        assert_eq!(parts(&Sample::genai(Role::Client, chat())), ["-"]);
        let of = |messages| parts(&Sample::mcp(Role::Client, session(messages)));
        assert_eq!(of(vec![]), ["-"]);
        assert_eq!(of(vec![tool_call()]), ["tools/call"]);
        let said = Message { notification: true, ..named("notifications/cancelled") };
        assert_eq!(of(vec![said.clone()]), ["notifications/cancelled"]);
        // A request stands for a batch, and what is beside it follows.
        assert_eq!(of(vec![said, named("a"), named("b")]), ["a", "notifications/cancelled", "b"]);
        let asked = Message { from_server: true, ..named("sampling/createMessage") };
        let told = Message { from_server: true, notification: true, ..named("notifications/progress") };
        assert_eq!(of(vec![named("a"), told.clone(), asked.clone()]), ["a", "sampling/createMessage"]);
        assert_eq!(of(vec![told, asked]), ["-", "sampling/createMessage"]);
    }

    #[test]
    fn each_part_has_an_id_and_both_ends_agree() {
        let asked = Message { from_server: true, ..named("roots/list") };
        let messages = || session(vec![named("a"), named("b"), asked.clone()]);
        let ids = |role| {
            let sample = Sample::mcp(role, messages());
            sample.facts(|facts| facts.parts().map(|part| part.identify(ContextFormat::DEFAULT)).collect::<Vec<_>>())
        };
        let (client, server) = (ids(Role::Client), ids(Role::Server));
        let distinct: BTreeSet<_> = client.iter().chain(&server).map(|identity| identity.span_id.0).collect();
        assert_eq!(distinct.len(), 6);
        assert!(client.iter().chain(&server).all(|identity| identity.trace_id == client[0].trace_id));
        let parents = |children: &[Identity]| children.iter().map(|child| child.parent_span_id).collect::<Vec<_>>();
        assert_eq!(parents(&server), [Some(client[0].span_id), Some(client[1].span_id), None]);
        assert_eq!(parents(&client), [None, None, Some(server[2].span_id)]);
    }

    #[test]
    fn the_context_of_a_message_comes_before_that_of_http() {
        let traced = Message {
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            tracestate: Some("vendor=1".into()),
            ..tool_call()
        };
        let sample = |message| {
            Sample::mcp(Role::Server, session(vec![message]))
                .header("traceparent", "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01")
        };
        let identity = |message, formats: &[ContextFormat]| sample(message).facts(|facts| facts.identify(formats));
        let own = identity(traced.clone(), ContextFormat::DEFAULT);
        let around = own.around.and_then(|around| around.parent).unwrap();
        assert_eq!(own.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(own.parent_span_id.unwrap().to_string(), "00f067aa0ba902b7");
        assert_eq!(own.context.unwrap().state, "vendor=1");
        assert_eq!(around.span_id.to_string(), "e457b5a2e4d86bd1");
        let broken = Message { traceparent: Some("00-4bf9".into()), ..traced.clone() };
        let of_http = identity(broken, ContextFormat::DEFAULT);
        assert_eq!((of_http.trace_id.to_string().as_str(), of_http.around), ("80f198ee56343ba864fe8b2a57d3eff7", None));
        let of_sender = |message| {
            sample(message).facts(|facts| facts.sender(ContextFormat::DEFAULT)).unwrap().parent.unwrap().trace_id
        };
        assert_eq!(of_sender(traced.clone()), own.trace_id);
        assert_eq!(of_sender(tool_call()), of_http.trace_id);
        // Who does not read W3C does not read it there either.
        assert_eq!(identity(traced, &[ContextFormat::B3]).context, None);
    }

    #[test]
    fn times_of_parts() {
        let second = Message { start: after(100), end: Some(after(5_000)), ..named("b") };
        let open = Message { answered: false, end: None, ..named("c") };
        let asked = Message { from_server: true, start: after(200), ..open.clone() };
        let messages = Messages { batch: true, ..session(vec![tool_call(), second, open, asked]) };
        let times = Sample::mcp(Role::Client, messages).facts(|facts| {
            let micros = |part: Facts<'_>| {
                let (start, end) = part.times();
                (start.since(after(0)).as_micros(), end.since(after(0)).as_micros(), part.incomplete())
            };
            facts.parts().map(micros).collect::<Vec<_>>()
        });
        assert_eq!(times, [(0, 9_000, None), (100, 5_000, None), (0, 12_345, None), (200, 200, Some("unanswered"))]);
    }
}
