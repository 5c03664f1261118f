//! The corpus of policies: a folder of `cases/` is a case.
//!
//! | file | what it holds |
//! |---|---|
//! | `input.yaml` | policies, and the objects that stand for the cluster |
//! | `validate.txt` | what `policy validate input.yaml` prints, and its exit code |
//! | `status.yaml` | what `policy status input.yaml` prints |
//! | `explain.txt` | questions (`$ --pod NS/NAME`) and what `policy explain input.yaml` answers to each; optional |
//! | `nodes.yaml`, `status-on-nodes.yaml` | what nodes reported, and what status the elected agent writes then; optional |
//! | `traffic.txt` | a small recording ([`traffic`]); optional |
//! | `logs.txt`, `spans.txt`, `metrics.txt` | what `replay` writes of it under the policies; a file that is not there is empty |
//! | `equal.yaml` | the same policies said in the other dialect, under which a replay writes the same bytes; optional |
//!
//! `UPDATE=1 cargo test --test policy` writes what came out instead of comparing it: read the difference before you commit it. `README.md` lists which
//! case shows what; [`coverage`] fails when a field, a word or a reason has no case.

mod agent_run;
mod binary;
mod commands;
mod configuration;
mod content;
mod convert;
mod coverage;
mod documentation;
mod edges;
mod examples;
mod left_out;
mod mutation;
mod order;
mod replayed;
mod secrets;
mod seed_example;
mod traffic;
#[cfg(unix)]
mod trust;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};
use telltale::policy::{
    Checked, Defaults, Setting, Severity, Trust,
    attachment::Subject,
    document::{Source, to_yaml},
    explain::{explain, to_text},
    model::{Dialect, PolicyKey},
    objects::ObjectName,
    status::{NodeReport, Nodes},
};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// The policies of a text, as the verbs of `telltale policy` read them.
fn checked(text: impl AsRef<[u8]>) -> Checked {
    let setting = Setting { defaults: Defaults::EVERYTHING, trust: Trust::own() };
    Checked::new(&[Source::new("input.yaml", text.as_ref())], &setting)
}

fn input(case: &Path) -> Vec<u8> {
    fs::read(case.join("input.yaml")).unwrap()
}

/// Each on a line.
fn lines(remarks: impl IntoIterator<Item = impl ToString>) -> String {
    remarks.into_iter().flat_map(|remark| [remark.to_string(), "\n".to_owned()]).collect()
}

/// What `policy validate` prints.
fn validate(checked: &Checked) -> String {
    let remarks = checked.remarks();
    let failed = remarks.iter().any(|remark| remark.severity == Severity::Error);
    format!("{}exit {}\n", lines(remarks), i32::from(failed))
}

/// The answers to the questions of a file, each after its question.
fn answers(checked: &Checked, questions: &str) -> String {
    let answers = questions.lines().filter_map(|line| line.strip_prefix("$ ")).map(|question| {
        let words: Vec<&str> = question.split_whitespace().collect();
        let (target, format) = words.split_at(2);
        let subject = match target {
            ["--pod", pod] => {
                let (namespace, name) = pod.split_once('/').unwrap();
                Subject::Pod(ObjectName::new(namespace, name))
            }
            ["--namespace", name] => Subject::Namespace((*name).to_owned()),
            _ => panic!("no question: {question}"),
        };
        let answer = explain(&checked.compiled, &subject);
        let answer = match format {
            [] => to_text(&answer, &|_, text| text.to_owned()),
            ["-o", "json"] => format!("{:#}\n", json!(answer)),
            ["-o", "yaml"] => to_yaml(&json!(answer)),
            _ => panic!("no format: {question}"),
        };
        format!("$ {question}\n{answer}")
    });
    answers.collect::<Vec<_>>().join("\n")
}

/// What nodes reported: `ready` is a list of nodes, `reports` of `{policy: NS/NAME, node, generation, cannot, notes}`.
fn nodes(checked: &Checked, text: &str) -> Nodes {
    let value: Value = serde_saphyr::from_str(text).unwrap();
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut nodes = Nodes { ready: words(&value["ready"]).into_iter().collect(), ..Nodes::default() };
    for report in value["reports"].as_array().into_iter().flatten() {
        let mut keys = checked.compiled.candidates.iter().map(|candidate| &candidate.policy.key);
        let key = keys.find(|key| format!("{}/{}", key.namespace, key.name) == report["policy"].as_str().unwrap());
        let said = NodeReport {
            generation: report["generation"].as_i64().unwrap(),
            cannot: words(&report["cannot"]),
            notes: words(&report["notes"]),
        };
        nodes.add(report["node"].as_str().unwrap(), key.expect("a policy of the case").clone(), said);
    }
    nodes
}

