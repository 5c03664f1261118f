//! Any bytes as a configuration: it is read, or what is wrong is said with a line that the file has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::{
    config::{Author, Config},
    policy::{Defaults, Setting, document::Source},
};

fuzz_target!(|bytes: &[u8]| {
    // YAML also ends a line at a carriage return.
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u32;
    let config = match Config::read(&Source::new("fuzz.yaml", bytes)) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.0.is_empty());
            for problem in error.0 {
                assert!((1..=lines).contains(&problem.line), "{problem}");
            }
            return;
        }
    };
    for author in [Author::Operator, Author::Tenant] {
        let defaults = Defaults::EVERYTHING;
        let _ = config.fallback(&Setting { defaults, trust: config.trust(author, false) });
    }
});
