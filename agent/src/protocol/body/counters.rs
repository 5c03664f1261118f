//! What the content of messages met: one set per worker.

crate::protocol::counters::counters! {
    /// Documents that were the whole content.
    documents: "telltale.body.items", "document";
    /// Elements of documents that are arrays.
    elements: "telltale.body.items", "element";
    /// Lines that are a document each.
    lines: "telltale.body.items", "line";
    /// Server-sent events.
    events: "telltale.body.items", "event";
    /// Messages of AWS event streams.
    messages: "telltale.body.items", "message";
    /// Messages whose media type has nothing to read.
    other_types: "telltale.body.unreadable", "media_type";
    /// Messages with a content coding that is not known, or more than [`super::MAX_CODINGS`].
    other_codings: "telltale.body.unreadable", "coding";
    /// Contents of no or a general media type whose first bytes are of no format.
    other_shapes: "telltale.body.unreadable", "shape";
    /// Contents of which bytes were not seen.
    gaps: "telltale.body.cut", "gap";
    /// Contents that their content coding does not fit.
    bad_codings: "telltale.body.cut", "coding";
    /// Contents that decode to more than [`super::MAX_RATIO`] times their bytes.
    over_ratio: "telltale.body.cut", "ratio";
    /// Contents that decode to more than [`super::MAX_DECODED`] bytes.
    over_size: "telltale.body.cut", "size";
    /// Contents whose coding needs more memory than [`super::MAX_WINDOW`].
    over_window: "telltale.body.cut", "window";
    /// AWS event streams whose framing was lost: a prelude that its checksum does not fit.
    bad_preludes: "telltale.body.cut", "prelude";
    /// Messages of AWS event streams that their checksum does not fit.
    bad_checksums: "telltale.body.cut", "checksum";
    /// Times that a request of which nothing but content could tell what it is was given up, because its beginning did not.
    given_up: "telltale.body.cut", "undecided";
    /// Contents whose decoders had no room left in the worker's budget.
    over_budget: "telltale.body.cut", "budget";
}
