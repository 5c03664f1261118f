//! A made-up exchange for tests of what is compiled from policies.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Key, Side, Subject, Value};

/// Answers what it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) keys: BTreeMap<Key, Value<'static>>,
    pub(crate) maps: BTreeMap<Key, BTreeMap<String, String>>,
    pub(crate) pod_labels: BTreeMap<String, String>,
    pub(crate) pod_annotations: BTreeMap<String, String>,
    pub(crate) namespace_labels: BTreeMap<String, String>,
}

impl Told {
    /// `GET /orders?id=7` to `shop.example`, answered with 200 after 12 ms.
    pub(crate) fn sample() -> Self {
        Self::default()
            .key(Key::HttpRequestMethod, "GET".into())
            .key(Key::Method, "GET".into())
            .key(Key::Path, "/orders?id=7".into())
            .key(Key::UrlPath, "/orders".into())
            .key(Key::UrlQuery, "id=7".into())
            .key(Key::Authority, "shop.example".into())
            .key(Key::RequestTime, Value::Time(1_700_000_000_000_000_000))
            .key(Key::RequestDuration, Value::Duration(12_000_000))
            .key(Key::DurationMillis, Value::Int(12))
            .key(Key::ResponseBodySize, Value::Int(512))
            .status(200)
            .header(Side::Request, "user-agent", "curl/8.5")
            .header(Side::Response, "content-type", "text/plain")
    }

    pub(crate) fn key(mut self, key: Key, value: Value<'static>) -> Self {
        self.keys.insert(key, value);
        self
    }

    pub(crate) fn status(self, status: i64) -> Self {
        self.key(Key::ResponseCode, Value::Int(status)).key(Key::HttpResponseStatusCode, Value::Int(status))
    }

    pub(crate) fn header(mut self, side: Side, name: &str, value: &str) -> Self {
        self.maps.entry(side.headers()).or_default().insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }
}

impl Subject for Told {
    fn header(&self, side: Side, name: &str) -> Option<Cow<'_, str>> {
        self.entry(side.headers(), &name.to_ascii_lowercase())
    }

    fn pod_label(&self, key: &str) -> Option<&str> {
        self.pod_labels.get(key).map(String::as_str)
    }

    fn pod_annotation(&self, key: &str) -> Option<&str> {
        self.pod_annotations.get(key).map(String::as_str)
    }

    fn namespace_label(&self, key: &str) -> Option<&str> {
        self.namespace_labels.get(key).map(String::as_str)
    }

    fn key(&self, key: Key) -> Option<Value<'_>> {
        self.keys.get(&key).cloned()
    }

    fn entry(&self, map: Key, name: &str) -> Option<Cow<'_, str>> {
        self.maps.get(&map)?.get(name).map(|value| Cow::Borrowed(value.as_str()))
    }

    fn entries(&self, map: Key) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        let map = self.maps.get(&map)?;
        Some(map.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect())
    }

    fn fields(&self, map: Key) -> Option<usize> {
        self.maps.get(&map).map(BTreeMap::len)
    }
}
