//! Any bytes as a policy file: what is wrong is said with a line that the file has, and every policy that was found gets a status and an explanation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::policy::{
    Compiled, Defaults, Setting, Trust,
    attachment::Subject,
    document::{Documents, Source, to_yaml},
    explain::{explain, to_text},
    status::{NOT_OBSERVED, merge, statuses},
    validation,
};

fuzz_target!(|bytes: &[u8]| {
    let documents = Documents::read(&[Source::new("fuzz.yaml", bytes)]);
    // YAML also ends a line at a carriage return.
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u32;
    for problem in &documents.problems {
        assert!((1..=lines).contains(&problem.line), "{problem}");
    }
    let candidates = validation::candidates(&documents);
    let setting = Setting { defaults: Defaults::EVERYTHING, trust: Trust::tenant() };
    let compiled = Compiled::new(candidates, documents.objects, &setting, None);
    let Compiled { candidates, resolution, objects, .. } = &compiled;
    for (document, candidate) in documents.policies.iter().zip(candidates) {
        for finding in &candidate.findings {
            assert!((1..=lines).contains(&document.line_of(&finding.field)), "{finding}");
        }
        let namespace = Subject::Namespace(document.key.namespace.clone());
        let _ = to_text(&explain(&compiled, &namespace), &|_, text| text.to_owned());
    }
    let statuses = statuses(candidates, objects, resolution, None, NOT_OBSERVED);
    for (document, status) in documents.policies.iter().zip(&statuses) {
        assert!((1..=16).contains(&status.ancestors.len()));
        let existing = document.value.get("status");
        if let Some(written) = merge(&document.key, existing, status).status {
            assert_eq!(merge(&document.key, Some(&written), status).status, None);
            let _ = to_yaml(&written);
        }
    }
});