/// Compares with what is expected, or writes it down. What differs is returned.
fn settle(case: &Path, file: &str, actual: &str) -> Option<String> {
    let path = case.join(file);
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == actual {
        return None;
    }
    if std::env::var_os("UPDATE").is_some() {
        if actual.is_empty() {
            fs::remove_file(&path).unwrap();
        } else {
            fs::write(&path, actual).unwrap();
        }
        return None;
    }
    Some(format!("--- {}\n--- expected:\n{expected}--- actual:\n{actual}", path.display()))
}

/// What differs in a case.
fn differences(case: &Path) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(case.join(file)).ok();
    let (input, mut differences) = (input(case), Vec::new());
    let checked = checked(&input);
    differences.extend(settle(case, "validate.txt", &validate(&checked)));
    differences.extend(settle(case, "status.yaml", &to_yaml(&checked.statuses(None).list)));
    if let Some(questions) = read("explain.txt") {
        differences.extend(settle(case, "explain.txt", &answers(&checked, &questions)));
    }
    if let Some(reported) = read("nodes.yaml") {
        let statuses = checked.statuses(Some(&nodes(&checked, &reported)));
        differences.extend(settle(case, "status-on-nodes.yaml", &to_yaml(&statuses.list)));
    }
    let Some(lines) = read("traffic.txt") else { return differences };
    let recording = traffic::recording(&lines);
    let written = traffic::replay(&input, &recording).expect("policies that have traffic hold");
    differences.extend(settle(case, "logs.txt", &written.logs));
    differences.extend(settle(case, "spans.txt", &traffic::readable(&written.spans)));
    differences.extend(settle(case, "metrics.txt", &written.metrics));
    if let Some(equal) = read("equal.yaml") {
        let other = traffic::replay(equal.as_bytes(), &recording).expect("equal.yaml holds");
        for (what, ours, others) in [
            ("log", &written.logs, &other.logs),
            ("spans", &written.spans, &other.spans),
            ("metrics", &written.metrics, &other.metrics),
        ] {
            if ours != others {
                differences.push(format!("--- {}: {what}\n{ours}--- under equal.yaml:\n{others}", case.display()));
            }
        }
    }
    differences
}

/// Does something with every case, four at a time.
fn of_every_case<T: Send>(work: impl Fn(&Path) -> T + Sync) -> Vec<(PathBuf, T)> {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((case.clone(), work(case)));
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn every_case_says_what_is_expected() {
    let found: Vec<String> = of_every_case(differences).into_iter().flat_map(|(_, found)| found).collect();
    assert!(found.is_empty(), "{}\nUPDATE=1 writes what is actual", found.join("\n"));
}

/// What is expected of a case stands for what it says: an output that is empty in all of them would show nothing.
#[test]
fn every_output_and_every_dialect_is_shown() {
    let with = |file: &str| cases().iter().filter(|case| case.join(file).exists()).count();
    for file in ["logs.txt", "spans.txt", "metrics.txt", "equal.yaml", "status-on-nodes.yaml", "explain.txt"] {
        assert!(with(file) > 0, "no case has {file}");
    }
    let left: BTreeSet<String> = cases()
        .iter()
        .filter(|case| !case.join("traffic.txt").exists())
        .flat_map(|case| ["logs.txt", "spans.txt", "metrics.txt", "equal.yaml"].map(|file| case.join(file)))
        .filter(|file| file.exists())
        .map(|file| file.display().to_string())
        .collect();
    assert!(left.is_empty(), "there is no traffic for {left:?}");
}

/// `equal.yaml` says the same in the *other* dialect: of each policy there is one in each.
#[test]
fn an_equal_policy_is_of_the_other_dialect() {
    for case in cases() {
        let Ok(equal) = fs::read(case.join("equal.yaml")) else { continue };
        let keys = |text: &[u8]| -> BTreeSet<PolicyKey> {
            checked(text).policies.iter().map(|policy| policy.key.clone()).collect()
        };
        let other = |mut key: PolicyKey| {
            let [first, second] = Dialect::ALL;
            key.dialect = if key.dialect == first { second } else { first };
            key
        };
        let (ours, theirs) = (keys(&input(&case)), keys(&equal));
        assert_eq!(theirs.into_iter().map(other).collect::<BTreeSet<_>>(), ours, "{}", case.display());
    }
}
