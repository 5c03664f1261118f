//! The order of calls of language models and tools, as far as it can be told from outside: by time, by process, and by the names of the tools
//! that models ask for.

use std::{collections::HashMap, fmt::Write as _};

use super::text::{dollars, micros, plain};
use crate::{
    capture::{Open, Role, Timestamp},
    telemetry::{
        Facts,
        calls::{TOOLS_CALL, message_role},
    },
};

/// Most calls of which the order is kept, of each worker and in all; more are counted.
pub const MAX_NODES: usize = 4096;

/// A call as one end saw it.
#[derive(Clone, Debug)]
struct Node {
    start: Timestamp,
    end: Timestamp,
    process: Process,
    role: Role,
    call: CallId,
    what: What,
    failure: Option<String>,
}

/// Who saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    service: String,
    pid: u32,
}

/// Which call it is, the same at both ends: the connection, where on it the request began, and which of its messages it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CallId {
    connection: Ends,
    position: u64,
    part: u32,
}

/// Of a connection, seen from its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Ends {
    Sequence(u32, u32),
    Addresses(std::net::SocketAddr, std::net::SocketAddr),
    /// It is not known which it is: nobody else's. By process and the time of the request.
    Alone(u32, u64),
}

impl Ends {
    fn of(open: &Open, role: Role, start: Timestamp) -> Self {
        if !open.addresses_known() {
            return Self::Alone(open.pid, start.0);
        }
        let is_client = role == Role::Client;
        if let Some((out, into)) = open.isn_out.zip(open.isn_in) {
            if is_client { Self::Sequence(out, into) } else { Self::Sequence(into, out) }
        } else if is_client {
            Self::Addresses(open.local, open.peer)
        } else {
            Self::Addresses(open.peer, open.local)
        }
    }
}

#[derive(Clone, Debug)]
enum What {
    Model { name: String, first_token: Option<u64>, tokens: [Option<u64>; 2], cost: Option<u64>, asks: Vec<String> },
    Tool(String),
}

/// Calls in the order in which they were recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    beyond: u64,
}

impl Tree {
    pub(super) fn record(&mut self, facts: &Facts<'_>) {
        for part in facts.parts() {
            let what = match (part.genai(), part.message) {
                (Some(call), _) => {
                    let model = call.request.model.as_deref().or(call.response.model.as_deref());
                    let asks = call.response.tool_calls.iter().filter_map(|asked| asked.name.as_deref());
                    What::Model {
                        name: plain(&[call.operation.name(), model.unwrap_or_default()].join(" ")),
                        first_token: part.time_to_first_token().map(|time| time.as_micros() as u64),
                        tokens: [call.usage.input, call.usage.output],
                        cost: part.cost.dollars().map(|dollars| (dollars * 1e9).round() as u64),
                        asks: asks.map(plain).collect(),
                    }
                }
                (None, Some(message)) if part.mcp().is_some() && &*message.method == TOOLS_CALL => {
                    What::Tool(plain(message.tool.as_deref().unwrap_or("(not named)")))
                }
                _ => continue,
            };
            if self.nodes.len() >= MAX_NODES {
                self.beyond += 1;
                continue;
            }
            let (start, end) = part.times();
            let connection = &part.exchange.connection;
            self.nodes.push(Node {
                start,
                end,
                process: Process { service: plain(&connection.workload.service_name), pid: connection.open.pid },
                role: part.message.map_or(part.role, |message| message_role(part.role, message)),
                call: CallId {
                    connection: Ends::of(&connection.open, part.role, part.exchange.request.head.first_byte),
                    position: part.exchange.request.head.position,
                    part: part.part,
                },
                what,
                failure: part.failure().map(|failure| plain(&failure)),
            });
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let room = MAX_NODES.saturating_sub(self.nodes.len()).min(other.nodes.len());
        self.nodes.extend_from_slice(&other.nodes[..room]);
        self.beyond += other.beyond + (other.nodes.len() - room) as u64;
    }

    pub(super) fn render(&self, pretty: bool) -> String {
        if self.nodes.is_empty() {
            return "no calls of language models or tools\n".to_owned();
        }
        let mut nodes: Vec<&Node> = self.nodes.iter().collect();
        nodes.sort_by_key(|node| (node.start, node.end));
        let order = Order::of(&nodes);
        let mut text = String::new();
        let mut printer = Printer { nodes: &nodes, order: &order, first: nodes[0].start, pretty, text: &mut text };
        printer.processes();
        if self.beyond > 0 {
            let _ = writeln!(text, "{} more calls are not shown", self.beyond);
        }
        text
    }
}

/// What followed from what; calls by their place in the order of time.
struct Order {
    /// What each followed from.
    parents: Vec<Option<usize>>,
    /// Of a call that was seen at both ends, the server's place by the client's.
    served: HashMap<usize, usize>,
    /// Tools that a model asked for and that nobody was seen to call.
    unanswered: HashMap<usize, Vec<usize>>,
}

impl Order {
    fn of(nodes: &[&Node]) -> Self {
        let clients: HashMap<_, _> = (nodes.iter().enumerate())
            .filter(|(_, node)| node.role == Role::Client)
            .map(|(place, node)| (&node.call, place))
            .collect();
        let mut order = Self { parents: vec![None; nodes.len()], served: HashMap::new(), unanswered: HashMap::new() };
        let mut asked_by: HashMap<usize, usize> = HashMap::new();
        // Per process: what it is serving, and which tools its models have asked for.
        let mut serving: HashMap<&Process, Vec<usize>> = HashMap::new();
        let mut wanted: HashMap<&Process, Vec<(usize, usize)>> = HashMap::new();
        for (place, node) in nodes.iter().enumerate() {
            if node.role == Role::Server {
                serving.entry(&node.process).or_default().push(place);
                if let Some(client) = clients.get(&node.call) {
                    order.served.insert(*client, place);
                    asked_by.insert(place, *client);
                }
                continue;
            }
            let of_process = wanted.entry(&node.process).or_default();
            order.parents[place] = match &node.what {
                What::Tool(name) => {
                    let is_it = |(model, index): &(usize, usize)| {
                        let asks = |what: &What| matches!(what, What::Model { asks, .. } if asks[*index] == *name);
                        nodes[*model].end <= node.start && asks(&nodes[*model].what)
                    };
                    // The latest that asked, and of what that one asked the first.
                    let model = of_process.iter().rev().find(|wish| is_it(wish)).map(|(model, _)| *model);
                    let wish = of_process.iter().position(|wish| Some(wish.0) == model && is_it(wish));
                    wish.map(|wish| of_process.remove(wish).0)
                }
                What::Model { .. } => None,
            };
            if let What::Model { asks, .. } = &node.what {
                of_process.extend((0..asks.len()).map(|index| (place, index)));
            }
            if order.parents[place].is_none() {
                let within = |served: &&usize| nodes[**served].end > node.start;
                let served = serving.get(&node.process).and_then(|served| served.iter().rev().find(within));
                let parent = served.map(|served| asked_by.get(served).copied().unwrap_or(*served));
                // Nothing follows from what began after it, whatever the clocks of two recordings say.
                order.parents[place] = parent.filter(|parent| *parent < place);
            }
        }
        for (model, index) in wanted.into_values().flatten() {
            order.unanswered.entry(model).or_default().push(index);
        }
        order
    }

