//! The `telltale` binary: see [`telltale::cli`].

fn main() {}
