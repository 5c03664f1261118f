//! Formats of trace context.

/// How a request carries the context of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextFormat {
    /// W3C Trace Context: `traceparent`.
    W3c,
    /// B3 in one field `b3`, or, where that is absent, in several (OpenTelemetry specification, "B3 Extract").
    B3,
    /// B3 in several fields: `X-B3-TraceId` and the like.
    B3Multi,
    /// Jaeger's `uber-trace-id`.
    Jaeger,
}

/// The words of policies, and those of `OTEL_PROPAGATORS` where they differ.
const WORDS: &[(&str, ContextFormat)] = &[
    ("W3C", ContextFormat::W3c),
    ("B3", ContextFormat::B3),
    ("B3Multi", ContextFormat::B3Multi),
    ("Jaeger", ContextFormat::Jaeger),
    ("tracecontext", ContextFormat::W3c),
];

impl ContextFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::W3c, Self::B3, Self::B3Multi, Self::Jaeger];

    /// What is read where nothing else is said.
    pub const DEFAULT: &[Self] = &[Self::W3c];

    /// What a word means, in whatever case: the proposal's text has `W3C TraceContext`, `B3` and `Jaeger` in its prose, so no spelling of these is
    /// surprising. `None` for a word that names no format.
    pub fn of(word: &str) -> Option<Self> {
        let word = word.trim();
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, format)| *format)
    }

    /// What `OTEL_PROPAGATORS` names: the formats among its words, in order. Others, such as `baggage`, carry no context; `none` is none.
    /// `None` if it is empty.
    pub fn of_propagators(list: &str) -> Option<Vec<Self>> {
        if list.trim().is_empty() {
            return None;
        }
        let mut formats = Vec::new();
        for format in list.split(',').filter_map(Self::of) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Some(formats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let words = ["W3C", "b3", "B3MULTI", "jaeger"].map(ContextFormat::of);
        assert_eq!(words, ContextFormat::ALL.map(Some));
        assert_eq!(ContextFormat::of("baggage"), None);
    }

    #[test]
    fn propagators() {
        assert_eq!(ContextFormat::of_propagators(" "), None);
        assert_eq!(ContextFormat::of_propagators("none"), Some(Vec::new()));
        let formats = ContextFormat::of_propagators("b3multi, tracecontext,baggage,B3Multi");
        assert_eq!(formats, Some(vec![ContextFormat::B3Multi, ContextFormat::W3c]));
    }
}
