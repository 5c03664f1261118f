//! `telltale policy explain`

use std::{
    io::{self, Write as _},
    path::PathBuf,
    str::FromStr,
};

use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;

use super::{
    agent::AgentUrl,
    read::{read, report_problems},
};
use crate::{
    cli::{
        Exit, Failure,
        paint::{Ink, Paint},
    },
    policy::{
        Checked,
        attachment::Subject,
        document::to_yaml,
        explain::{Tone, explain as explanation, to_text},
        objects::ObjectName,
    },
};

/// `telltale policy explain`
#[derive(Clone, Debug, Args)]
#[command(
    group = ArgGroup::new("target").required(true).args(["pod", "namespace"]),
    after_help = "\
Which policy a pod, or the ordinary pods of a namespace, follow, why not the others, and what will come out.
A running agent (--agent) answers from the policies and pods of the cluster; in a cluster, forward its port first:
`kubectl -n telltale port-forward pod/NAME 9465`, with the agent's pod on the node of the pod that is asked about.

Examples:
  telltale policy explain policies/ cluster.yaml --pod shop/cart-1
  telltale policy explain policies/ --namespace shop -o json
  telltale policy explain --pod shop/cart-1 --agent"
)]
pub struct ExplainArgs {
    /// Kubernetes YAML or JSON (- for stdin), or folders of it
    #[arg(value_name = "FILE", required_unless_present = "agent")]
    pub files: Vec<PathBuf>,
    /// Ask a running agent instead, without URL the one at 127.0.0.1:9465
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = AgentUrl::DEFAULT, conflicts_with_all = ["files", "config"])]
    pub agent: Option<AgentUrl>,
    /// Explain what an agent with this configuration would do: with policies of tenants (docs/config.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Explain for this pod
    #[arg(long, value_name = "NS/NAME")]
    pub pod: Option<PodName>,
    /// Explain for the pods of this namespace that belong to no Gateway
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = ExplainFormat::Text)]
    pub output: ExplainFormat,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// Sentences.
    Text,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// `NS/NAME`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName(pub ObjectName);

impl FromStr for PodName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self(ObjectName::new(namespace, name)))
            }
            _ => Err("a pod is NAMESPACE/NAME".to_owned()),
        }
    }
}

/// Runs it.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let subject = match (&args.pod, &args.namespace) {
        (Some(pod), None) => Subject::Pod(pod.0.clone()),
        (None, Some(namespace)) => Subject::Namespace(namespace.clone()),
        _ => return Err(Failure::Usage("one of --pod and --namespace is needed".to_owned())),
    };
    if let Some(agent) = &args.agent {
        let text = ask(agent, &subject, args.output)?;
        io::stdout().lock().write_all(text.as_bytes()).context("cannot write the explanation")?;
        return Ok(Exit::Done);
    }
    let read = read(&args.files, args.config.as_deref())?;
    warn_of_unknown(&read, &subject);
    let answer = explanation(&read.compiled, &subject);
    let text = match args.output {
        ExplainFormat::Text => {
            let paint = Paint::on(&io::stdout());
            to_text(&answer, &|tone, text| {
                let ink = match tone {
                    Tone::Heading => Ink::Bold,
                    Tone::Good => Ink::Green,
                    Tone::Quiet => Ink::Faint,
                };
                paint.ink(ink, text)
            })
        }
        ExplainFormat::Yaml => to_yaml(&json!(answer)),
        ExplainFormat::Json => format!("{:#}\n", json!(answer)),
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the explanation")?;
    Ok(if report_problems(&read) { Exit::Failed } else { Exit::Done })
}

/// The explanation of a running agent.
fn ask(agent: &AgentUrl, subject: &Subject, format: ExplainFormat) -> Result<String, Failure> {
    let subject = match subject {
        Subject::Pod(pod) => format!("pod={}/{}", escaped(&pod.namespace), escaped(&pod.name)),
        Subject::Namespace(name) => format!("namespace={}", escaped(name)),
    };
    let output = if format == ExplainFormat::Text { "text" } else { "json" };
    let answer = agent.get(&format!("/v1/explain?{subject}&output={output}")).map_err(anyhow::Error::from)?;
    if format != ExplainFormat::Yaml {
        return Ok(answer);
    }
    let value: serde_json::Value = serde_json::from_str(&answer).context("the agent's answer is not JSON")?;
    Ok(to_yaml(&value))
}

/// Percent-encoded, but for what is unreserved (RFC 3986 section 2.3).
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A name that is mistyped looks like one for which nobody asked.
fn warn_of_unknown(read: &Checked, subject: &Subject) {
    let objects = &read.compiled.objects;
    match subject {
        Subject::Pod(pod) if !objects.pods.contains_key(pod) => {
            tracing::warn!(
                "no Pod {pod} is in the files; it is taken for an ordinary pod of Namespace {}",
                pod.namespace
            );
        }
        Subject::Namespace(name) if !objects.known_namespaces().contains(name.as_str()) => {
            tracing::warn!("no Namespace {name} is in the files, and nothing in it");
        }
        _ => {}
    }
}
