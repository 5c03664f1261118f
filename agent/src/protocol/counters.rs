//! What parsing met: one set per worker.

/// Declares each count once: field, metric name, value of its `reason` attribute (empty: it has none).
macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident: $name:literal, $reason:literal;)+) => {
        /// Counts of all parsers of one worker. Only ever grows.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)+
        }

        impl Counters {
            /// Every count as metric name, value of its `reason` attribute (empty: it has none) and value.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($name, $reason, self.$field)),+].into_iter()
            }
        }

        impl std::ops::AddAssign for Counters {
            fn add_assign(&mut self, other: Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
            }
        }
    };
}

pub(super) use counters;

counters! {
    /// Heads of requests that were reported.
    requests: "telltale.http1.messages", "request";
    /// Heads of final responses that were reported.
    responses: "telltale.http1.messages", "response";
    /// Interim responses, which are not reported (RFC 9110 section 15.2).
    interim_responses: "telltale.http1.messages", "interim";
    /// Bytes where a start line should be and none is.
    bad_start_lines: "telltale.http1.parse_failures", "start_line";
    /// Field lines without a colon or a name; the line is left out, the message is kept.
    bad_field_lines: "telltale.http1.parse_failures", "field_line";
    /// `Content-Length` that is no number or contradicts another (RFC 9112 section 6.3).
    bad_content_lengths: "telltale.http1.parse_failures", "content_length";
    /// `Transfer-Encoding` of a request whose last coding is not chunked (RFC 9112 section 6.3).
    bad_transfer_encodings: "telltale.http1.parse_failures", "transfer_encoding";
    /// Chunk framing that is none (RFC 9112 section 7.1).
    bad_chunks: "telltale.http1.parse_failures", "chunk";
    /// Header or trailer sections above [`super::MAX_HEAD`].
    oversize_heads: "telltale.http1.parse_failures", "oversize";
    /// Heads that the end of the connection cut off.
    truncated_heads: "telltale.http1.heads_lost", "truncated";
    /// Heads that a gap destroyed.
    gap_heads: "telltale.http1.heads_lost", "gap";
    /// Times that message boundaries were found again.
    resyncs: "telltale.http1.resyncs", "";
    /// Bytes passed over while message boundaries were lost.
    skipped_bytes: "telltale.http1.skipped_bytes", "";
    /// Final responses whose request was not seen.
    orphan_responses: "telltale.http1.unpaired_responses", "orphan";
    /// Final responses that may answer one of several requests.
    ambiguous_responses: "telltale.http1.unpaired_responses", "ambiguous";
    /// Times that a response waited for its request until the window was full.
    wait_overflows: "telltale.http1.wait_overflows", "";
    /// Times that more than [`super::MAX_PIPELINE`] requests waited for their responses.
    pipeline_overflows: "telltale.http1.pipeline_overflows", "";
    /// Connections given up, since no start line was found in [`super::MAX_LOST_TURNS`] changes of direction.
    given_up: "telltale.http1.given_up", "";
    /// Connections whose first bytes did not decide what they speak within [`super::MAX_HEAD`].
    detection_overflows: "telltale.protocol.detection_overflows", "";
    /// Bytes of connections, or after upgrades, that are not parsed.
    opaque_bytes: "telltale.protocol.opaque_bytes", "";
}
