//! The objects that stand for the cluster, read leniently: they come from whoever runs it, and only what policies need of them matters.

use std::{net::IpAddr, sync::Arc};

use serde_json::Value;

use crate::policy::{
    model::PROPOSAL_GROUP,
    objects::{
        AddressRange, Container, Labels, Namespace, Node, ObjectName, Objects, Phase, Pod, ReferenceGrant, Service,
    },
};

/// Adds an object, if it is of a kind that policies need. `Err` says why it cannot be one.
pub(super) fn add(objects: &mut Objects, api_version: &str, kind: &str, value: &Value) -> Result<(), &'static str> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Namespace") => {
            let name = text(&value["metadata"]["name"]).ok_or(NAMELESS)?;
            objects.namespaces.insert(name, namespace(value));
        }
        ("", "Pod") => {
            objects.pods.insert(name(value)?, Arc::new(pod(value)));
        }
        ("", "Node") => {
            let name = text(&value["metadata"]["name"]).ok_or(NAMELESS)?;
            objects.nodes.insert(name, node(value));
        }
        ("", "Service") => {
            objects.services.insert(name(value)?, service(value));
        }
        (PROPOSAL_GROUP, "Gateway") => {
            objects.gateways.insert(name(value)?, labels(&value["metadata"]["labels"]));
        }
        (PROPOSAL_GROUP, "ReferenceGrant") => objects.grants.push(grant(name(value)?.namespace, value)),
        _ => {}
    }
    Ok(())
}

const NAMELESS: &str = "`metadata.name` is missing";

pub(crate) fn namespace(value: &Value) -> Namespace {
    Namespace { labels: labels(&value["metadata"]["labels"]) }
}

pub(crate) fn node(value: &Value) -> Node {
    // An entry may be a host name too.
    let addresses = items(&value["status"]["addresses"]).filter_map(|entry| text(&entry["address"])?.parse().ok());
    let pod_ranges = items(&value["spec"]["podCIDRs"]).filter_map(|range| AddressRange::parse(range.as_str()?));
    Node { addresses: addresses.collect(), pod_ranges: pod_ranges.collect() }
}

pub(crate) fn service(value: &Value) -> Service {
    let ports = items(&value["spec"]["ports"]).filter_map(|port| u16::try_from(port["port"].as_u64()?).ok());
    let mut addresses: Vec<IpAddr> =
        items(&value["spec"]["clusterIPs"]).filter_map(|address| address.as_str()?.parse().ok()).collect();
    add_first(&mut addresses, &value["spec"]["clusterIP"]);
    Service { ports: ports.collect(), addresses }
}

pub(crate) fn grant(namespace: String, value: &Value) -> ReferenceGrant {
    ReferenceGrant {
        namespace,
        from: items(&value["spec"]["from"])
            .map(|from| (word(&from["group"]), word(&from["kind"]), word(&from["namespace"])))
            .collect(),
        to: items(&value["spec"]["to"]).map(|to| (word(&to["group"]), word(&to["kind"]), text(&to["name"]))).collect(),
    }
}

pub(crate) fn pod(value: &Value) -> Pod {
    let (metadata, spec, status) = (&value["metadata"], &value["spec"], &value["status"]);
    let mut addresses: Vec<IpAddr> =
        items(&status["podIPs"]).filter_map(|entry| text(&entry["ip"])?.parse().ok()).collect();
    add_first(&mut addresses, &status["podIP"]);
    let host_network = spec["hostNetwork"] == Value::Bool(true);
    if host_network {
        // They are its node's, and so of every such pod there.
        addresses.clear();
    }
    let owner = items(&metadata["ownerReferences"]).find(|owner| owner["controller"] == Value::Bool(true));
    Pod {
        labels: labels(&metadata["labels"]).into(),
        annotations: labels(&metadata["annotations"]).into(),
        uid: text(&metadata["uid"]),
        service_account: text(&spec["serviceAccountName"]),
        node: text(&spec["nodeName"]),
        addresses,
        owner: owner.and_then(|owner| Some((text(&owner["kind"])?, text(&owner["name"])?))),
        containers: containers(spec, status),
        host_network,
        created: time(&metadata["creationTimestamp"]),
        deleted: time(&metadata["deletionTimestamp"]),
        phase: status["phase"].as_str().map(Phase::of).unwrap_or_default(),
        ready: items(&status["conditions"])
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True"),
    }
}

/// Those of the specification, each with the id that the status gives it.
fn containers(spec: &Value, status: &Value) -> Vec<Container> {
    [
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"),
    ]
    .into_iter()
    .flat_map(|(asked, seen)| {
        items(&spec[asked]).filter_map(move |container| {
            let name = text(&container["name"])?;
            let seen = items(&status[seen]).find(|seen| seen["name"] == name);
            let id = seen.and_then(|seen| Container::id_of(seen["containerID"].as_str()?));
            Some(Container { name, id, image: text(&container["image"]) })
        })
    })
    .collect()
}

/// The one address of the field that is older than the list.
fn add_first(addresses: &mut Vec<IpAddr>, field: &Value) {
    if let Some(address) = field.as_str().and_then(|address| address.parse().ok())
        && !addresses.contains(&address)
    {
        addresses.insert(0, address);
    }
}

fn time(value: &Value) -> Option<jiff::Timestamp> {
    value.as_str()?.parse().ok()
}

fn name(value: &Value) -> Result<ObjectName, &'static str> {
    let metadata = &value["metadata"];
    let namespace = text(&metadata["namespace"]).unwrap_or_else(|| "default".to_owned());
    Ok(ObjectName { namespace, name: text(&metadata["name"]).ok_or(NAMELESS)? })
}

pub(crate) fn labels(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Text that says something.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
