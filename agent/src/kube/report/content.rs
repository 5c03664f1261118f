//! What a node reports, as the annotations of its Lease.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{LEFT_OUT, POLICIES, REMARKS};
use crate::policy::{
    model::{Dialect, PolicyKey},
    status::{NodeReport, Remarks},
};

/// Bytes of all our annotations: the API server takes 256 KiB of all annotations of an object.
pub(super) const MAX_BYTES: usize = 200 << 10;
/// Bytes of one text.
const MAX_TEXT: usize = 512;
/// Characters of a policy's uid that a report has: enough to tell a policy from one that had its name before.
const UID: usize = 8;
/// What stands for texts for which there was no room.
const MORE: &str = "more, for which the report of the node has no room";

/// What this node says about all policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Of each policy that it knows.
    pub policies: BTreeMap<PolicyKey, PolicyReport>,
}

/// What this node says about one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyReport {
    /// `metadata.uid`
    pub uid: String,
    /// The rest.
    pub report: NodeReport,
}

impl Report {
    /// Without what may change at any time and matters little.
    pub(super) fn without_notes(&self) -> Self {
        let mut report = self.clone();
        report.policies.values_mut().for_each(|policy| policy.report.notes.clear());
        report
    }

    /// As annotations of at most [`MAX_BYTES`]. Where there is no room for all, notes go first, then what the node cannot do, then policies; that
    /// something is missing is always said.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let mut room = MAX_BYTES - 256;
        let mut followed: ByDialect<(String, i64)> = ByDialect::new();
        let mut left_out = 0;
        for (key, policy) in &self.policies {
            let value = (short(&policy.uid).to_owned(), policy.report.generation);
            // Quotation marks, brackets, commas, a colon.
            let size = key.namespace.len() + key.name.len() + value.0.len() + digits(value.1) + 10;
            if let Some(left) = room.checked_sub(size) {
                room = left;
                insert(&mut followed, key, value);
            } else {
                left_out += 1;
            }
        }
        let mut annotations = BTreeMap::from([(POLICIES.to_owned(), json(&followed))]);
        if left_out > 0 {
            annotations.insert(LEFT_OUT.to_owned(), left_out.to_string());
        }
        if let Some(remarks) = self.remarks(room) {
            annotations.insert(REMARKS.to_owned(), remarks);
        }
        annotations
    }

    /// The remarks in at most so many bytes, if there is something to say: whole, or one text in place of the notes of a policy, or of all its texts.
    fn remarks(&self, room: usize) -> Option<String> {
        let more = |texts: &Vec<String>| if texts.is_empty() { Vec::new() } else { vec![MORE.to_owned()] };
        let whole = |of: &NodeReport| Remarks { cannot: of.cannot.clone(), notes: of.notes.clone() };
        let few = |of: &NodeReport| Remarks { cannot: of.cannot.clone(), notes: more(&of.notes) };
        let none = |of: &NodeReport| Remarks { cannot: more(&of.cannot), notes: more(&of.notes) };
        let cuts: [&dyn Fn(&NodeReport) -> Remarks; 3] = [&whole, &few, &none];
        let written = cuts.into_iter().map(|cut| self.remarks_with(cut)).find(|written| written.len() <= room);
        written.filter(|written| !written.is_empty())
    }

    fn remarks_with(&self, cut: &dyn Fn(&NodeReport) -> Remarks) -> String {
        let mut texts = Texts::default();
        let mut policies = ByDialect::new();
        for (key, policy) in &self.policies {
            let Remarks { cannot, notes } = cut(&policy.report);
            if !cannot.is_empty() || !notes.is_empty() {
                let numbers = Numbers { cannot: texts.places(&cannot), notes: texts.places(&notes) };
                insert(&mut policies, key, numbers);
            }
        }
        if policies.is_empty() { String::new() } else { json(&Remarked { texts: texts.list, policies }) }
    }
}

/// `apiVersion` -> `namespace/name` -> value.
type ByDialect<T> = BTreeMap<String, BTreeMap<String, T>>;