    /// Whether it is a line of its own: of a call that was seen at both ends only the client's is.
    fn is_shown(&self, place: usize) -> bool {
        !self.served.values().any(|served| *served == place)
    }
}

struct Printer<'a> {
    nodes: &'a [&'a Node],
    order: &'a Order,
    first: Timestamp,
    pretty: bool,
    text: &'a mut String,
}

impl Printer<'_> {
    /// Each process with what it began, in the order in which they did.
    fn processes(&mut self) {
        let mut processes: Vec<(&Process, Vec<usize>)> = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if self.order.parents[place].is_some() || !self.order.is_shown(place) {
                continue;
            }
            match processes.iter_mut().find(|(process, _)| **process == node.process) {
                Some((_, roots)) => roots.push(place),
                None => processes.push((&node.process, vec![place])),
            }
        }
        for (process, roots) in processes {
            let pid = if process.pid == 0 { String::new() } else { format!(" (pid {})", process.pid) };
            let _ = writeln!(self.text, "{}{pid}", process.service);
            self.siblings(&roots, &[], "");
        }
    }

    /// Calls below each other, then the tools that nobody was seen to call.
    fn siblings(&mut self, places: &[usize], wishes: &[&str], before: &str) {
        let (branch, corner, line) = if self.pretty { ("├─ ", "└─ ", "│  ") } else { ("|- ", "`- ", "|  ") };
        let lines = places.len() + wishes.len();
        for (index, place) in places.iter().enumerate() {
            let last = index + 1 == lines;
            let text = self.line(*place);
            let _ = writeln!(self.text, "{before}{}{text}", if last { corner } else { branch });
            let children: Vec<usize> =
                (0..self.nodes.len()).filter(|child| self.order.parents[*child] == Some(*place)).collect();
            let node = self.nodes[*place];
            let wishes: Vec<&str> = match (&node.what, self.order.unanswered.get(place)) {
                (What::Model { asks, .. }, Some(indices)) => {
                    indices.iter().map(|index| asks[*index].as_str()).collect()
                }
                _ => Vec::new(),
            };
            self.siblings(&children, &wishes, &format!("{before}{}", if last { "   " } else { line }));
        }
        for (index, wish) in wishes.iter().enumerate() {
            let last = places.len() + index + 1 == lines;
            let _ = writeln!(self.text, "{before}{}asks for {wish}: no call seen", if last { corner } else { branch });
        }
    }

    fn line(&self, place: usize) -> String {
        let node = self.nodes[place];
        let mut text = format!("+{:.3} s  ", node.start.since(self.first).as_secs_f64());
        let mut facts = vec![micros(node.end.since(node.start).as_micros() as u64)];
        match &node.what {
            What::Model { name, first_token, tokens, cost, .. } => {
                text.push_str(name);
                facts.extend(first_token.map(|first| format!("first token {}", micros(first))));
                let tokens = tokens.iter().zip(["in", "out"]);
                facts.extend(tokens.filter_map(|(tokens, way)| tokens.map(|tokens| format!("{tokens} {way}"))));
                facts.extend(cost.map(dollars));
            }
            What::Tool(name) => {
                text.push_str("tool ");
                text.push_str(name);
            }
        }
        if let Some(served) = self.order.served.get(&place) {
            facts.push(format!("served by {}", self.nodes[*served].process.service));
        } else if node.role == Role::Server {
            facts.push("served".to_owned());
        }
        facts.extend(node.failure.as_ref().map(|failure| format!("failed: {failure}")));
        let _ = write!(text, "  {}", facts.join(", "));
        text
    }
}
