//! What this machine allows, found by trying: the rows of `telltale check`.
