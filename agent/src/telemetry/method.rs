//! Known request methods (semconv http-spans, `http.request.method`).

/// What `http.request.method` says of a method that is not known.
pub const OTHER: &str = "_OTHER";
/// The variable that replaces the list, comma separated, case-sensitive.
pub const ENVIRONMENT_VARIABLE: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

/// RFC 9110 section 9, RFC 5789 (PATCH) and QUERY.
const DEFAULT: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
/// More methods than this are not taken from the variable: an index is one byte and [`OTHER`] needs one.
const MAX: usize = 255;

/// The methods that keep their name; all others are `_OTHER`, so that a client cannot make series by inventing methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMethods(Vec<Box<str>>);

impl Default for KnownMethods {
    fn default() -> Self {
        Self(DEFAULT.iter().map(|&method| method.into()).collect())
    }
}

impl KnownMethods {
    /// The value of [`ENVIRONMENT_VARIABLE`]: a full replacement of the default list. Without a name in it, the default.
    pub fn from_list(list: &str) -> Self {
        let methods: Vec<Box<str>> =
            list.split(',').map(str::trim).filter(|method| !method.is_empty()).take(MAX).map(Into::into).collect();
        if methods.is_empty() { Self::default() } else { Self(methods) }
    }

    /// The method's place in the list; `None` if it is not known. Compared with case (RFC 9110 section 9.1).
    pub fn index(&self, method: &str) -> Option<u8> {
        self.0.iter().position(|known| **known == *method).map(|index| index as u8)
    }

    /// The value of `http.request.method` for [`Self::index`]'s answer.
    pub fn name(&self, index: Option<u8>) -> &str {
        index.and_then(|index| self.0.get(usize::from(index))).map_or(OTHER, |method| method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_lower_case_are_other() {
        let methods = KnownMethods::default();
        assert_eq!(methods.name(methods.index("GET")), "GET");
        assert_eq!(methods.name(methods.index("get")), OTHER);
        assert_eq!(methods.name(methods.index("PROPFIND")), OTHER);
    }

    #[test]
    fn the_variable_replaces_the_list() {
        let methods = KnownMethods::from_list(" PROPFIND , GET,");
        assert_eq!(methods.name(methods.index("PROPFIND")), "PROPFIND");
        assert_eq!(methods.name(methods.index("POST")), OTHER);
        assert_eq!(KnownMethods::from_list(" , "), KnownMethods::default());
    }
}