fn insert<T>(by_dialect: &mut ByDialect<T>, key: &PolicyKey, value: T) {
    by_dialect.entry(key.dialect.api_version().to_owned()).or_default().insert(key.to_string(), value);
}

/// Texts once, and which of them are said about which policy.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remarked {
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    policies: ByDialect<Numbers>,
}

/// Places in the list of texts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Numbers {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    cannot: BTreeSet<usize>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    notes: BTreeSet<usize>,
}

/// Every text once.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    known: HashMap<String, usize>,
}

impl Texts {
    fn places(&mut self, texts: &[String]) -> BTreeSet<usize> {
        let place = |text: &String| {
            let text = &text[..text.floor_char_boundary(MAX_TEXT)];
            *self.known.entry(text.to_owned()).or_insert_with(|| {
                self.list.push(text.to_owned());
                self.list.len() - 1
            })
        };
        texts.iter().map(place).collect()
    }
}

/// What a node follows: of each policy the beginning of its uid and the generation.
pub(super) type Followed = BTreeMap<PolicyKey, (String, i64)>;

/// Reads what a node follows. What cannot be read is not there: a node of another version has not said that it follows it.
pub(super) fn followed(text: &str) -> Followed {
    let read: ByDialect<(String, i64)> = serde_json::from_str(text).unwrap_or_default();
    keys(read).collect()
}

/// Reads the remarks, likewise.
pub(super) fn remarks(text: &str) -> BTreeMap<PolicyKey, Remarks> {
    let Remarked { texts, policies } = serde_json::from_str(text).unwrap_or_default();
    let pick = |places: BTreeSet<usize>| places.into_iter().filter_map(|place| texts.get(place).cloned()).collect();
    keys(policies)
        .map(|(key, numbers)| (key, Remarks { cannot: pick(numbers.cannot), notes: pick(numbers.notes) }))
        .collect()
}

fn keys<T>(by_dialect: ByDialect<T>) -> impl Iterator<Item = (PolicyKey, T)> {
    let known = by_dialect.into_iter().filter_map(|(version, of)| Some((Dialect::of(&version)?, of)));
    known.flat_map(|(dialect, of)| {
        of.into_iter().filter_map(move |(name, value)| {
            let (namespace, name) = name.split_once('/')?;
            Some((PolicyKey { namespace: namespace.to_owned(), name: name.to_owned(), dialect }, value))
        })
    })
}

/// Of those that have their uid, the generations.
pub(super) fn generations<'a>(
    followed: &Followed,
    uid: impl Fn(&PolicyKey) -> Option<&'a str>,
) -> Arc<BTreeMap<PolicyKey, i64>> {
    let is_same = |key: &PolicyKey, had: &str| uid(key).is_some_and(|uid| short(uid) == had);
    let same = followed.iter().filter(|(key, (had, _))| is_same(key, had));
    Arc::new(same.map(|(key, (_, generation))| (key.clone(), *generation)).collect())
}

fn short(uid: &str) -> &str {
    &uid[..uid.floor_char_boundary(UID)]
}

