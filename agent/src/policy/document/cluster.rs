//! The objects that stand for the cluster, read leniently: they come from whoever runs it, and only what policies need of them matters.

use std::net::IpAddr;

use serde_json::Value;

use crate::policy::{
    model::PROPOSAL_GROUP,
    objects::{Labels, Namespace, ObjectName, Objects, Pod, ReferenceGrant},
};

/// Adds an object, if it is of a kind that policies need. `Err` says why it cannot be one.
pub(super) fn add(objects: &mut Objects, api_version: &str, kind: &str, value: &Value) -> Result<(), &'static str> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Namespace") => {
            let name = text(&value["metadata"]["name"]).ok_or(NAMELESS)?;
            objects.namespaces.insert(name, Namespace { labels: labels(&value["metadata"]["labels"]) });
        }
        ("", "Pod") => {
            objects.pods.insert(name(value)?, pod(value));
        }
        ("", "Node") => {
            let name = text(&value["metadata"]["name"]).ok_or(NAMELESS)?;
            // An entry may be a host name too.
            let addresses =
                items(&value["status"]["addresses"]).filter_map(|entry| text(&entry["address"])?.parse().ok());
            objects.nodes.insert(name, addresses.collect());
        }
        ("", "Service") => {
            let ports = items(&value["spec"]["ports"]).filter_map(|port| u16::try_from(port["port"].as_u64()?).ok());
            objects.services.insert(name(value)?, ports.collect());
        }
        (PROPOSAL_GROUP, "Gateway") => {
            objects.gateways.insert(name(value)?, labels(&value["metadata"]["labels"]));
        }
        (PROPOSAL_GROUP, "ReferenceGrant") => objects.grants.push(ReferenceGrant {
            namespace: name(value)?.namespace,
            from: items(&value["spec"]["from"])
                .map(|from| (word(&from["group"]), word(&from["kind"]), word(&from["namespace"])))
                .collect(),
            to: items(&value["spec"]["to"])
                .map(|to| (word(&to["group"]), word(&to["kind"]), text(&to["name"])))
                .collect(),
        }),
        _ => {}
    }
    Ok(())
}

const NAMELESS: &str = "`metadata.name` is missing";

fn pod(value: &Value) -> Pod {
    let (metadata, spec, status) = (&value["metadata"], &value["spec"], &value["status"]);
    let mut addresses: Vec<IpAddr> =
        items(&status["podIPs"]).filter_map(|entry| text(&entry["ip"])?.parse().ok()).collect();
    if let Some(address) =
        text(&status["podIP"]).and_then(|address| address.parse().ok()).filter(|address| !addresses.contains(address))
    {
        addresses.insert(0, address);
    }
    if spec["hostNetwork"] == Value::Bool(true) {
        // They are its node's, and so of every such pod there.
        addresses.clear();
    }
    let owner = items(&metadata["ownerReferences"]).find(|owner| owner["controller"] == Value::Bool(true));
    Pod {
        labels: labels(&metadata["labels"]),
        annotations: labels(&metadata["annotations"]),
        uid: text(&metadata["uid"]),
        service_account: text(&spec["serviceAccountName"]),
        node: text(&spec["nodeName"]),
        addresses,
        owner: owner.and_then(|owner| Some((text(&owner["kind"])?, text(&owner["name"])?))),
    }
}

fn name(value: &Value) -> Result<ObjectName, &'static str> {
    let metadata = &value["metadata"];
    let namespace = text(&metadata["namespace"]).unwrap_or_else(|| "default".to_owned());
    Ok(ObjectName { namespace, name: text(&metadata["name"]).ok_or(NAMELESS)? })
}

fn labels(value: &Value) -> Labels {
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
