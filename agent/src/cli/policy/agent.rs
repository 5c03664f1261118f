//! Asking a running agent (`docs/admin.md`).

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    str::FromStr,
    time::Duration,
};

use http::Uri;

use crate::admin::ADMIN_ADDRESS;

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes: more than an explanation of thousands of policies takes.
const MAX_ANSWER: u64 = 16 << 20;

/// Where a running agent shows its live state: `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentUrl(String);

impl AgentUrl {
    /// Where it is if nobody says otherwise.
    pub const DEFAULT: &'static str = "http://127.0.0.1:9465";
}

impl fmt::Display for AgentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

impl FromStr for AgentUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}; give http://HOST:PORT"))?;
        match (uri.scheme_str(), uri.authority(), uri.path()) {
            (Some("http"), Some(authority), "/" | "") if uri.query().is_none() => Ok(Self(authority.to_string())),
            (Some("https"), ..) => {
                Err("an agent speaks http, and listens on loopback; give http://HOST:PORT".to_owned())
            }
            _ => Err("the address of an agent is http://HOST:PORT".to_owned()),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error(
        "no agent answers at {agent}: {source}; in a cluster, forward the port of the agent on the pod's node \
         (`kubectl -n telltale get pods -o wide` names it): `kubectl -n telltale port-forward pod/NAME {port}`",
        port = ADMIN_ADDRESS.rsplit(':').next().unwrap_or_default()
    )]
    Unreachable {
        /// Where it was looked for.
        agent: AgentUrl,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error(
        "{agent} does not answer as an agent does: {problem}; is it the address of --admin-addr, not of --metrics-addr?"
    )]
    NoAgent {
        /// Who was asked.
        agent: AgentUrl,
        /// What is odd.
        problem: String,
    },
    /// The agent says why not.
    #[error("the agent at {agent} says: {problem}")]
    Refused {
        /// Who was asked.
        agent: AgentUrl,
        /// What it says.
        problem: String,
    },
}

impl AgentUrl {
    /// What the agent answers to a GET.
    ///
    /// # Errors
    /// It cannot be reached, is no agent, or refuses.
    pub fn get(&self, path: &str) -> Result<String, AskError> {
        let unreachable = |source| AskError::Unreachable { agent: self.clone(), source };
        let odd = |problem: &str| AskError::NoAgent { agent: self.clone(), problem: problem.to_owned() };
        let answer = self.fetch(path).map_err(unreachable)?;
        let answer = String::from_utf8(answer).map_err(|_| odd("it sends no text"))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| odd("it does not speak HTTP"))?;
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        match status {
            Some("200") => Ok(body.to_owned()),
            Some(status) => {
                let said: Option<String> = serde_json::from_str(body)
                    .ok()
                    .and_then(|value: serde_json::Value| Some(value.get("error")?.as_str()?.to_owned()));
                Err(match said {
                    Some(problem) => AskError::Refused { agent: self.clone(), problem },
                    None => odd(&format!("status {status}")),
                })
            }
            None => Err(odd("it does not speak HTTP/1.1")),
        }
    }

    /// The whole answer. The agent gives the length and closes the connection, as it is asked to: no transfer coding.
    fn fetch(&self, path: &str) -> io::Result<Vec<u8>> {
        let authority = &self.0;
        let with_port = if authority.parse::<Uri>().is_ok_and(|uri| uri.port().is_some()) { "" } else { ":80" };
        let mut failed = io::Error::other("the name has no address");
        for address in format!("{authority}{with_port}").to_socket_addrs()? {
            let mut stream = match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => stream,
                Err(error) => {
                    failed = error;
                    continue;
                }
            };
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
            return Ok(answer);
        }
        Err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_an_agent_is_a_url_without_path() {
        for (text, shown) in [
            (AgentUrl::DEFAULT, AgentUrl::DEFAULT),
            ("http://localhost:1/", "http://localhost:1"),
            ("http://[::1]:9465", "http://[::1]:9465"),
        ] {
            assert_eq!(text.parse::<AgentUrl>().unwrap().to_string(), shown);
        }
        for wrong in ["https://127.0.0.1:9465", "127.0.0.1:9465", "http://a/b", "http://a/?b", "", "nonsense"] {
            assert!(wrong.parse::<AgentUrl>().is_err(), "{wrong}");
        }
        assert_eq!(AgentUrl::DEFAULT, format!("http://{ADMIN_ADDRESS}"));
    }

    #[test]
    fn nobody_there_is_said_with_what_to_do() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let agent: AgentUrl = format!("http://127.0.0.1:{port}").parse().unwrap();
        let said = agent.get("/").unwrap_err().to_string();
        assert!(
            said.contains("Connection refused") && said.contains("kubectl -n telltale port-forward pod/NAME 9465"),
            "{said}"
        );
    }

    #[test]
    fn somebody_else_there_is_said() {
        for (answer, expected) in [
            (&b"SSH-2.0-x\r\n"[..], "does not speak HTTP"),
            (b"HTTP/1.1 404 Not Found\r\n\r\nnothing", "status 404"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n{\"error\":\"no Pod a/b\"}", "says: no Pod a/b"),
            (b"HTTP/1.1 200 OK\r\n\r\n\xff", "no text"),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let agent: AgentUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).unwrap();
                stream.write_all(answer).unwrap();
            });
            let said = agent.get("/v1/state").unwrap_err().to_string();
            server.join().unwrap();
            assert!(said.contains(expected), "{said}");
        }
    }
}
