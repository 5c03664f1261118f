//! `telltale check --cluster`: what the API server allows, as rows.

use crate::{
    admin::Health,
    capture::kernel::capability::{Capability, Status},
    cli::args::CheckArgs,
    kube::{Denied, Permission, Survey, connect, survey},
};

/// What installs all permissions.
const INSTALL: &str = "install the roles of the chart or of deploy/kustomize/agent";

/// A row for each thing that was asked. The first is fatal where there is nobody to ask.
pub(super) fn rows(args: &CheckArgs) -> Vec<Capability> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(ask(args)));
    let tried = "ask for its version";
    match asked {
        Ok((server, survey)) => of(&server, &survey),
        Err(error) => vec![Capability::new("API server", Status::Fatal, tried, error).mend(
            "in a pod it needs a service account with its token mounted, and a network policy that lets it out; elsewhere --kubeconfig FILE",
        )],
    }
}

async fn ask(args: &CheckArgs) -> Result<(String, Survey), String> {
    let connection = connect(args.kubeconfig.as_deref(), &Health::new()).await.map_err(|error| error.to_string())?;
    let namespace = args.namespace.clone().unwrap_or(connection.namespace);
    let survey = survey(&connection.client, &namespace).await;
    let survey = survey.map_err(|error| format!("{}: {}", connection.server, causes(&error)))?;
    Ok((connection.server, survey))
}

/// The last cause says what happened; the first only that something did.
fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn of(server: &str, survey: &Survey) -> Vec<Capability> {
    let version = format!("{} at {server}", survey.version);
    let mut rows = vec![Capability::new("API server", Status::Ok, "ask for its version", version)];
    rows.extend(survey.permissions.iter().map(|(permission, denied)| row_of_permission(permission, denied)));
    rows.extend(survey.definitions.iter().map(|(name, definition)| {
        let (row, tried) = (format!("kind {name}"), "look at its definition");
        let policies = name.starts_with("telemetrypolicies.");
        match definition {
            None if policies => Capability::new(&row, Status::Missing, tried, "not installed")
                .mend("policies of this dialect cannot be made: `telltale crds` prints its definition"),
            None => Capability::new(&row, Status::Ok, tried, "not installed; policies for it wait until it is"),
            Some(definition) if !definition.pruned.is_empty() => Capability::new(
                &row,
                Status::Missing,
                tried,
                format!("drops {}", definition.pruned.join(", ")),
            )
            .mend("another definition of the kind is installed; `telltale crds` prints ours, which keeps these fields"),
            Some(definition) => match &definition.version {
                Some(version) => Capability::new(&row, Status::Ok, tried, version),
                None => Capability::new(
                    &row,
                    Status::Missing,
                    tried,
                    format!("serves {} only", definition.served.join(", ")),
                )
                .mend("no version that is read; `telltale crds` prints a definition that has one"),
            },
        }
    }));
    rows
}

fn row_of_permission(permission: &Permission, denied: &[Denied]) -> Capability {
    let Permission { group, resource, verbs, why, cluster, .. } = permission;
    let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
    let (name, tried) = (format!("permission {resource}"), "SelfSubjectAccessReview");
    if denied.is_empty() {
        return Capability::new(&name, Status::Ok, tried, verbs.join(", "));
    }
    let mut words: Vec<String> = denied
        .iter()
        .map(|Denied { verb, name }| name.map_or_else(|| (*verb).to_owned(), |name| format!("{verb} {name}")))
        .collect();
    words.dedup();
    let role = if *cluster { "ClusterRole" } else { "Role" };
    Capability::new(&name, Status::Missing, tried, format!("denied: {}", words.join(", ")))
        .mend(&format!("needed for {why}: {INSTALL} ({role} telltale)"))
}
