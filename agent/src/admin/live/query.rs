//! What stands behind the `?` of a request.

use super::MAX_ENTRIES;
use crate::{percent, policy::objects::ObjectName};

/// The parameters of a request; each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads it (WHATWG URL, `application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// A parameter that is none of `known`, or that comes twice.
    pub(super) fn read(text: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let decode = |text: &str| {
            let bytes: Vec<u8> = percent::decode(text.replace('+', " ").as_bytes()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let mut query = Self::default();
        for part in text.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name), decode(value));
            if !known.contains(&name.as_str()) {
                return Err(format!("{name:?} is no parameter here; one of {}", known.join(", ")));
            }
            if query.get(&name).is_some() {
                return Err(format!("{name} is given twice"));
            }
            query.0.push((name, value));
        }
        Ok(query)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `pod=NAMESPACE/NAME`
    pub(super) fn pod(&self) -> Result<Option<ObjectName>, String> {
        let Some(text) = self.get("pod") else { return Ok(None) };
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Some(ObjectName::new(namespace, name)))
            }
            _ => Err("a pod is NAMESPACE/NAME".to_owned()),
        }
    }

    /// `limit=N`, at most [`MAX_ENTRIES`].
    pub(super) fn limit(&self) -> Result<usize, String> {
        let Some(text) = self.get("limit") else { return Ok(MAX_ENTRIES) };
        match text.parse() {
            Ok(limit) if (1..=MAX_ENTRIES).contains(&limit) => Ok(limit),
            _ => Err(format!("limit is a number from 1 to {MAX_ENTRIES}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_or_refused() {
        let query = Query::read(Some("pod=shop%2Fcart-1&limit=5"), &["pod", "limit"]).unwrap();
        assert_eq!((query.pod(), query.limit()), (Ok(Some(ObjectName::new("shop", "cart-1"))), Ok(5)));
        let none = Query::read(None, &[]).unwrap();
        assert_eq!((none.pod(), none.limit()), (Ok(None), Ok(MAX_ENTRIES)));
        assert!(Query::read(Some("node=a"), &["pod"]).unwrap_err().contains("one of pod"));
        assert!(Query::read(Some("pod=a/b&pod=c/d"), &["pod"]).is_err());
        for wrong in ["pod=", "pod=a", "pod=a/", "pod=/b", "pod=a/b/c"] {
            assert!(Query::read(Some(wrong), &["pod"]).unwrap().pod().is_err(), "{wrong}");
        }
        for wrong in ["limit=0", "limit=1001", "limit=x", "limit"] {
            assert!(Query::read(Some(wrong), &["limit"]).unwrap().limit().is_err(), "{wrong}");
        }
    }
}