fn digits(number: i64) -> usize {
    number.unsigned_abs().checked_ilog10().unwrap_or_default() as usize + 2
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, dialect: Dialect) -> PolicyKey {
        PolicyKey { namespace: "shop".to_owned(), name: name.to_owned(), dialect }
    }

    fn policy(generation: i64, cannot: &[&str], notes: &[&str]) -> PolicyReport {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let report = NodeReport { generation, cannot: owned(cannot), notes: owned(notes) };
        PolicyReport { uid: "0123456789abcdef".to_owned(), report }
    }

    #[test]
    fn a_report_is_short_and_reads_back() {
        let report = Report {
            policies: BTreeMap::from([
                (key("a", Dialect::Gep), policy(3, &["TLS is not read"], &[])),
                (key("a", Dialect::Proposal), policy(1, &["TLS is not read", "two"], &["a few lines"])),
                (key("b", Dialect::Gep), policy(12, &[], &[])),
            ]),
        };
        let annotations = report.annotations();
        assert_eq!(
            annotations,
            BTreeMap::from([
                (
                    "telltale.dev/policies".to_owned(),
                    r#"{"gateway.networking.k8s.io/v1alpha2":{"shop/a":["01234567",1]},"gateway.networking.x-k8s.io/v1alpha1":{"shop/a":["01234567",3],"shop/b":["01234567",12]}}"#.to_owned()
                ),
                (
                    "telltale.dev/remarks".to_owned(),
                    r#"{"texts":["TLS is not read","two","a few lines"],"policies":{"gateway.networking.k8s.io/v1alpha2":{"shop/a":{"cannot":[0,1],"notes":[2]}},"gateway.networking.x-k8s.io/v1alpha1":{"shop/a":{"cannot":[0]}}}}"#.to_owned()
                ),
            ])
        );
        let followed = followed(&annotations[POLICIES]);
        let same = generations(&followed, |_| Some("0123456789abcdef"));
        assert_eq!(same.values().copied().collect::<Vec<_>>(), [1, 3, 12]);
        // One that was deleted and made again is another.
        let one = generations(&followed, |key| (key.name == "b").then_some("01234567-other"));
        assert_eq!(one.len(), 1);
        let remarks = remarks(&annotations[REMARKS]);
        assert_eq!(remarks.len(), 2);
        assert_eq!(remarks[&key("a", Dialect::Proposal)].cannot, ["TLS is not read", "two"]);
        assert_eq!(remarks[&key("a", Dialect::Proposal)].notes, ["a few lines"]);
    }

    #[test]
    fn what_is_not_ours_says_nothing() {
        for text in ["", "[]", "{\"x\":1}", r#"{"gateway.networking.k8s.io/v1alpha2":{"noslash":["",1]}}"#] {
            assert_eq!(followed(text), Followed::new());
            assert_eq!(remarks(text), BTreeMap::new());
        }
        let wild = r#"{"texts":["a"],"policies":{"gateway.networking.k8s.io/v1alpha2":{"a/b":{"cannot":[7]}}}}"#;
        assert_eq!(
            remarks(wild)[&PolicyKey { namespace: "a".into(), name: "b".into(), dialect: Dialect::Proposal }],
            Remarks::default()
        );
    }

    fn size(annotations: &BTreeMap<String, String>) -> usize {
        annotations.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let long = "\u{1}".repeat(400);
        let mut report = Report::default();
        for number in 0..1000 {
            let (cannot, note) = (format!("cannot {number}"), format!("{number} {long}"));
            report.policies.insert(key(&format!("p{number}"), Dialect::Gep), policy(1, &[&cannot], &[&note]));
        }
        let annotations = report.annotations();
        assert!(size(&annotations) <= MAX_BYTES, "{}", size(&annotations));
        assert_eq!(annotations.get(LEFT_OUT), None);
        assert_eq!(followed(&annotations[POLICIES]).len(), 1000);
        let said = remarks(&annotations[REMARKS]);
        assert_eq!(said.len(), 1000);
        for (key, remarks) in &said {
            assert_eq!(remarks.cannot, [format!("cannot {}", &key.name[1..])]);
            assert_eq!(remarks.notes, [MORE]);
        }
        // Even what it cannot do may be too much.
        for policy in report.policies.values_mut() {
            policy.report.cannot.append(&mut policy.report.notes);
        }
        let annotations = report.annotations();
        assert!(size(&annotations) <= MAX_BYTES, "{}", size(&annotations));
        assert!(remarks(&annotations[REMARKS]).values().all(|remarks| remarks.cannot == [MORE]));

        for number in 0..9000 {
            report.policies.insert(key(&format!("q{number}"), Dialect::Gep), policy(1, &["never"], &[]));
        }
        let annotations = report.annotations();
        assert!(size(&annotations) <= MAX_BYTES, "{}", size(&annotations));
        let left_out: usize = annotations[LEFT_OUT].parse().unwrap();
        assert_eq!(followed(&annotations[POLICIES]).len() + left_out, 10_000);
    }
}
