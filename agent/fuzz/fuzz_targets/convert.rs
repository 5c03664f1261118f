//! Any bytes as a policy file to convert: what comes out is YAML that stays as it is when it is converted again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::policy::{
    convert::convert,
    document::{Source, to_yaml},
};

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
    let conversion = convert(&[Source::new("fuzz.yaml", bytes)]);
    for remark in &conversion.remarks {
        assert!((1..=lines).contains(&remark.line), "{remark:?}");
    }
    let text: Vec<_> = conversion.objects.iter().map(to_yaml).collect();
    let again = convert(&[Source::new("again.yaml", text.join("---\n"))]);
    assert_eq!(again.problems, []);
    assert_eq!(again.objects, conversion.objects);
});
