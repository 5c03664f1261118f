//! What the API server allows this account, and which kinds it has: for `telltale check`, without following anything.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, ListParams, PostParams},
};
use serde_json::json;

use super::{
    Definition, PERMISSIONS, Permission,
    kinds::{Defined, Subject},
};

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// Of the API server: `v1.33.1`.
    pub version: String,
    /// Every permission that the agent needs, with the verbs that it does not have.
    pub permissions: Vec<(&'static Permission, Vec<Denied>)>,
    /// The kinds that are defined by a `CustomResourceDefinition`, with what is installed; `None` where nothing is.
    pub definitions: Vec<(String, Option<Definition>)>,
}

/// A verb that is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Which.
    pub verb: &'static str,
    /// Of which object, if not of all.
    pub name: Option<&'static str>,
}

/// Asks about everything, one question after the other. `namespace` is that of the installation.
///
/// # Errors
/// The API server cannot be reached, or does not answer such questions.
pub async fn survey(client: &Client, namespace: &str) -> Result<Survey, Error> {
    let version = client.apiserver_version().await?.git_version;
    let mut permissions = Vec::new();
    for permission in PERMISSIONS {
        let mut denied = Vec::new();
        let names: Vec<Option<&'static str>> = match permission.names {
            [] => vec![None],
            names => names.iter().map(|&name| Some(name)).collect(),
        };
        for name in names {
            for &verb in permission.verbs {
                if !is_allowed(client, permission, verb, name, namespace).await? {
                    denied.push(Denied { verb, name });
                }
            }
        }
        permissions.push((permission, denied));
    }
    let mut definitions = Vec::new();
    for defined in Defined::ALL {
        definitions.push((defined.definition(), definition(client, defined).await?));
    }
    Ok(Survey { version, permissions, definitions })
}

async fn is_allowed(
    client: &Client,
    permission: &Permission,
    verb: &str,
    name: Option<&str>,
    namespace: &str,
) -> Result<bool, Error> {
    let (resource, subresource) = match permission.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (permission.resource, None),
    };
    let attributes = ResourceAttributes {
        group: Some(permission.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        name: name.map(str::to_owned),
        namespace: (!permission.cluster).then(|| namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// What is installed of a kind. An account that may not look at definitions sees none.
async fn definition(client: &Client, defined: Defined) -> Result<Option<Definition>, Error> {
    let subject = Subject::Definition(defined);
    let kind = subject.kind();
    let resource = ApiResource {
        group: kind.group.to_owned(),
        version: kind.versions[0].to_owned(),
        api_version: format!("{}/{}", kind.group, kind.versions[0]),
        kind: kind.name.to_owned(),
        plural: kind.plural.to_owned(),
    };
    let definitions = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let only = ListParams::default().fields(&format!("metadata.name={}", defined.definition()));
    match definitions.list(&only).await {
        Ok(list) => Ok(list.items.first().and_then(|object| Definition::of(defined, &json!(object)))),
        Err(Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(error),
    }
}
